"""The write-back over in-memory adapters: every state, notes and overflow, crashes, audits, and no tail to chase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from slipstream.domain.digests import Content, target_content
from slipstream.domain.entities import Entity, EntityState, Hop, RecordState
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.journal_names import WRITE_BACK
from slipstream.domain.keys import entity_key
from slipstream.domain.requests import Target
from slipstream.engine.settings import SyncSettings
from slipstream.ports.recipe import Recipe
from slipstream.ports.sync_view import EntitySync, SyncState
from slipstream.syncview import writeback
from slipstream.syncview.entity_sync import EntitySyncReader
from slipstream.syncview.writeback import COMPLETE, Notes, withdraw
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View

PEOPLE = [View(type="Person", template="{{ name }}")]


def _people(system: MemorySystem, count: int, entity_type: str = "Person") -> None:
    with system.graph.transaction() as tx:
        for number in range(count):
            tx.upsert_entity(entity_type, f"p{number:03}", {"name": f"n{number}"})


def _shown(system: MemorySystem) -> dict[str, EntitySync]:
    ids = [f"p{number:03}" for number in range(400)] + ["ada", "bob"]
    return {name: row.state for name, row in system.graph.sync_view.read(ids).items()}


def _row(system: MemorySystem, entity_id: str) -> SyncState:
    return system.graph.sync_view.read([entity_id])[entity_id]


def test_an_embedded_entity_is_shown_as_its_stamp_says() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    assert system.write_back.finish()
    stamp = system.stamp("ada")
    assert stamp is not None
    assert _row(system, "ada") == SyncState(
        "ada",
        "Person",
        EntitySync.FRESH,
        stamp.space.model_id,
        stamp.schema_version,
        stamp.position,
        stamp.created_at,
        stamp.created_at,
    )


def test_writing_back_is_no_change_of_the_graph() -> None:
    system = MemorySystem()
    _people(system, 300)
    system.settle()
    before = (system.graph.feed.head(), system.engine.frontier, system.sync.status())
    assert system.engine.is_settled()
    assert system.write_back.is_due
    assert system.write_back.finish()
    assert system.engine.is_settled()
    assert not system.engine.step()
    assert before == (system.graph.feed.head(), system.engine.frontier, system.sync.status())
    assert len(_shown(system)) == 300
    assert not system.write_back.is_due


def test_a_deleted_entity_loses_its_row_and_a_recreated_one_gets_a_new_one() -> None:
    system = MemorySystem()
    _people(system, 3)
    system.settle()
    system.write_back.finish()
    system.graph.delete_entity("p001")
    system.settle()
    system.write_back.finish()
    assert set(_shown(system)) == {"p000", "p002"}
    system.graph.create_entity("Person", "p001", {"name": "back"})
    system.settle()
    system.write_back.finish()
    assert _row(system, "p001").position == system.graph.feed.head()


class _NoTags:
    """A recipe that leaves out one type."""

    def __init__(self, inner: Recipe) -> None:
        self._inner = inner

    def hops(self) -> Mapping[str, Sequence[Hop]]:
        return self._inner.hops()

    def covers_relationships(self, type_name: str) -> bool:
        return self._inner.covers_relationships(type_name)

    def target(self, state: RecordState) -> Target | None:
        assert isinstance(state, EntityState)
        return None if state.entity.type == "Tag" else self._inner.target(state)

    def content(self, state: RecordState) -> Content | None:
        target = self.target(state)
        return None if target is None else target_content(target)


def test_what_the_recipe_leaves_out_is_uncovered_and_what_is_missing_is_divergent() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.graph.create_entity("Tag", "bob", {"name": "Bob"})
    recipe = _NoTags(system.engine.recipe)
    reader = EntitySyncReader(system.graph, system.index, system.journal, recipe, system.engine.is_pending)
    assert reader.read([entity_key("ada"), entity_key("bob"), entity_key("nobody")]) == {
        entity_key("ada"): SyncState("ada", "Person", EntitySync.DIVERGENT),
        entity_key("bob"): SyncState("bob", "Tag", EntitySync.UNCOVERED),
    }


class _Choking(HashEmbedder):
    chokes = True

    def embed(self, texts):  # type: ignore[no-untyped-def]
        if self.chokes and any("choke" in text for text in texts):
            raise ValueError("chokes")
        return super().embed(texts)


def test_a_key_that_waits_for_its_retry_is_pending_then_dead_then_fresh() -> None:
    embedder = _Choking(dimension=8)
    system = MemorySystem(embedders=[embedder], settings=SyncSettings(attempts_max=2))
    system.graph.create_entity("Person", "ada", {"name": "choke"})
    system.engine.step()
    assert not system.engine.is_settled()
    system.write_back.finish()
    assert _row(system, "ada").state is EntitySync.PENDING
    system.settle()
    system.write_back.finish()
    assert _row(system, "ada").state is EntitySync.DEAD_LETTER
    letters = system.journal.letters(None, 10)
    embedder.chokes = False
    system.sync.replay(letters)
    system.settle()
    system.write_back.finish()
    assert _row(system, "ada").state is EntitySync.FRESH


def test_a_discarded_letter_leaves_a_divergent_entity() -> None:
    system = MemorySystem(embedders=[_Choking(dimension=8)], settings=SyncSettings(attempts_max=1))
    system.graph.create_entity("Person", "ada", {"name": "choke"})
    system.settle()
    system.sync.discard(system.journal.letters(None, 10))
    system.write_back.finish()
    assert _row(system, "ada") == SyncState("ada", "Person", EntitySync.DIVERGENT)


def test_a_schema_extension_moves_every_row() -> None:
    system = MemorySystem()
    _people(system, 5)
    system.settle()
    system.write_back.finish()
    system.graph.update_entity("p000", {"shoe_size": 44})
    system.settle()
    system.write_back.finish()
    rows = system.graph.sync_view.read([f"p{number:03}" for number in range(5)])
    assert {row.schema_version for row in rows.values()} == {system.graph.schema().version}


def test_an_overflow_of_notes_is_made_good_by_a_catch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(ManualClock(), limit=10)
    notes.add(entity_key(f"p{number}") for number in range(11))
    assert notes.overflowed
    assert len(notes) == 0
    monkeypatch.setattr(writeback, "NOTES_MAX", 10)
    monkeypatch.setattr(Notes.__init__, "__defaults__", (10,))
    system = MemorySystem()
    system.write_back.finish()
    _people(system, 300)
    system.settle()
    system.write_back.finish()
    assert len(_shown(system)) == 300


def test_only_a_clean_close_saves_the_catch_up() -> None:
    system = MemorySystem()
    _people(system, 200)
    system.settle()
    system.write_back.leave(1.0)
    assert system.journal.get(WRITE_BACK) == COMPLETE
    system.reopen()
    assert system.journal.get(WRITE_BACK) is None
    assert not system.write_back.is_due
    system.reopen()  # that was no clean close
    assert system.write_back.is_due


FAILPOINTS = (
    "states.put.before",
    "states.put.middle",
    "states.put.after",
    "states.remove.before",
    "write_back.before",
)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
@pytest.mark.parametrize("count", [1, 2])
def test_dying_anywhere_ends_with_the_right_rows(failpoint: str, count: int) -> None:
    class Killed(BaseException):
        pass

    left = count
    armed = False

    def hook(name: str) -> None:
        nonlocal left
        if armed and name == failpoint:
            left -= 1
            if left == 0:
                raise Killed

    system = MemorySystem(hook=hook)
    _people(system, 300)
    system.settle()
    system.write_back.finish()
    armed = True
    with system.graph.transaction() as tx:
        for number in range(200):
            tx.delete_entity(f"p{number:03}")
        tx.update_entity("p250", {"name": "changed"})
    system.settle()
    try:
        system.write_back.finish()
        system.write_back.leave(1.0)
    except Killed:
        pass
    armed = False
    system.reopen()
    system.settle()
    system.write_back.finish()
    assert _shown(system) == {f"p{number:03}": EntitySync.FRESH for number in range(200, 300)}
    stamp = system.stamp("p250")
    assert stamp is not None
    assert _row(system, "p250").position == stamp.position


def test_a_lost_acknowledgement_of_the_index_is_shown_all_the_same() -> None:
    down = ["index.upsert.after"]

    def hook(name: str) -> None:
        if name in down:
            down.remove(name)
            raise UnavailableError("applied, but nobody knows")

    system = MemorySystem(hook=hook)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.write_back.finish()
    assert _row(system, "ada").state is EntitySync.FRESH


def test_an_outage_of_the_view_delays_it_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    down = True

    def hook(name: str) -> None:
        if down and name.startswith("states."):
            raise UnavailableError("down for a while")

    system = MemorySystem(hook=hook)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.clock.sleep(1.0)
    assert not system.write_back.step()
    assert "the sync view waits" in caplog.text
    assert not system.write_back.step()
    assert system.engine.outage is None
    assert system.audit().is_consistent
    down = False
    system.clock.sleep(5.0)
    while system.write_back.step():
        pass
    assert _row(system, "ada").state is EntitySync.FRESH


def test_it_is_due_until_what_was_taken_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread that waits for the view looks while a page is between notes and rows."""
    system, seen = MemorySystem(), list[bool]()
    system.write_back.finish()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    put = system.graph.sync_view.put

    def look(rows: Iterable[SyncState]) -> None:
        seen.append(system.write_back.is_due)
        put(rows)

    monkeypatch.setattr(system.graph.sync_view, "put", look)
    assert system.write_back.finish()
    assert seen
    assert all(seen)
    assert not system.write_back.is_due


