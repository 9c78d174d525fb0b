"""What the simulator of the real threads has found, each in its smallest form."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from slipstream.domain.errors import UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.journal_names import FULL_SCAN
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane, WorkItem
from slipstream.engine.ledger import DirtyLedger
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem

ADA, BOB = entity_key("ada"), entity_key("bob")


def test_a_key_that_moves_while_it_is_written_directly_is_not_held_twice() -> None:
    moves = ["to another type"]

    def hook(name: str) -> None:
        if name == "embed.after" and moves:
            moves.pop()
            with system.graph.transaction() as transaction:
                transaction.upsert_entity("Organization", "ada", {"name": "Ada Ltd"})
            system.settle()

    models = (HashEmbedder(dimension=16, id="one"), HashEmbedder(dimension=16, id="other"))
    system = MemorySystem(hook=hook, embedders=models, routes={"default": "one", "Organization": "other"})
    position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    (event,) = system.graph.feed.read(Position(position - 1), 1)
    assert isinstance(event, PKGEvent)
    assert system.handler.handle_event(event)
    assert not moves
    assert [stamp.space.model_id for stamp in system.index.scan(None, 10)] == ["other"]
    system.settle()
    assert system.audit().is_consistent


def test_a_forced_mark_that_waits_in_the_journal_alone_outlives_a_live_change() -> None:
    system = MemorySystem(settings=SyncSettings(pending_max=2))
    for name in ("ada", "bob"):
        system.graph.create_entity("Person", name, {"name": name})
    system.settle()
    system.graph.update_entity("ada", {"name": "adele"})
    system.engine.intake()
    system.engine.mark([BOB], force=True)  # there is no room for it beside ada
    assert BOB not in system.engine.state.ledger
    before = system.embedder.embedded.count("bob")
    system.graph.update_entity("bob", {"name": "rob"})
    system.graph.update_entity("bob", {"name": "bob"})
    system.settle()
    assert system.embedder.embedded.count("bob") == before + 1
    assert system.journal.work_count() == 0


def test_a_journal_that_is_down_when_a_key_fails_is_an_outage_and_no_death(monkeypatch: pytest.MonkeyPatch) -> None:
    system = MemorySystem(hook=_refuse_texts)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    keep = system.journal.put_work
    refusals = ["lost acknowledgement", "down"]

    def put_work(items: Sequence[WorkItem]) -> None:
        if refusals:
            if refusals.pop() == "lost acknowledgement":
                keep(items)
            raise UnavailableError("the disk is full")
        keep(items)

    monkeypatch.setattr(system.journal, "put_work", put_work)
    system.engine.step()
    assert system.engine.outage is not None
    assert "the disk is full" in system.engine.outage
    assert system.engine.frontier < system.graph.feed.head()
    system.settle()
    assert [letter.key for letter in system.journal.letters(None, 10)] == [ADA]
    assert system.journal.work_count() == 0


def _refuse_texts(name: str) -> None:
    if name == "embed.before":
        raise ValueError("no text at all")


@pytest.mark.parametrize("call", ["head", "wait"])
def test_the_reader_outlives_a_log_that_is_not_to_be_reached(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system = MemorySystem()
    failures = [UnavailableError("the graph is locked")] * 2
    feed, answer = system.graph.feed, getattr(system.graph.feed, call)

    def down(*args: object) -> object:
        if failures:
            raise failures.pop()
        return answer(*args)

    monkeypatch.setattr(feed, call, down)
    for _ in range(3):
        system.sync._pipeline._read_once()
    assert not failures
    position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    assert system.engine.frontier == position


def test_the_reader_does_not_ask_a_log_again_and_again_that_it_may_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.recover([], UnavailableError("the index is down"))
    waits: list[float] = []
    monkeypatch.setattr(system.sync._pipeline._stopping, "wait", waits.append)
    monkeypatch.setattr(system.graph.feed, "wait", lambda *_: pytest.fail("it answers at once: there is an entry"))
    system.sync._pipeline._read_once()
    assert len(waits) == 1
    assert 0 < waits[0] <= 0.5


def test_a_batch_is_not_written_when_its_key_was_written_directly_meanwhile() -> None:
    models = (HashEmbedder(dimension=16, id="one"), HashEmbedder(dimension=16, id="other"))
    system = MemorySystem(embedders=models, routes={"default": "one", "Organization": "other"})
    engine = system.engine
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    engine.intake()
    claims = engine.take()
    prepared = engine.prepare(claims)
    with system.graph.transaction() as transaction:
        transaction.upsert_entity("Organization", "ada", {"name": "Ada Ltd"})
    (event,) = system.graph.feed.read(Position(system.graph.feed.head() - 1), 1)
    assert isinstance(event, PKGEvent)
    assert system.handler.handle_event(event)
    engine.write(claims, prepared, engine.embed(prepared))
    assert [stamp.space.model_id for stamp in system.index.scan(None, 10)] == ["other"]
    system.settle()
    assert engine.frontier == system.graph.feed.head()
    assert system.audit().is_consistent


def test_a_full_scan_that_is_begun_anew_does_not_go_on_where_the_old_one_was() -> None:
    system = MemorySystem()
    for name in ("ada", "bob"):
        system.graph.create_entity("Person", name, {"name": name})
    system.settle()
    backfills = system.engine.intake_stage._backfills
    system.engine.request_full_scan()
    old = backfills.current()
    assert old is not None
    assert old.page(1) == [ADA]
    system.engine.request_full_scan()
    backfills.note_done(old, lambda keys: [False] * len(keys))  # of the reader, which has held it since before
    assert system.journal.get(FULL_SCAN) == "1"
    new = backfills.current()
    assert new is not None
    assert new.page(10) == [ADA, BOB]


def test_what_the_log_brings_during_a_write_that_fails_still_holds_the_frontier() -> None:
    ledger = DirtyLedger()
    ledger.mark(ADA, Lane.REPAIR)  # which no commit asked for
    claims = ledger.take(1, 0.0)
    settled = ledger.settle(claims, Position(5))
    ledger.mark(ADA, Lane.LIVE, Position(3))
    ledger.restore(claims, settled)
    assert (ledger.frontier_floor(), ledger.checkpoint_floor()) == (3, 3)
