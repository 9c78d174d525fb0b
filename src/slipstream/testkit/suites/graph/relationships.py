"""Relationships, neighbours and adjacency."""

from __future__ import annotations

from slipstream.domain.entities import Adjacency, Direction, EntityState, Hop, RelationshipState
from slipstream.domain.errors import (
    AlreadyExistsError,
)
from slipstream.domain.keys import RelationshipRef, entity_key, relationship_key
from slipstream.testkit.suites.graph.base import (
    Graphs,
    Kind,
    LoggedGraph,
    create,
    events,
    raises,
    relate,
    scanned,
    state,
    within,
)


class RelationshipTests(Graphs):
    """Relating entities and following the relationships."""

    def test_a_relationship_is_read_with_its_endpoints(self, graph: LoggedGraph) -> None:
        create(graph, "a:1%", name="Ada")
        create(graph, "o", entity_type="Org", name="Org")
        with graph.transaction() as tx:
            rid = tx.relate("a:1%", "WORKS_AT", "o", {"since": 1833}, discriminator="x:y")
        assert RelationshipRef.parse(rid) == RelationshipRef("WORKS_AT", "a:1%", "o", "x:y")
        found = graph.read([relationship_key(rid)], {}).states[relationship_key(rid)]
        assert isinstance(found, RelationshipState)
        assert (found.relationship.ref.id, found.relationship.properties) == (rid, {"since": 1833})
        assert (found.source.properties, found.target.type) == ({"name": "Ada"}, "Org")
        event = events(graph)[-1]
        assert (event.event_type, event.entity_id) == (Kind.RELATIONSHIP_CREATED, rid)
        assert (event.entity_type, event.source_type, event.target_type) == ("WORKS_AT", "Person", "Org")

    def test_parallel_relationships_differ_in_their_discriminator(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b")
        with graph.transaction() as tx:
            first, second = tx.relate("a", "K", "b", {"n": 1}), tx.relate("a", "K", "b", {"n": 2}, discriminator="2")
            raises(AlreadyExistsError, lambda: tx.relate("a", "K", "b"))
        raises(AlreadyExistsError, lambda: within(graph, lambda tx: tx.relate("a", "K", "b", discriminator="2")))
        within(graph, lambda tx: tx.relate("a", "K", "b", {"m": 3}, replace=True))
        within(graph, lambda tx: tx.update_relationship(second, {"m": "text", "n": None}))
        states = graph.read([relationship_key(first), relationship_key(second)], {}).states.values()
        assert [s.relationship.properties for s in states if isinstance(s, RelationshipState)] == [
            {"m": 3}, {"m": "text"}
        ]  # fmt: skip
        within(graph, lambda tx: tx.unrelate(first))
        assert scanned(graph, 10)[2:] == [relationship_key(second)]

    def test_one_relationship_type_joins_several_pairs_of_types(self, graph: LoggedGraph) -> None:
        create(graph, "p", "q")
        create(graph, "o", entity_type="Org")
        for pair in (("p", "q"), ("p", "o"), ("o", "q"), ("o", "o")):
            relate(graph, pair[0], "ABOUT", pair[1])
        assert graph.counts()["ABOUT"] == 4
        assert (
            len(state(graph, "o", Hop("ABOUT", Direction.BOTH), of="Org").neighbours[Hop("ABOUT", Direction.BOTH)])
            == 3
        )

    def test_neighbours_are_ordered_and_then_cut(self, graph: LoggedGraph) -> None:
        create(graph, "z", "é", "b", "a", "hub", name="n")
        with graph.transaction() as tx:
            for number, other in enumerate(("z", "b", "é", "a")):
                tx.relate("hub", "K", other, {"n": number})
                tx.relate(other, "K", "hub")
            tx.relate("hub", "K", "b", discriminator="2")
            tx.relate("hub", "K", "hub")
        cases = {
            Hop("K"): ["a", "b", "b", "hub", "z", "é"],
            Hop("K", limit=3): ["a", "b", "b"],
            Hop("K", Direction.IN): ["a", "b", "hub", "z", "é"],
            Hop("K", Direction.BOTH, limit=100): ["a", "a", "b", "b", "b", "hub", "z", "z", "é", "é"],
            Hop("UNKNOWN"): [],
        }
        found = state(graph, "hub", *cases).neighbours
        assert {hop: [item.entity.id for item in found[hop]] for hop in cases} == cases
        ids = [item.relationship.ref.id for item in found[Hop("K", Direction.BOTH, limit=100)]]
        assert ids[2:5] == sorted(ids[2:5])
        assert found[Hop("K")][0].entity.properties == {"name": "n"}
        assert found[Hop("K")][0].relationship.properties == {"n": 3}

    def test_hops_of_several_steps_reach_each_entity_once_nearest_first(self, graph: LoggedGraph) -> None:
        with graph.transaction() as tx:
            for name in ("a", "b", "c", "d", "e", "f", "x"):
                tx.create_entity("Person", name, {"name": name})
            for source, target in ("ac", "ab", "bd", "cd", "de", "ea", "ef", "aa", "xa"):
                tx.relate(source, "K", target)
            tx.relate("a", "K", "b", {"n": 1}, discriminator="2")
            tx.relate("b", "OTHER", "f")
        cases = {
            Hop("K", depth=2): ["b", "c", "d"],
            Hop("K", depth=3): ["b", "c", "d", "e"],
            Hop("K", depth=5): ["b", "c", "d", "e", "f"],
            Hop("K", depth=5, limit=2): ["b", "c"],
            Hop("K", depth=5, limit=3): ["b", "c", "d"],
            Hop("K", Direction.IN, depth=2): ["e", "x", "d"],
            Hop("K", Direction.BOTH, depth=2): ["b", "c", "e", "x", "d", "f"],
            Hop("UNKNOWN", depth=3): [],
        }
        found = state(graph, "a", *cases).neighbours
        assert {hop: [item.entity.id for item in found[hop]] for hop in cases} == cases
        by = {item.entity.id: item.relationship.ref for item in found[Hop("K", depth=5)]}
        assert (by["b"].discriminator, by["d"].source_id, by["f"].source_id) == ("", "b", "e")

    def test_a_limit_also_cuts_what_lies_behind(self, graph: LoggedGraph) -> None:
        with graph.transaction() as tx:
            for name in ("a", "b", "c", "z"):
                tx.create_entity("Person", name, {})
            for source, target in ("ab", "ac", "cz"):
                tx.relate(source, "K", target)
        (hop, cut) = (Hop("K", depth=2, limit=3), Hop("K", depth=2, limit=1))
        found = state(graph, "a", hop, cut).neighbours
        assert [item.entity.id for item in found[hop]] == ["b", "c", "z"]
        assert [item.entity.id for item in found[cut]] == ["b"]

    def test_hops_follow_the_type_of_each_entity(self, graph: LoggedGraph) -> None:
        create(graph, "p")
        create(graph, "o", entity_type="Org")
        within(graph, lambda tx: tx.relate("p", "WORKS_AT", "o"))
        hops = {"Person": [Hop("WORKS_AT")], "Org": [Hop("WORKS_AT", Direction.IN)], "Nothing": [Hop("X")]}
        states = graph.read([entity_key("p"), entity_key("o"), entity_key("p"), entity_key("x")], hops).states
        seen = {key.id: found.neighbours for key, found in states.items() if isinstance(found, EntityState)}
        assert [[n.entity.id for n in found] for found in seen["p"].values()] == [["o"]]
        assert [[n.entity.id for n in found] for found in seen["o"].values()] == [["p"]]
        assert (list(seen["p"]), list(seen["o"])) == ([Hop("WORKS_AT")], [Hop("WORKS_AT", Direction.IN)])

    def test_adjacency_is_paged_in_order(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c")
        with graph.transaction() as tx:
            for pair in ("ab", "ba", "ac", "aa", "cb"):
                tx.relate(pair[0], "K", pair[1])
            tx.relate("a", "L", "b")
        whole = graph.adjacent(["c", "a", "a", "unknown"], None, None, 100)
        assert [item.order for item in whole] == sorted(item.order for item in whole)
        assert [(item.entity_id, item.direction.value, item.ref.id) for item in whole] == [
            ("a", "in", "K:a:a"), ("a", "in", "K:b:a"),
            ("a", "out", "K:a:a"), ("a", "out", "K:a:b"), ("a", "out", "K:a:c"), ("a", "out", "L:a:b"),
            ("c", "in", "K:a:c"), ("c", "out", "K:c:b"),
        ]  # fmt: skip
        assert [item.neighbour_id for item in whole] == ["a", "b", "a", "b", "c", "b", "a", "b"]
        assert {item.neighbour_type for item in whole} == {"Person"}
        paged: list[Adjacency] = []
        after: Adjacency | None = None
        while page := graph.adjacent(["c", "a"], None, after, 3):
            paged += page
            after = page[-1]
        assert paged == list(whole)
        assert [i.ref.type for i in graph.adjacent(["a", "b"], frozenset({"L", "X"}), None, 9)] == ["L", "L"]