def test_a_catch_up_that_is_asked_for_while_one_ends_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread has found that rows may have changed: those that were looked at already, too."""
    system = MemorySystem(views=PEOPLE)
    _people(system, 3)
    system.settle()
    view, prune = system.graph.sync_view, system.graph.sync_view.prune

    def asked_meanwhile(limit: int) -> int:
        result = prune(limit)
        monkeypatch.undo()
        system.graph.sync_view.put([replace(_row(system, "p001"), state=EntitySync.PENDING)])
        system.write_back.request_catch_up()
        return result

    monkeypatch.setattr(view, "prune", asked_meanwhile)
    system.write_back.request_catch_up()
    system.write_back.finish()
    assert _row(system, "p001").state is EntitySync.FRESH


def test_it_waits_for_a_quiet_moment_but_not_for_ever() -> None:
    system = MemorySystem()
    system.write_back.finish()
    waits = list[bool]()
    for number in range(30):
        system.graph.upsert_entity("Person", "ada", {"name": f"n{number}"})
        system.settle()
        waits.append(system.write_back.step())
        system.clock.sleep(0.1)
    assert not any(waits[:15])
    assert any(waits)
    system.clock.sleep(1.0)
    while system.write_back.step():
        pass
    assert _row(system, "ada").position == system.graph.feed.head()


def test_it_stands_aside_for_who_is_in_a_hurry_unless_somebody_waits_for_it() -> None:
    system = MemorySystem()
    _people(system, 3)
    system.settle()
    system.clock.sleep(60.0)
    with system.write_back.aside(), system.write_back.aside():
        assert not system.write_back.step()
        assert system.write_back.is_due
        system.write_back.hurry()
        assert system.write_back.step()
    _people(system, 5)
    system.settle()
    system.clock.sleep(60.0)
    assert system.write_back.step()


def test_an_audit_vouches_for_what_it_compared_and_declares_the_rest() -> None:
    system = MemorySystem(views=PEOPLE)
    _people(system, 4)
    system.settle()
    system.write_back.finish()
    system.graph.write_raw(Entity("p001", "Person", {"name": "changed behind the log"}))
    system.clock.sleep(60.0)
    at = system.clock.now()
    report = system.audit()
    system.write_back.verified(at, report.divergent_keys())
    assert _row(system, "p001").state is EntitySync.DIVERGENT  # at once
    system.write_back.finish()
    assert _row(system, "p001").last_verified != at
    assert _row(system, "p000").last_verified == at
    system.write_back.request_catch_up()
    system.write_back.finish()
    assert _row(system, "p001").state is EntitySync.DIVERGENT
    assert _row(system, "p000").last_verified == at
    system.engine.mark(report.divergent_keys())
    system.settle()
    system.write_back.finish()
    assert _row(system, "p001").state is EntitySync.FRESH


def test_an_audit_clears_what_an_earlier_one_declared() -> None:
    system = MemorySystem(views=PEOPLE)
    _people(system, 3)
    system.settle()
    system.write_back.finish()
    system.write_back.verified(system.clock.now(), [entity_key("p001"), entity_key("nobody")])
    assert _row(system, "p001").state is EntitySync.DIVERGENT
    at = system.clock.now() + timedelta(hours=1)
    system.write_back.verified(at, [])
    system.write_back.finish()
    assert {row.state for row in system.graph.sync_view.read(["p000", "p001"]).values()} == {EntitySync.FRESH}
    assert _row(system, "p001").last_verified == at


def test_an_audit_does_not_vouch_for_what_it_could_not_judge() -> None:
    system = MemorySystem(views=PEOPLE)
    _people(system, 3)
    system.settle()
    system.write_back.finish()
    at = system.clock.now() + timedelta(hours=1)
    system.write_back.verified(at, [], [entity_key("p001")])
    system.write_back.finish()
    assert _row(system, "p000").last_verified == at
    assert _row(system, "p001").last_verified != at
    assert _row(system, "p001").state is EntitySync.FRESH


def test_damage_to_the_view_is_healed_and_reaches_no_further() -> None:
    system = MemorySystem()
    _people(system, 150)
    system.settle()
    system.write_back.finish()
    states, before = system.graph.sync_view, (system.graph.counts(), system.graph.feed.head())
    good = _row(system, "p000")
    states.put([replace(good, state=EntitySync.DEAD_LETTER, model_id="forged"), replace(good, entity_id="ghost")])
    states.remove(["p140", "p141"])
    system.write_back.request_catch_up()
    system.write_back.finish()
    assert _row(system, "p000") == good
    assert states.read(["ghost"]) == {}
    assert states.counts() == {EntitySync.FRESH: 150}
    withdraw(states, system.journal)
    assert states.counts() == {}
    assert before == (system.graph.counts(), system.graph.feed.head())
    assert system.audit().is_consistent


@pytest.mark.parametrize("entity_id", ["ada", "nobody"])
def test_asked_for_one_entity_it_tells_the_present_state(entity_id: str) -> None:
    embedder = _Choking(dimension=8)
    system = MemorySystem(embedders=[embedder])
    system.graph.create_entity("Person", "ada", {"name": "choke"})
    system.engine.intake()
    state = system.write_back.state_of(entity_id)
    assert (state and state.state) == (EntitySync.PENDING if entity_id == "ada" else None)


def test_without_a_view_there_is_nothing_to_wait_for() -> None:
    system = MemorySystem()
    system.sync._write_back = None
    with pytest.raises(ConfigError, match="sync_states"):
        system.sync.write_back()


def _steps(action: Callable[[], bool]) -> int:
    steps = 0
    while action():
        steps += 1
    return steps


def test_a_page_is_small() -> None:
    system = MemorySystem()
    system.write_back.finish()
    _people(system, 300)
    system.settle()
    system.clock.sleep(1.0)
    assert _steps(system.write_back.step) == 5
