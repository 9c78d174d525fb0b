"""Pages of what does not fit one: keys of some types, the relationships of a hub, neighbours up to a limit."""

from __future__ import annotations

from slipstream.domain.entities import Adjacency, Direction, Hop
from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.testkit.suites.graph.base import Graphs, LoggedGraph, create, scanned, state

_ALIKE = ("K", "KK", "K W", "K!", "K%", "K%3A", "K:", "K:a", "K;", "K~", "k", "é", "\U0010ffff\U0010ffff\U0010ffff")
"""Types that begin alike, also when they are encoded."""


class PagingTests(Graphs):
    """Order and completeness over pages."""

    def test_a_scan_of_some_relationship_types_is_ordered_and_complete(self, graph: LoggedGraph) -> None:
        refs = _relate_alike(graph)
        entities = [entity_key(name) for name in ("a", "b:%")]
        chosen = [
            (), ("K",), ("K:",), ("K%",), ("K%3A",), ("K", "K:a"), ("K:", "K!", "KK"), ("K;", "K~", "é"),
            ("unknown",), ("Person", "K"), _ALIKE,
        ]  # fmt: skip
        for types in chosen:
            of_types = [relationship_key(ref.id) for ref in refs if ref.type in types]
            expected = sorted([*entities, *of_types], key=RecordKey.encode)
            for limit in (1, 2, 100):
                assert scanned(graph, limit, types) == expected
                assert scanned(graph, limit, frozenset(types)) == expected
        assert scanned(graph, 3) == scanned(graph, 3, set(_ALIKE))
        types_of = {item.key: item.type for item in graph.scan(None, 100)}
        assert {relationship_key(ref.id): ref.type for ref in refs}.items() <= types_of.items()

    def test_a_type_that_is_given_twice_is_scanned_once(self, graph: LoggedGraph) -> None:
        _relate_alike(graph)
        assert scanned(graph, 100, ["K", "KK", "K"]) == scanned(graph, 100, {"K", "KK"})
        assert scanned(graph, 2, ["K", "K", "K"]) == scanned(graph, 2, {"K"})

    def test_a_scan_of_some_types_starts_behind_any_key(self, graph: LoggedGraph) -> None:
        _relate_alike(graph)
        types = {"K:", "K%", "K W", "KK"}
        expected = scanned(graph, 100, types)
        starts = [*scanned(graph, 100), entity_key("zzz"), relationship_key("A:a:a"), relationship_key("zz:a:a")]
        for start in starts:
            found = [item.key for item in graph.scan(start, 100, types)]
            assert found == [key for key in expected if key.encode() > start.encode()]

    def test_a_scan_of_some_types_goes_on_while_keys_come_and_go(self, graph: LoggedGraph) -> None:
        create(graph, *(f"p{number}" for number in range(12)))
        with graph.transaction() as tx:
            for number in range(11):
                for name in ("A", "A:", "AB"):
                    tx.relate(f"p{number}", name, f"p{number + 1}")
        lasting = [key for key in scanned(graph, 100, {"A", "AB"}) if "p3" not in key.id]
        found: list[RecordKey] = []
        while page := graph.scan(found[-1] if found else None, 4, {"A", "AB"}):
            found += [item.key for item in page]
            with graph.transaction() as tx:
                tx.relate("p0", "A:" if len(found) % 8 else "AB", "p0", discriminator=str(len(found)))
                if len(found) == 8:
                    tx.delete_entity("p3")
        encoded = [key.encode() for key in found]
        assert encoded == sorted(set(encoded))
        assert set(lasting) <= set(found)
        assert not [key for key in found if key.id.startswith("A%3A:")]

    def test_the_relationships_of_a_hub_are_paged_in_order(self, graph: LoggedGraph) -> None:
        hub, others = "hub", [f"o{number}" for number in range(60)]
        create(graph, hub, *others)
        refs = [RelationshipRef("K", hub, hub, key) for key in ("", "1", "2")]
        for number, other in enumerate(others):
            refs.append(RelationshipRef("K", hub, other))
            refs.append(RelationshipRef(("K", "K:", "L")[number % 3], other, hub, "x" if number % 2 else ""))
            refs += [RelationshipRef("L", hub, other, str(key)) for key in range(number % 4)]
        with graph.transaction() as tx:
            for ref in refs:
                tx.relate(ref.source_id, ref.type, ref.target_id, discriminator=ref.discriminator)
            tx.relate("o1", "K", "o2")
        for ids, types, limit in (([hub], None, 7), ([hub, "o7", hub], None, 64), (["o7", hub], {"K", "L"}, 5)):
            kept = None if types is None else frozenset(types)
            expected = [item for item in _seen(refs, ids) if kept is None or item.ref.type in kept]
            assert list(graph.adjacent(ids, kept, None, 10_000)) == expected
            found: list[Adjacency] = []
            while page := graph.adjacent(ids, kept, found[-1] if found else None, limit):
                assert len(page) == min(limit, len(expected) - len(found))
                found += page
            assert found == expected
        for limit in (0, 1, 7, 64, 1000):
            ids = [hub, "o7", "o3", "unknown", hub]
            each = [item for one in sorted(set(ids)) for item in graph.adjacent([one], None, None, limit)]
            assert list(graph.nearby(ids, limit)) == each
        assert graph.nearby([], 9) == []
        assert graph.adjacent([hub], frozenset(), None, 9) == graph.adjacent([], None, None, 9) == []
        assert graph.adjacent([hub], None, None, 0) == []

    def test_neighbours_of_both_directions_are_cut_at_the_limit(self, graph: LoggedGraph) -> None:
        create(graph, "a", "hub", "m", "z")
        refs = [RelationshipRef("K", "hub", "hub", key) for key in ("", "1", "2", "3")]
        for other in ("a", "m", "z"):
            refs += [RelationshipRef("K", "hub", other, key) for key in ("", "1")]
            refs += [RelationshipRef("K", other, "hub", key) for key in ("", "0")]
        with graph.transaction() as tx:
            for ref in reversed(refs):
                tx.relate(ref.source_id, "K", ref.target_id, discriminator=ref.discriminator)
        for direction in Direction:
            expected = sorted(
                (ref for ref in refs if "hub" in _starts(ref, direction)),
                key=lambda ref: (_other(ref), ref.source_id, ref.discriminator),
            )
            hops = [Hop("K", direction, limit) for limit in range(1, len(expected) + 2)]
            found = state(graph, "hub", *hops).neighbours
            for hop in hops:
                assert [item.relationship.ref for item in found[hop]] == expected[: hop.limit]
                assert [item.entity.id for item in found[hop]] == [_other(ref) for ref in expected[: hop.limit]]


