"""The engine's loop over in-memory adapters: coalescing, cut-off, outages, poison, dead letters, restarts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.adapters.embedders.memory_cache import MemoryEmbeddingCache
from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.domain.entities import Adjacency, Direction, Entity
from slipstream.domain.errors import (
    CorruptionError,
    PoisonEventError,
    PositionLostError,
    RateLimitedError,
    UnavailableError,
)
from slipstream.domain.keys import entity_key
from slipstream.domain.log import Rescan
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, VectorRecord
from slipstream.domain.work import Lane
from slipstream.engine.loop import SyncEngine
from slipstream.engine.settings import SyncSettings
from slipstream.ports.feed import Retention
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import Via, View
from slipstream.views.viewset import ViewSet

PERSON_AT = View(
    type="Person",
    template="{{ name }} at {% for o in employer %}{{ o.name }} {% endfor %}",
    via={"employer": Via("WORKS_AT", Direction.OUT, ("name",))},
)


def _texts(system: MemorySystem) -> int:
    return system.service.stats.computed


def test_a_created_entity_is_searchable_and_the_numbers_agree() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    stamp = system.stamp("ada")
    assert stamp is not None
    assert stamp.entity_type == "Person"
    status = system.sync.status()
    assert (status.head, status.frontier, status.checkpoint) == (status.head,) * 3
    assert (status.lag_events, status.lag_s, status.pending) == (0, 0.0, 0)
    assert system.audit().is_consistent


def test_an_irrelevant_change_computes_and_writes_nothing() -> None:
    system = MemorySystem(views=[View(type="Person", template="{{ name }}")])
    system.graph.create_entity("Person", "ada", {"name": "Ada", "age": 36})
    system.settle()
    before = system.stamp("ada")
    system.graph.update_entity("ada", {"age": 37})
    system.settle()
    assert _texts(system) == 1
    assert system.stamp("ada") == before
    assert system.engine.frontier == system.graph.feed.head()


def test_a_change_back_within_a_batch_is_cut_off_by_the_fingerprint() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.graph.update_entity("ada", {"name": "Augusta"})
    system.graph.update_entity("ada", {"name": "Ada"})
    system.settle()
    assert _texts(system) == 1


def test_create_delete_create_in_one_batch_ends_with_the_last_state() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "first"})
    system.graph.delete_entity("ada")
    system.graph.create_entity("Person", "ada", {"name": "second"})
    system.settle()
    assert _texts(system) == 1
    assert system.audit().is_consistent


def test_deleted_while_it_is_being_embedded() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.intake()
    claims = system.engine.take()
    prepared = system.engine.prepare(claims)
    results = system.engine.embed(prepared)
    system.graph.delete_entity("ada")
    system.engine.intake()
    system.engine.write(claims, prepared, results)
    assert system.engine.frontier < system.graph.feed.head()
    system.settle()
    assert system.stamp("ada") is None
    assert system.audit().is_consistent


def test_a_late_upsert_never_resurrects_a_deleted_entity() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.intake()
    claims = system.engine.take()
    late = system.engine.prepare(claims)
    results = system.engine.embed(late)
    system.graph.delete_entity("ada")
    other = MemorySystem(index=system.index)  # another worker over the same index deletes first
    other.graph, other.journal = system.graph, other.journal
    other.reopen()
    other.settle()
    system.engine.write(claims, late, results)
    assert system.stamp("ada") is None
    assert system.engine.stats.counters["fenced"] == 1


def test_duplicated_and_reordered_marks_are_harmless() -> None:
    system = MemorySystem()
    for number in range(20):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    system.settle()
    keys = [entity_key(f"p{number}") for number in range(20)]
    system.engine.mark(keys + list(reversed(keys)))
    system.engine.mark(keys[::2])
    system.settle()
    assert _texts(system) == 20
    assert system.audit().is_consistent


def test_a_poison_entity_amid_a_thousand_good_ones() -> None:
    def refuse(texts: list[str]) -> None:
        if any("poison" in text for text in texts):
            raise PoisonEventError("the model chokes on this")

    class Choking(HashEmbedder):
        def embed(self, texts):  # type: ignore[no-untyped-def]
            refuse(list(texts))
            return super().embed(texts)

    system = MemorySystem(embedders=[Choking(dimension=8)])
    with system.graph.transaction() as tx:
        for number in range(1000):
            tx.create_entity("Person", f"p{number}", {"name": f"n{number}"})
        tx.create_entity("Person", "bad", {"name": "poison"})
    system.settle()
    (letter,) = system.journal.letters(None, 10)
    assert letter.key == entity_key("bad")
    assert "chokes" in letter.error
    report = system.audit()
    assert report.divergences["missing"] == [entity_key("bad")]
    assert report.fresh == 1000
    assert system.engine.frontier == system.graph.feed.head()
    system.graph.update_entity("bad", {"name": "cured"})
    system.settle()
    assert system.journal.letter_count() == 0
    assert system.audit().is_consistent


def test_a_failing_key_is_retried_with_its_true_count_and_then_buried() -> None:
    class Broken(HashEmbedder):
        def embed(self, texts):  # type: ignore[no-untyped-def]
            raise ValueError("no reason")

    system = MemorySystem(embedders=[Broken(dimension=8)], settings=SyncSettings(attempts_max=3))
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.step()
    (item,) = system.journal.work(None, 10)
    assert (item.lane, item.attempts, item.position) == (Lane.RETRY, 1, Position(2))
    assert system.engine.frontier == 1
    assert system.sync.status().retrying == 1
    system.settle()
    (letter,) = system.journal.letters(None, 10)
    assert letter.attempts == 3
    assert system.journal.work_count() == 0
    assert system.engine.frontier == system.graph.feed.head()


def test_a_retry_survives_a_restart() -> None:
    class Once(HashEmbedder):
        failures = 1

        def embed(self, texts):  # type: ignore[no-untyped-def]
            if self.failures:
                self.failures -= 1
                raise ValueError("once")
            return super().embed(texts)

    system = MemorySystem(embedders=[Once(dimension=8)])
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.step()
    system.engine.save_checkpoint()
    assert system.engine.checkpoint == system.graph.feed.head()
    system.reopen()
    assert system.engine.frontier < system.graph.feed.head()
    system.settle()
    assert system.audit().is_consistent


@pytest.mark.parametrize(
    "failpoint", ["embed.before", "index.upsert.before", "index.stamps.before", "graph.read.before"]
)
def test_an_outage_is_one_incident_and_costs_no_attempt(failpoint: str) -> None:
    down = True

    def hook(name: str) -> None:
        if down and name == failpoint:
            raise UnavailableError("down for a while")

    system = MemorySystem(hook=hook, cache=MemoryEmbeddingCache(entries_max=1000))
    for number in range(50):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    for _ in range(30):
        system.engine.step()
        system.clock.sleep(0.5)
    assert system.engine.outage is not None
    assert "down for a while" in system.engine.outage
    assert system.journal.letter_count() == system.journal.work_count() == 0
    assert system.engine.checkpoint == 0
    down = False
    system.settle()
    assert system.engine.outage is None
    assert system.audit().is_consistent
    assert _texts(system) == 50


def test_a_rate_limit_is_respected() -> None:
    calls: list[float] = []
    system = MemorySystem()

    def hook(name: str) -> None:
        if name == "embed.before":
            calls.append(system.clock.monotonic())
            if len(calls) == 1:
                raise RateLimitedError("slow down", retry_after_s=7.0)

    system.hook = hook
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    assert calls[1] - calls[0] >= 7.0


def test_corruption_halts_and_says_so() -> None:
    def hook(name: str) -> None:
        if name == "index.upsert.before":
            raise CorruptionError("the file contradicts itself")

    system = MemorySystem(hook=hook)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.step()
    assert system.engine.take() == []
    assert system.sync.status().halted == "the file contradicts itself"
    with pytest.raises(CorruptionError):
        system.sync.wait(system.graph.feed.head(), 1.0)


def test_a_neighbours_change_embeds_exactly_the_entities_that_render_it() -> None:
    system = MemorySystem(views=[PERSON_AT])
    with system.graph.transaction() as tx:
        for number in range(10):
            tx.create_entity("Person", f"p{number}", {"name": f"n{number}"})
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        tx.create_entity("Organization", "other", {"name": "Other"})
        for number in range(4):
            tx.relate(f"p{number}", "WORKS_AT", "acme")
    system.settle()
    before = _texts(system)
    system.graph.update_entity("acme", {"name": "Acme Ltd"})
    system.settle()
    assert _texts(system) - before == 5  # acme itself and its four people
    system.graph.update_entity("acme", {"founded": 1900})
    system.settle()
    assert _texts(system) - before == 5
    assert system.audit().is_consistent


def test_deleting_a_neighbour_refreshes_those_who_rendered_it() -> None:
    system = MemorySystem(views=[PERSON_AT])
    with system.graph.transaction() as tx:
        tx.create_entity("Person", "ada", {"name": "Ada"})
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        tx.relate("ada", "WORKS_AT", "acme")
    system.settle()
    system.graph.delete_entity("acme")
    system.settle()
    assert system.audit().is_consistent


def test_the_fan_outs_of_a_batch_are_looked_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    system = MemorySystem(views=[PERSON_AT])
    with system.graph.transaction() as tx:
        for number in range(30):
            tx.create_entity("Organization", f"o{number}", {"name": f"Org {number}"})
            tx.create_entity("Person", f"p{number}", {"name": f"n{number}"})
            tx.relate(f"p{number}", "WORKS_AT", f"o{number}")
    system.settle()
    asked: list[Sequence[str]] = []
    adjacent = system.graph.adjacent

    def counted(ids: Sequence[str], *rest: Any) -> Sequence[Adjacency]:
        asked.append(ids)
        return adjacent(ids, *rest)

    monkeypatch.setattr(system.graph, "adjacent", counted)
    with system.graph.transaction() as tx:
        for number in range(30):
            tx.update_entity(f"o{number}", {"name": f"Org {number} Ltd"})
    system.settle()
    assert len(asked) == 2  # a page, and the empty one behind it
    assert sorted(asked[0]) == sorted(f"o{number}" for number in range(30))
    assert _texts(system) == 30 * 4  # of each pair: both when they were made, and both again
    assert system.audit().is_consistent


def test_a_large_fan_out_is_bounded_and_kept_durably() -> None:
    system = MemorySystem(views=[PERSON_AT], settings=SyncSettings(fanout_live_max=5, pending_max=8))
    with system.graph.transaction() as tx:
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        for number in range(40):
            tx.create_entity("Person", f"p{number}", {"name": f"n{number}"})
            tx.relate(f"p{number}", "WORKS_AT", "acme")
    system.settle()
    before = _texts(system)
    system.graph.update_entity("acme", {"name": "Acme Ltd"})
    system.engine.intake()
    assert system.engine.stats.counters["fanout_deferred"] == 35
    assert system.journal.work_count(Lane.BACKFILL) == 35
    system.reopen()  # a crash here must not lose the deferred ones
    assert system.engine.frontier < system.graph.feed.head()
    system.settle()
    assert system.service.stats.computed == 41
    assert before == 41
    assert system.audit().is_consistent
    assert system.journal.work_count() == 0


def test_a_type_change_moves_the_record_between_models() -> None:
    small, large = HashEmbedder(dimension=8, id="small"), HashEmbedder(dimension=32, id="large")
    system = MemorySystem(embedders=[small, large], routes={"Document": "large"})
    system.graph.create_entity("Person", "x", {"name": "X"})
    system.settle()
    system.graph.upsert_entity("Document", "x", {"name": "X"})
    system.settle()
    held = system.index.stamps([entity_key("x")])[entity_key("x")]
    assert [stamp.space.model_id for stamp in held.records] == ["large"]
    assert system.audit().is_consistent


def test_a_rescan_finds_what_a_write_past_the_log_did() -> None:
    system = MemorySystem()
    for number in range(5):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    system.settle()
    system.graph.write_raw(Entity("p0", "Person", {"name": "changed"}))
    system.graph.write_raw(Entity("new", "Person", {"name": "new"}))
    system.graph.remove_raw("p1")
    report = system.audit()
    assert {name: len(keys) for name, keys in report.divergences.items() if keys} == {
        "stale": 1,
        "missing": 1,
        "orphaned": 1,
    }
    position = Position(system.graph.feed.head() + 1)
    system.graph.feed.append([Rescan(position)])
    system.engine.step()
    system.settle()
    assert system.engine.frontier == position
    assert system.audit().is_consistent


def test_a_full_scan_is_finished_after_a_restart() -> None:
    system = MemorySystem()
    for number in range(5):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    system.settle()
    system.graph.remove_raw("p1")
    system.engine.request_full_scan()
    system.follower.refill()
    system.reopen()
    assert not system.engine.is_settled()
    system.settle()
    assert system.audit().is_consistent


def test_a_trimmed_log_leads_to_a_backfill() -> None:
    system = MemorySystem()
    for number in range(5):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    assert system.graph.feed.trim(Retention(kept_bytes=0, limit_bytes=0)) > 0
    with pytest.raises(PositionLostError):
        system.graph.feed.read(system.engine.checkpoint, 1)
    system.reopen()
    system.settle()
    assert system.engine.frontier == system.graph.feed.head()
    assert system.audit().is_consistent


def test_a_log_that_is_trimmed_ahead_of_a_running_engine_leads_to_a_backfill(
    caplog: pytest.LogCaptureFixture,
) -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    for number in range(5):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    system.graph.delete_entity("ada")
    assert system.graph.feed.trim(Retention(kept_bytes=0, limit_bytes=0)) > 0
    system.settle()
    assert "no longer reaches back" in caplog.text
    assert system.stamp("ada") is None
    assert system.engine.frontier == system.graph.feed.head()
    assert system.audit().is_consistent


def test_an_engine_is_not_made_over_a_graph_that_is_older_than_its_index() -> None:
    system = MemorySystem()
    system.journal.set("checkpoint", "999")
    with pytest.raises(CorruptionError, match="restored from a backup"):
        SyncEngine(
            graph=system.graph,
            log=system.graph.feed,
            index=system.index,
            journal=system.journal,
            dead_letters=system.journal,
            views=ViewSet(),
            service=system.service,
            clock=system.clock,
        )


def test_a_schema_extension_moves_stamps_and_embeds_nothing() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.graph.create_entity("Person", "bob", {"name": "Bob"})
    system.settle()
    before = _texts(system)
    system.graph.update_entity("bob", {"shoe_size": 44})
    system.settle()
    assert _texts(system) == before
    version = system.graph.schema().version
    ada = system.stamp("ada")
    assert ada is not None
    assert ada.schema_version == version
    assert system.audit().is_consistent


def test_marking_for_reembedding_computes_anew_even_when_nothing_changed() -> None:
    system = MemorySystem()
    for name in ("ada", "bob"):
        system.graph.create_entity("Person", name, {"name": name})
    system.settle()
    assert system.store.mark_for_reembedding(entity_ids=["ada"], reason="asked") == 1
    assert system.audit().divergences["stale"] == [entity_key("ada")]
    system.settle()
    assert _texts(system) == 3
    assert system.store.mark_for_reembedding(schema_version=system.store.current_schema_version) == 2
    system.settle()
    assert _texts(system) == 5
    assert system.audit().is_consistent


def test_live_changes_overtake_a_backfill() -> None:
    system = MemorySystem(settings=SyncSettings(batch_min=2, batch_max=2))
    with system.graph.transaction() as tx:
        for number in range(30):
            tx.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    system.settle()
    system.engine.mark([entity_key(f"p{number}") for number in range(30)], lane=Lane.BACKFILL, force=True)
    system.engine.step()
    system.graph.update_entity("p29", {"name": "live"})
    system.settle(until=lambda: system.engine.frontier >= system.graph.feed.head())
    assert system.engine.pending()[Lane.BACKFILL] > 10
    system.settle()


def test_tombstones_are_forgotten_behind_the_frontier() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.graph.delete_entity("ada")
    system.settle()
    assert system.index.stamps([entity_key("ada")])[entity_key("ada")].tombstone is not None
    system.maintenance.keep_house(force=True)
    assert system.index.stamps([entity_key("ada")]) == {}


def test_tampering_is_found_by_class_and_repaired_once() -> None:
    system = MemorySystem()
    for name in ("ada", "bob", "cyd"):
        system.graph.create_entity("Person", name, {"name": name})
    system.settle()
    ada = system.stamp("ada")
    assert ada is not None
    vector = system.index.vectors([ada.key], ada.space)[ada.key]
    from dataclasses import replace

    system.index.upsert([VectorRecord(ada._replace(key=entity_key("ghost")), vector)])
    system.index.upsert([VectorRecord(ada._replace(fingerprint="forged"), vector)])
    other = replace(ada.space, model_id="foreign")
    system.index.upsert([VectorRecord(ada._replace(key=entity_key("bob"), space=other), vector)])
    report = system.audit()
    found = {name: [key.id for key in keys] for name, keys in report.divergences.items() if keys}
    assert found == {"orphaned": ["ghost"], "stale": ["ada"], "duplicate": ["bob"]}
    system.engine.mark(report.divergent_keys())
    system.settle()
    assert system.audit().is_consistent
    before = _texts(system)
    system.engine.mark([entity_key(name) for name in ("ada", "bob", "cyd", "ghost")])
    system.settle()
    assert _texts(system) == before


def test_a_time_that_becomes_its_own_text_is_a_change() -> None:
    system = MemorySystem()
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    system.graph.create_entity("Person", "ada", {"name": "Ada", "seen": moment})
    system.settle()
    system.graph.update_entity("ada", {"seen": moment.isoformat()})
    system.settle()
    assert _texts(system) == 2
    assert system.audit().is_consistent


def test_a_write_that_a_forged_fence_keeps_off_is_told_counted_and_found(caplog: pytest.LogCaptureFixture) -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    index = system.index
    assert isinstance(index, MemoryIndex)
    ada, new = entity_key("ada"), entity_key("new")
    index._tombstones.update({ada: Position(10**9), new: Position(10**9)})
    for report in (system.auditor.audit(), system.auditor.audit_changes(), system.auditor.audit_keys([ada, new])):
        assert sorted(report.divergences["corrupt"]) == [ada, new]
        assert (report.expected, report.fresh, report.consistency) == (1, 0, 0.0)
    system.graph.update_entity("ada", {"name": "Ada Lovelace"})
    system.graph.create_entity("Person", "new", {"name": "New"})
    with caplog.at_level(logging.ERROR):
        system.settle()
    assert system.engine.stats.counters["blocked"] == 2
    assert "e:ada" in caplog.text
    assert "past the graph's head" in caplog.text
    found = system.auditor.audit_changes()
    assert (found.divergences["stale"], found.divergences["missing"]) == ([ada], [new])
    system.repairer.repair(found.kept_id)
    system.settle()
    assert system.auditor.audit().is_consistent
    assert system.engine.stats.counters["blocked"] == 2


def test_a_late_write_of_a_slower_worker_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.intake()
    claims = system.engine.take()
    prepared = system.engine.prepare(claims)
    system.graph.delete_entity("ada")
    system.index.delete([Deletion(entity_key("ada"), system.graph.feed.head())])  # another worker was faster
    with caplog.at_level(logging.ERROR):
        system.engine.write(claims, prepared, system.engine.embed(prepared))
    assert system.engine.stats.counters["fenced"] == 1
    assert system.engine.stats.counters["blocked"] == 0
    assert caplog.text == ""


def test_a_forged_schema_hash_is_outdated_and_mended_by_a_stamp() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    before = system.stamp("ada")
    assert before is not None
    system.index.restamp([before._replace(schema_hash="forged")])
    report = system.auditor.audit()
    assert report.divergences["outdated"] == [entity_key("ada")]
    computed = system.service.stats.computed
    system.repairer.repair(report.kept_id)
    system.settle()
    after = system.stamp("ada")
    assert after is not None
    assert after.schema_hash == before.schema_hash == system.graph.schema().hash
    assert system.service.stats.computed == computed
    assert system.auditor.audit().is_consistent
