"""The graph's file is removed or replaced under a running engine: it halts, and deletes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import IncidentError
from tests.integration.incident_world import World


def _few(world: World) -> Slipstream:
    slip = world.open()
    with slip.pkg.transaction() as tx:
        for number in range(5):
            tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
    assert slip.sync.drain(timeout_s=60)
    return slip


def _wait_for_halt(slip: Slipstream) -> None:
    """The engine sees it by itself, and tells whoever waits for it."""
    while True:
        slip.sync.pause(0.2)


def _another_in_place(world: World) -> None:
    path = world.root / "another.db"
    graph = SqliteGraph(path, clock=SystemClock())
    graph.create_entity("Person", "stranger", {"name": "stranger"})
    graph.close()
    world.remove()  # with its log: SQLite would take that for the other file's
    shutil.move(path, world.graph)


@pytest.mark.parametrize("kind", ["missing", "another"])
def test_the_engine_halts_and_searches_go_on(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path, "sqlite")
    slip = _few(world)
    if kind == "missing":
        world.graph.unlink()
    else:
        _another_in_place(world)
    with pytest.raises(IncidentError, match=f"{'removed' if kind == 'missing' else 'replaced'}.* while it was open"):
        _wait_for_halt(slip)
    incident = slip.incident
    assert incident is not None
    assert incident.kind == kind
    assert isinstance(slip.sync.failure, IncidentError)
    results = slip.search("name 3", k=1)
    assert (results[0].entity_id, results.degraded, results.incident) == ("p3", ("graph",), incident)
    assert len(slip.store.index.scan(None, 100)) == 5
    for call in (lambda: slip.pkg.delete_entity("p1"), slip.verify):
        with pytest.raises(IncidentError, match="Ways on"):
            call()
    assert slip.sync.status().halted is not None
    assert {reading.rule for reading in slip.watch.readings() if reading.is_breached} >= {"incident", "halted"}
    slip.close()
    assert world.graph.exists() is (kind == "another")
    with world.open() as again:
        assert again.incident is not None
        assert again.incident.kind == kind
        assert len(again.store.index.scan(None, 100)) == 5


def test_a_file_that_is_put_back_is_the_right_one_at_the_next_open(tmp_path: Path) -> None:
    world = World(tmp_path, "sqlite")
    slip = _few(world)
    kept = world.graph.with_name("kept.db")
    world.graph.rename(kept)
    with pytest.raises(IncidentError):
        _wait_for_halt(slip)
    kept.rename(world.graph)
    slip.close()
    with world.open() as again:
        assert again.incident is None
        again.pkg.create_entity("Person", "new", {"name": "new"})
        assert again.sync.drain(timeout_s=60)
        assert world.embedder.embedded == ["new"]
        assert again.verify().fresh == 6
