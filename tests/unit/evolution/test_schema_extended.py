"""A schema taken in by itself: one version a call, nothing lost, and nothing that the rules refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import InvalidInputError
from slipstream.ports.graph import SchemaTransaction
from slipstream.testkit.clock import ManualClock

Graph = MemoryGraph | SqliteGraph


@pytest.fixture(params=["memory", "sqlite"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Graph]:
    clock = ManualClock()
    is_memory = request.param == "memory"
    made: Graph = MemoryGraph(clock=clock) if is_memory else SqliteGraph(tmp_path / "g.db", clock=clock)
    yield made
    made.close()


def _extend(graph: Graph, entities: dict[str, dict[str, str]], relationships: dict[str, dict[str, str]]) -> bool:
    with graph.transaction() as tx:
        assert isinstance(tx, SchemaTransaction)
        return tx.extend_schema(entities, relationships)


def test_types_and_properties_are_one_version_and_known_ones_keep_their_kind(graph: Graph) -> None:
    assert _extend(graph, {"A": {"x": "integer"}, "B": {}}, {"R": {"y": "datetime"}})
    assert graph.schema().version == 2
    assert not _extend(graph, {"A": {"x": "string"}}, {"R": {}})
    assert graph.schema().version == 2
    assert _extend(graph, {"A": {"x": "string", "z": "map"}}, {})
    schema = graph.schema()
    assert (schema.version, schema.entity_types) == (3, {"A": {"x": "integer", "z": "map"}, "B": {}})
    assert schema.relationship_types == {"R": {"y": "datetime"}}
    before = graph.schema_at(2)
    assert before is not None
    assert before.entity_types == {"A": {"x": "integer"}, "B": {}}


def test_what_comes_later_in_the_transaction_finds_it_there(graph: Graph) -> None:
    with graph.transaction() as tx:
        assert isinstance(tx, SchemaTransaction)
        tx.extend_schema({"A": {"x": "integer"}}, {})
        tx.create_entity("A", "a", {"x": 1, "new": True})
    assert graph.schema().version == 2
    assert graph.schema().entity_types == {"A": {"x": "integer", "new": "boolean"}}


@pytest.mark.parametrize(
    ("entities", "relationships"), [({"A": {}}, {"A": {}}), ({"_a": {}}, {}), ({}, {"": {}}), ({"R": {}}, {})]
)
def test_names_that_no_type_can_have_are_refused(
    graph: Graph, entities: dict[str, dict[str, str]], relationships: dict[str, dict[str, str]]
) -> None:
    _extend(graph, {}, {"R": {}})
    with pytest.raises(InvalidInputError):
        _extend(graph, entities, relationships)
    assert graph.schema().version == 2
