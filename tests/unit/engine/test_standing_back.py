"""Work in the background stands back while somebody searches; live changes do not."""

from __future__ import annotations

import pytest

from slipstream.domain.keys import entity_key
from slipstream.domain.work import Lane
from slipstream.testkit.system import MemorySystem

MANY = 40


@pytest.fixture
def system() -> MemorySystem:
    system = MemorySystem()
    with system.graph.transaction() as tx:
        for number in range(MANY):
            tx.create_entity("Person", f"p{number}", {"name": f"person {number}"})
    system.settle()
    system.clock.sleep(60)  # the live changes are long ago
    system.engine.mark([entity_key(f"p{number}") for number in range(MANY)], lane=Lane.BACKFILL, reason="again")
    return system


def _taken(system: MemorySystem) -> int:
    claims = system.engine.take()
    system.engine.give_back(claims)
    return len(claims)


def test_background_batches_are_tiny_while_somebody_searches(system: MemorySystem) -> None:
    assert _taken(system) > 1
    assert not system.engine.is_busy
    system.searcher.search("person 7", k=1)
    assert system.engine.is_busy
    assert _taken(system) == 1
    system.clock.sleep(0.2)
    assert not system.engine.is_busy
    assert _taken(system) > 1


def test_live_changes_are_taken_all_at_once_beside_a_search(system: MemorySystem) -> None:
    with system.graph.transaction() as tx:
        for number in range(MANY):
            tx.update_entity(f"p{number}", {"name": f"another {number}"})
    while system.engine.intake():
        pass
    system.searcher.search("person 7", k=1)
    claims = system.engine.take(background=False)
    assert {claim.lane for claim in claims} == {Lane.LIVE}
    assert len(claims) == MANY


def _busy_turn(system: MemorySystem, number: int, entity_id: str = "p0") -> None:
    """Have the engine do a batch of live changes, of which there always are some."""
    system.graph.update_entity(entity_id, {"name": f"edited {number}"})
    system.engine.guarded_intake()
    system.clock.sleep(0.02)
    system.engine.process(system.engine.take(background=False))


def test_live_changes_that_never_end_leave_the_background_a_share(system: MemorySystem) -> None:
    assert system.engine.pending()[Lane.BACKFILL] == MANY
    for number in range(2_000):
        _busy_turn(system, number)
        if not system.engine.pending()[Lane.BACKFILL]:
            return
    pytest.fail("the background was never done")


def test_a_scan_is_read_beside_live_changes_that_never_end(system: MemorySystem) -> None:
    system.settle()
    system.engine.request_full_scan()
    for number in range(2_000):
        _busy_turn(system, number, f"p{number % MANY}")
        if not system.engine.intake_stage.progress():
            return
    pytest.fail("the scan was never read to its end")