def _relate_alike(graph: LoggedGraph) -> list[RelationshipRef]:
    create(graph, "b:%", "a")
    refs = [RelationshipRef(name, *ends) for name in _ALIKE for ends in (("a", "b:%"), ("b:%", "a"), ("a", "a"))]
    refs += [RelationshipRef(name, "a", "b:%", "d:%") for name in _ALIKE]
    with graph.transaction() as tx:
        for ref in refs:
            assert tx.relate(ref.source_id, ref.type, ref.target_id, discriminator=ref.discriminator) == ref.id
    return refs


def _seen(refs: list[RelationshipRef], ids: list[str]) -> list[Adjacency]:
    """Return the relationships as they are seen from some entities, in order."""
    found = [
        Adjacency(this, ref, direction, other, "Person")
        for ref in refs
        for direction, this, other in (
            (Direction.OUT, ref.source_id, ref.target_id),
            (Direction.IN, ref.target_id, ref.source_id),
        )
        if this in ids
    ]
    return sorted(found, key=lambda item: item.order)


def _starts(ref: RelationshipRef, direction: Direction) -> set[str]:
    """Return the ends from which a relationship is followed in a direction."""
    ends = {Direction.OUT: {ref.source_id}, Direction.IN: {ref.target_id}}
    return ends.get(direction, {ref.source_id, ref.target_id})


def _other(ref: RelationshipRef) -> str:
    return ref.target_id if ref.source_id == "hub" else ref.source_id
