"""What a scan saw of an entity's type saves its look-up, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.adapters.graphs.ladybug.snapshot import Snapshot
from slipstream.domain.entities import EntityState
from slipstream.domain.keys import entity_key
from slipstream.testing.clock import ManualClock

IDS = [f"id{number}" for number in range(12)]
TRUE = {name: ("Person", "Robot")[at % 2] for at, name in enumerate(IDS)}


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[LadybugGraph]:
    graph = LadybugGraph(tmp_path / "graph", clock=ManualClock(), buffer_pool_size_bytes=64 << 20)
    with graph.transaction() as transaction:
        for name, kind in TRUE.items():
            transaction.create_entity(kind, name, {"name": f"n {name}", "tags": ["a"], "odd": {"x": 1}})
    yield graph
    graph.close()


@pytest.mark.parametrize(
    "likely",
    [
        {},
        TRUE,
        dict.fromkeys(IDS, "Person"),
        dict.fromkeys(IDS, "Gone"),
        {**dict.fromkeys(IDS[:3], "Robot"), **dict.fromkeys(IDS[3:], "Person")},
    ],
    ids=["unknown", "right", "half wrong", "of no table", "mostly wrong"],
)
def test_a_wrong_guess_finds_the_same(graph: LadybugGraph, likely: dict[str, str]) -> None:
    with graph._reading() as reading:
        found = reading.snapshot.find([*IDS, "nobody"], likely)
    assert {entity.id: entity.type for entity in found.values()} == TRUE
    assert all(e.properties == {"name": f"n {e.id}", "tags": ["a"], "odd": {"x": 1}} for e in found.values())


def test_a_scan_saves_the_look_up_of_types(graph: LadybugGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    types = Snapshot.types

    def counted(self: Snapshot, ids: list[str]) -> dict[str, str]:
        looked_up.extend(ids)
        return types(self, ids)

    monkeypatch.setattr(Snapshot, "types", counted)
    keys = [entity_key(name) for name in IDS]
    before = graph.read(keys, {}).states
    assert looked_up == IDS
    looked_up.clear()
    graph.scan(None, 100)
    assert graph.read(keys, {}).states == before
    assert looked_up == []


def test_an_entity_that_was_made_anew_is_of_its_new_type(graph: LadybugGraph) -> None:
    graph.scan(None, 100)
    with graph.transaction() as transaction:
        transaction.delete_entity(IDS[0])
        transaction.delete_entity(IDS[1])
    with graph.transaction() as transaction:
        transaction.create_entity("Robot", IDS[0], {"name": "again"})
    states = graph.read([entity_key(name) for name in IDS], {}).states
    again = states[entity_key(IDS[0])]
    assert isinstance(again, EntityState)
    assert (again.entity.type, again.entity.properties) == ("Robot", {"name": "again"})
    assert entity_key(IDS[1]) not in states
    assert len(states) == len(IDS) - 1
