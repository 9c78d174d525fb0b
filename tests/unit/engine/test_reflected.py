"""What the index reflects further than the log has been read is not reconciled once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.engine import ledger
from slipstream.engine.ledger import Reflected
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import Via, View

A, B, C = entity_key("a"), entity_key("b"), entity_key("c")
VIEWS = [View("Person", "{{ name }} at {{ firm|map(attribute='name')|join(' ') }}", {"firm": Via("WORKS_AT")})]


def test_a_key_is_covered_up_to_where_it_was_read() -> None:
    known = Reflected()
    known.note(A, Position(5))
    known.note(B, Position(7))
    assert known.covers(A, Position(5))
    assert not known.covers(A, Position(6))
    assert known.covers(B, Position(7))
    assert not known.covers(C, Position(1))


def test_what_somebody_else_has_written_is_not_covered() -> None:
    known = Reflected()
    known.note(A, Position(5))
    known.forget([A, B])
    assert not known.covers(A, Position(1))


def test_nothing_is_kept_once_the_log_has_been_read_as_far() -> None:
    known = Reflected()
    known.note(A, Position(5))
    assert not known.covers(A, Position(6))
    assert len(known) == 0


def test_the_oldest_are_kept_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "REFLECTED_MAX", 2)
    known = Reflected()
    for key in (A, B, C):
        known.note(key, Position(5))
    known.note(A, Position(6))
    assert [known.covers(key, Position(5)) for key in (A, B, C)] == [True, True, False]
    assert known.covers(A, Position(6))


def _reads(system: MemorySystem, monkeypatch: pytest.MonkeyPatch) -> Counter[RecordKey]:
    counted: Counter[RecordKey] = Counter()
    index, stamps = system.index, system.index.stamps

    def counting(keys: Sequence[RecordKey]):  # type: ignore[no-untyped-def]
        counted.update(keys)
        return stamps(keys)

    monkeypatch.setattr(index, "stamps", counting)
    return counted


def _loaded() -> MemorySystem:
    """Return a graph that was loaded at once: entities, and behind them in the log their relationships."""
    system = MemorySystem(views=VIEWS, settings=SyncSettings(log_page=4))
    for number in range(8):
        system.graph.create_entity("Person", f"p{number}", {"name": f"name {number}"})
    system.graph.create_entity("Firm", "acme", {"name": "Acme"})
    for number in range(8):
        system.graph.relate(f"p{number}", "WORKS_AT", "acme")
    return system


def test_a_graph_that_was_loaded_at_once_has_each_entity_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    system = _loaded()
    reads = _reads(system, monkeypatch)
    system.settle()
    assert {reads[entity_key(f"p{number}")] for number in range(8)} == {1}
    assert system.engine.frontier == system.graph.feed.head()
    assert system.audit().is_consistent
    system.graph.update_entity("acme", {"name": "Acme & Co"})  # what comes later is reconciled as ever
    system.settle()
    assert {reads[entity_key(f"p{number}")] for number in range(8)} == {2}
    assert system.audit().is_consistent


def test_what_was_committed_behind_the_read_is_reconciled_again() -> None:
    system = _loaded()
    system.engine.intake()
    claims = system.engine.take()
    prepared = system.engine.prepare(claims)
    results = system.engine.embed(prepared)
    system.graph.update_entity("p0", {"name": "another"})  # the batch under way has not seen it
    system.engine.write(claims, prepared, results)
    assert system.engine.frontier < system.graph.feed.head()
    system.settle()
    assert system.engine.frontier == system.graph.feed.head()
    assert system.audit().is_consistent
