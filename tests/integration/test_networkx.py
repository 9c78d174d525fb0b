"""NetworkX in and out, of an open PKG and of one that a server holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import slipstream
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.integrations import bringing
from slipstream.integrations.networkx import from_networkx, to_networkx
from tests.importers.world import entities_of, opened, relationships_of
from tests.integration.http_running import running


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg") as found:
        yield found


def letters() -> Any:
    graph = nx.MultiDiGraph(title="letters")
    graph.add_node("ada", type="Person", name="Ada", born=np.int64(1815), died=None, tags=("a", "b"))
    graph.add_node("engine", type="Machine", built=date(1837, 1, 1), weight=np.float64("nan"))
    graph.add_edge("ada", "engine", type="DESCRIBED", at=datetime(1843, 9, 1, tzinfo=UTC))
    graph.add_edge("ada", "babbage")
    graph.add_edge("ada", "babbage", key="by hand", pages=3)
    return graph


def test_a_graph_is_written_and_read_again(slip: Slipstream) -> None:
    brought = from_networkx(slip, letters(), entity_type="Thing", relationship_type="WROTE_TO")
    assert (brought.entities, brought.relationships) == (3, 3)
    assert brought.notes == ["attributes of the graph itself are not kept: title"]
    assert brought.position == slip.pkg.feed.head()
    assert entities_of(slip) == {
        "ada": ("Person", {"name": "Ada", "born": 1815, "tags": ["a", "b"]}),
        "engine": ("Machine", {"built": "1837-01-01"}),
        "babbage": ("Thing", {}),
    }
    assert relationships_of(slip) == {
        "DESCRIBED:ada:engine",
        "WROTE_TO:ada:babbage",
        "WROTE_TO:ada:babbage:by hand",
    }
    back = to_networkx(slip)
    assert sorted(back.edges(keys=True), key=repr) == sorted(letters().edges(keys=True), key=repr)
    assert back.nodes["ada"]["type"] == "Person"
    assert back.edges["ada", "engine", 0]["at"] == datetime(1843, 9, 1, tzinfo=UTC)
    assert from_networkx(slip, back).position == brought.position  # nothing is changed


def test_types_can_be_chosen(slip: Slipstream) -> None:
    from_networkx(slip, letters(), entity_type="Person", relationship_type="WROTE_TO")
    people = to_networkx(slip, entity_types=["Person"])
    assert set(people) == {"ada", "babbage"}
    assert [name for *_, name in people.edges(data="type")] == ["WROTE_TO", "WROTE_TO"]
    described = to_networkx(slip, relationship_types=["DESCRIBED", "NOTHING"])
    assert list(described.edges(keys=True)) == [("ada", "engine", 0)]
    assert len(described) == 3


def test_nodes_without_attributes_leave_what_is_there(slip: Slipstream) -> None:
    slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
    brought = from_networkx(slip, nx.Graph([("ada", "bob"), ("bob", "ada"), ("bob", 1)]))
    assert (brought.entities, brought.relationships) == (2, 2)
    assert "undirected edges became relationships in one direction each" in brought.notes
    assert entities_of(slip)["ada"] == ("Person", {"name": "Ada"})
    assert relationships_of(slip) == {"RELATED_TO:ada:bob", "RELATED_TO:bob:1"}


def test_edges_of_two_types_never_become_one(slip: Slipstream) -> None:
    with slip.pkg.transaction() as tx:
        tx.create_entity("P", "a", {})
        for name, key in (("A", ""), ("B", ""), ("C", "B:"), ("B", "1"), ("A", "1"), ("A", "0")):
            tx.relate("a", name, "a", {"of": f"{name}/{key}"}, discriminator=key)
    graph = to_networkx(slip)
    assert {(key, data["of"]) for *_, key, data in graph.edges(keys=True, data=True)} == {
        (0, "A/"),
        ("B:", "B/"),
        ("C:B:", "C/B:"),
        (1, "A/1"),
        ("B:1", "B/1"),
        ("0", "A/0"),
    }
    before = slip.pkg.feed.head()
    assert from_networkx(slip, graph).position == before


def test_an_edge_that_has_the_name_of_another_one_makes_room(slip: Slipstream) -> None:
    with slip.pkg.transaction() as tx:
        tx.create_entity("P", "a", {})
        for name, key in (("A", ""), ("A", "Z:"), ("Z", "")):
            tx.relate("a", name, "a", {}, discriminator=key)
    graph = to_networkx(slip)
    assert {(key, data["type"]) for *_, key, data in graph.edges(keys=True, data=True)} == {
        (0, "A"),
        ("A:Z:", "A"),
        ("Z:", "Z"),
    }
    before = slip.pkg.feed.head()
    assert from_networkx(slip, graph).position == before


def graph_with(**attributes: Any) -> Any:
    graph = nx.DiGraph()
    graph.add_node("a", **attributes)
    return graph


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (nx.Graph([(1, "1")]), "1 and '1' would both be '1'"),
        (nx.Graph([((1, 2), "a")]), r"\(1, 2\) is a tuple: ids are texts, so give node_id"),
        (nx.Graph([(True, "a")]), "True is a bool"),
        (graph_with(at=datetime(2020, 1, 1)), "at of node 'a': 2020-01-01 00:00:00 has no time zone"),  # noqa: DTZ001
        (graph_with(at=np.datetime64("2020-01-01")), "has no time zone"),
        (graph_with(what=object()), "what of node 'a': object can not be stored"),
        (graph_with(what=b"x"), "bytes can not be stored"),
        (graph_with(type=7), "7 of node 'a' is no text"),
        (graph_with(id="b"), "differs from the identity 'a'"),
        (nx.MultiDiGraph([("a", "b", "1", {}), ("a", "b", 1, {})]), "have the same key"),
        (nx.MultiDiGraph([("a", "b", (1, 2), {})]), "a key is a text or a number"),
    ],
)
def test_what_a_pkg_can_not_keep_is_refused_before_anything_is_written(
    slip: Slipstream, graph: Any, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        from_networkx(slip, graph)
    assert entities_of(slip) == {}


def test_types_are_looked_at_before_anything_is_written(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "_BATCH_SIZE", 1)
    nodes = graph_with(name="A")
    nodes.add_node("b", type=7)
    edges = nx.MultiDiGraph([("a", "b", 0, {"type": "R"}), ("a", "b", 1, {"type": 7})])
    for graph in (nodes, edges):
        with pytest.raises(InvalidInputError, match=r"7 of .* is no text"):
            from_networkx(slip, graph)
        assert entities_of(slip) == {}
    edges.edges["a", "b", 1]["type"] = float("nan")
    assert from_networkx(slip, edges, relationship_type="S").relationships == 2
    assert relationships_of(slip) == {"R:a:b", "S:a:b:1"}


def test_attributes_are_named_by_texts(slip: Slipstream) -> None:
    graph = graph_with()
    graph.nodes["a"][7] = "x"
    with pytest.raises(InvalidInputError, match="the attribute 7 of node 'a': names are texts"):
        from_networkx(slip, graph)


def test_nodes_can_be_named(slip: Slipstream) -> None:
    grid = nx.grid_2d_graph(2, 2)
    from_networkx(slip, grid, node_id=lambda node: f"{node[0]}/{node[1]}")
    assert set(entities_of(slip)) == {"0/0", "0/1", "1/0", "1/1"}


def test_a_property_called_as_the_type_is_not_overwritten(slip: Slipstream) -> None:
    slip.pkg.create_entity("Airport", "a", {"type": "big"})
    with pytest.raises(InvalidInputError, match="call the type otherwise"):
        to_networkx(slip)
    assert to_networkx(slip, type_attribute="kind").nodes["a"] == {"type": "big", "kind": "Airport"}


def test_a_server_takes_and_gives_more_than_one_batch(tmp_path: Path) -> None:
    wheel = nx.wheel_graph(1_200)
    with (
        running(tmp_path, is_empty=True) as served,
        slipstream.connect(f"http://127.0.0.1:{served.api.port}") as slip,
    ):
        brought = from_networkx(slip, wheel, entity_type="Spoke")
        assert (brought.entities, brought.relationships) == (1_200, wheel.number_of_edges())
        back = nx.Graph(to_networkx(slip))
    assert nx.utils.edges_equal(back.edges, nx.relabel_nodes(wheel, str).edges)


def test_without_networkx_the_remedy_is_told(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ConfigError, match=r"install slipstream-pkg\[networkx\]"):
        to_networkx(slip)
