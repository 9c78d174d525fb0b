"""A PKG that went through NetworkX, or pandas, is the same; and so is a graph that went through a PKG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.values import same_properties
from slipstream.app.browsing import Browsing
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import RelationshipRef
from slipstream.integrations.networkx import from_networkx, to_networkx
from slipstream.integrations.pandas import entities_frame, from_frame, relationships_frame, relationships_from_frame
from slipstream.integrations.reading import all_entities, all_relationships
from slipstream.testkit.clock import ManualClock
from tests.depth import deeper, examples
from tests.property.test_graph_values import PROPERTIES, VALUES

IDS = st.sampled_from(["a", "b", "A:B", "1", "0", "é %3A"])
ENTITY_TYPES = st.sampled_from(["Person", "A B", "x:y"])
RELATIONSHIP_TYPES = st.sampled_from(["T", "T:U", "U", "T%3AU"])
KEYS = st.sampled_from(["", "0", "1", "-1", "01", "-0", "U", "T:", "U:k", "T:U:k", "T%3AU:k", "k", "1" * 20, "²"])
ENTITIES = st.dictionaries(IDS, st.tuples(ENTITY_TYPES, PROPERTIES), min_size=1, max_size=4)


class Kept(Browsing):
    """What reads and writes a graph in memory."""

    def __init__(self) -> None:
        graph = MemoryGraph(ManualClock())
        nothing = cast("Any", None)
        self._pkg = PKG(
            GraphPorts(
                reader=graph, writer=graph, feed=graph.feed, marks=nothing, sync_view=nothing, close=lambda: None
            )
        )

    @property
    def pkg(self) -> PKG:
        return self._pkg


def kept() -> Slipstream:
    """Return an empty one."""
    return cast("Slipstream", Kept())


def filled(draw: st.DrawFn) -> Slipstream:
    """Return one with entities, and relationships between them."""
    slip, entities = kept(), draw(ENTITIES)
    ends = st.sampled_from(sorted(entities))
    refs = draw(st.sets(st.builds(RelationshipRef, RELATIONSHIP_TYPES, ends, ends, KEYS), max_size=8))
    with slip.pkg.transaction() as tx:
        for entity_id, (name, properties) in entities.items():
            tx.create_entity(name, entity_id, properties)
        for ref in sorted(refs):
            tx.relate(*(ref.source_id, ref.type, ref.target_id), draw(PROPERTIES), discriminator=ref.discriminator)
    return slip


FILLED = st.composite(filled)


def told(slip: Slipstream) -> tuple[Mapping[str, tuple[str, Any]], Mapping[str, Any]]:
    """Return all that is in it."""
    return (
        {entity.id: (entity.type, entity.properties) for entity in all_entities(slip)},
        {relationship.ref.id: relationship.properties for relationship in all_relationships(slip)},
    )


def check_same(one: Slipstream, other: Slipstream) -> None:
    """Check that both hold the same, kinds of values included."""
    (entities, relationships), (other_entities, other_relationships) = told(one), told(other)
    assert {name: kind for name, (kind, _) in entities.items()} == {n: k for n, (k, _) in other_entities.items()}
    assert relationships.keys() == other_relationships.keys()
    for name, (_, properties) in entities.items():
        assert same_properties(properties, other_entities[name][1])
    for name, properties in relationships.items():
        assert same_properties(properties, other_relationships[name])


@deeper
@settings(max_examples=examples(60, 2_000))
@given(FILLED())
def test_a_pkg_through_networkx_is_the_same(slip: Slipstream) -> None:
    other = kept()
    from_networkx(other, to_networkx(slip, type_attribute="of type"), type_attribute="of type")
    check_same(slip, other)


@deeper
@settings(max_examples=examples(60, 2_000))
@given(FILLED())
def test_a_pkg_through_pandas_is_the_same(slip: Slipstream) -> None:
    other = kept()
    from_frame(other, entities_frame(slip))
    relationships_from_frame(other, relationships_frame(slip))
    check_same(slip, other)


NODES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4), min_size=1, max_size=5
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["name", "w", "key", "label"]), VALUES, max_size=3)
EDGE_KEYS = st.one_of(st.integers(-5, 5), st.sampled_from(["by hand", "K", "T:", "a:b", "01", "1.5"]))


@st.composite
def graphs(draw: st.DrawFn) -> nx.MultiDiGraph:
    """Draw a graph as NetworkX has it: its nodes are texts, its edges have keys."""
    graph = nx.MultiDiGraph()
    nodes = draw(NODES)
    for node in nodes:
        graph.add_node(node, type=draw(ENTITY_TYPES))
        graph.nodes[node].update(draw(ATTRIBUTES))
    for _ in range(draw(st.integers(0, 6))):
        source, target = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        key = draw(EDGE_KEYS)
        graph.add_edge(source, target, key=key, type=draw(st.sampled_from(["R", "S"])))
        graph.edges[source, target, key].update(draw(ATTRIBUTES))
    return graph


@deeper
@settings(max_examples=examples(60, 2_000))
@given(graphs())
def test_a_graph_through_a_pkg_is_the_same(graph: nx.MultiDiGraph) -> None:
    slip = kept()
    from_networkx(slip, graph)
    back = to_networkx(slip)
    assert nx.utils.graphs_equal(back, graph)
    assert sorted(map(repr, back.edges(keys=True))) == sorted(map(repr, graph.edges(keys=True)))
