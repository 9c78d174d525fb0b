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
