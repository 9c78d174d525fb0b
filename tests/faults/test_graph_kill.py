"""kill -9 at random times: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.domain.entities import EntityState, Hop
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import ORIGIN
from slipstream.testing.clock import ManualClock

KILLS = 10


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    chance = random.Random(20261123)
    for _ in range(KILLS):
        acknowledged |= commits_until_killed(tmp_path / "graph", chance.randint(1, 120))
        check(tmp_path / "graph", acknowledged)
    assert len(acknowledged) >= KILLS


@pytest.mark.slow
def test_nothing_is_lost_amid_checkpoints(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    for _ in range(KILLS):
        acknowledged = commits_until_killed(tmp_path / "graph", chance.randint(1, 200), "updates")
        graph = LadybugGraph(tmp_path / "graph", clock=ManualClock(), buffer_pool_size_bytes=64 << 20)
        events = [entry for entry in graph.log.read(ORIGIN, 100_000) if isinstance(entry, PKGEvent)]
        assert [event.position for event in events] == list(range(1, graph.last_commit + 1))
        assert max(acknowledged.values()) <= graph.last_commit
        newest = {entity_key(event.entity_id): event.new_data for event in events if event.entity_type == "Person"}
        states = graph.read(list(newest), {}).states
        found = {key: state.entity.properties for key, state in states.items() if isinstance(state, EntityState)}
        assert found == newest
        graph.close()


def commits_until_killed(path: Path, acknowledgements: int, *mode: str) -> dict[str, int]:
    """Run a writer, kill it right after so many acknowledgements, and return what it has acknowledged in all."""
    command = [sys.executable, "-m", "tests.faults.graph_writer", str(path), *mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(acknowledgements)]
        writer.kill()
        lines += writer.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]
    assert len(whole) >= acknowledgements
    return {name: int(position) for position, name in whole}


def check(path: Path, acknowledged: dict[str, int]) -> None:
    """Compare data, log, scan and schema of the graph with each other and with what was acknowledged."""
    graph = LadybugGraph(path, clock=ManualClock(), buffer_pool_size_bytes=64 << 20)
    try:
        assert graph.changed_while_closed
        events = [entry for entry in graph.log.read(ORIGIN, 100_000) if isinstance(entry, PKGEvent)]
        assert [event.position for event in events] == list(range(1, graph.last_commit + 1))
        created = {e.entity_id: e for e in events if e.event_type is PKGEventType.ENTITY_CREATED}
        assert acknowledged.keys() <= created.keys()
        assert max(acknowledged.values()) <= graph.last_commit
        states = graph.read([entity_key(name) for name in created], {"Person": [Hop("IN")]}).states
        assert {key.id for key in states} == created.keys()
        assert_whole(created, list(states.values()))
        counts = graph.counts()
        assert counts.get("Person", 0) == counts.get("IN", 0) == len(created) - 1
        assert len(graph.scan(None, 100_000)) == 2 * (len(created) - 1) + 1
    finally:
        graph.close()


def assert_whole(created: dict[str, PKGEvent], states: list[object]) -> None:
    """Fail for an entity without its properties or its relationship."""
    for state in states:
        assert isinstance(state, EntityState)
        if state.entity.type == "Person":
            assert state.entity.properties == created[state.entity.id].new_data
            ((neighbour,),) = state.neighbours.values()
            assert neighbour.relationship.properties == {"n": state.entity.properties["n"]}
