"""The engine over a graph without snapshots, beside another writer: the index converges all the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from slipstream.adapters.graphs.memory_sync_view import MemorySyncView
from slipstream.domain.keys import entity_key
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.broken.remote import BoundsNothing, PassesHoles
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.remote import CALM, RemoteDatabase, RemoteGraph, Trouble
from slipstream.testkit.system import MemorySystem

NAMES = tuple("abcdefgh")
BAD = Trouble(unreached=0.03, unanswered=0.03)
"""The engine hears of the trouble."""


def _system_over(graph: RemoteGraph) -> MemorySystem:
    """Return a system over a client, with the sync view kept here: this is about the graph's own data."""

    @contextmanager
    def unguarded() -> Iterator[None]:
        yield

    class Remote(MemorySystem):
        def __post_init__(self) -> None:
            self.graph = graph  # type: ignore[assignment]
            self.reopen()

    graph.sync_view = MemorySyncView(unguarded, graph.database.store.entities)  # type: ignore[attr-defined]
    return Remote(clock=graph.database.clock)


def _writes(tx: GraphTransaction, chance: random.Random) -> None:
    """Commit a few mutations of entities that come and go."""
    for name in chance.sample(NAMES, 3):
        tx.upsert_entity(chance.choice(("Person", "Org")), name, {"name": f"{name}{chance.randrange(100)}"})
    source, target = chance.sample(NAMES, 2)
    for name in (source, target):
        tx.upsert_entity("Person", name, {"name": f"{name}{chance.randrange(100)}"})
    tx.relate(source, "KNOWS", target, {"since": chance.randrange(100)}, replace=True)
    if chance.random() < 0.4:
        tx.delete_entity(chance.choice((source, target)))


def _run(seed: int, trouble: Trouble, kind: type[RemoteGraph]) -> float:
    """Let another client write while the engine works, then let the engine finish; return how much is right."""
    clock, chance = ManualClock(), random.Random(seed)
    database = RemoteDatabase(clock, seed)
    graph = kind(database, clock, CALM)
    system = _system_over(graph)
    graph._line.trouble = trouble
    database.second_writer = lambda tx: _writes(tx, chance)
    for _ in range(150):
        if not system.engine.step():
            clock.sleep(0.05)
    database.second_writer = None
    database.settle()
    graph._line.trouble = CALM
    system.settle()
    seen = graph.read([entity_key(name) for name in NAMES], {})
    stamps = [system.stamp(key.id) for key in seen.states]
    assert all(stamp is None or stamp.position <= seen.position for stamp in stamps)
    return system.audit().consistency or 0.0


@pytest.mark.parametrize("trouble", [CALM, BAD], ids=["calm", "bad"])
@pytest.mark.parametrize("seed", range(6))
def test_the_index_converges_beside_another_writer(seed: int, trouble: Trouble) -> None:
    assert _run(seed, trouble, RemoteGraph) == 1.0


@pytest.mark.parametrize("broken", [PassesHoles, BoundsNothing], ids=lambda kind: kind.__name__)
def test_over_a_client_that_breaks_the_contract_it_does_not(broken: type[RemoteGraph]) -> None:
    assert any(_run(seed, CALM, broken) < 1.0 for seed in range(20))
