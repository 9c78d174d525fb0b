"""Scanning all keys, Cypher, and closing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from slipstream.domain.entities import Direction, Entity, EntityPage, Hop, RecordState
from slipstream.domain.errors import (
    AlreadyExistsError,
    InvalidInputError,
    UnavailableError,
)
from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.ports.graph import EntityListing, GraphTransaction
from slipstream.ports.scans import read_states
from slipstream.testkit.suites.graph.base import (
    Graphs,
    Kind,
    LoggedGraph,
    Refusal,
    create,
    kinds,
    properties,
    raises,
    scanned,
    within,
)


class ScanTests(Graphs):
    """The ordered scan, foreign writes, Cypher and the end."""

    def test_a_scan_is_ordered_and_complete_while_keys_come_and_go(self, graph: LoggedGraph) -> None:
        create(graph, *(f"p{n}" for n in range(0, 40, 2)))
        with graph.transaction() as tx:
            for n in range(0, 20, 2):
                tx.relate(f"p{n}", "K W", f"p{n + 2}")
                tx.relate(f"p{n}", "K", f"p{n + 2}")
        lasting, found = set(scanned(graph, 7)), list[RecordKey]()
        assert len(lasting) == 40
        gone = [entity_key("p38"), entity_key("p30")]
        for key in gone:
            lasting.discard(key)
        while page := graph.scan(found[-1] if found else None, 3):
            found += [item.key for item in page]
            create(graph, f"p{len(found):03}x", entity_type="Late")
            if gone:
                within(graph, lambda tx: tx.delete_entity(gone.pop().id))
        encoded = [key.encode() for key in found]
        assert encoded == sorted(set(encoded))
        assert lasting <= set(found)

    def test_the_entities_of_a_type_are_listed_once_each_while_others_come_and_go(self, graph: LoggedGraph) -> None:
        if not isinstance(graph, EntityListing):
            return  # optional: callers fall back to `scan` and `read`
        create(graph, *(f"p{n}" for n in range(20)), size=1)
        create(graph, "other", entity_type="Org")
        lasting, found = {f"p{n}" for n in range(20)} - {"p1", "p17"}, list[Entity]()
        page = graph.of_type("Person", None, 7)
        found += page.items
        for gone in ("p1", "p17"):
            with graph.transaction() as tx:
                tx.delete_entity(gone)
        while page.next is not None:
            page = graph.of_type("Person", page.next, 7)
            found += page.items
        listed = [entity.id for entity in found]
        assert len(listed) == len(set(listed))
        assert lasting <= set(listed)
        assert all(entity.type == "Person" and entity.properties == {"size": 1} for entity in found)
        assert graph.of_type("Nothing", None, 7) == EntityPage((), None)
        assert graph.of_type("Org", None, 1).next is None
        raises(InvalidInputError, graph.of_type, "Person", "no cursor", 7)

    def test_what_commits_behind_a_scan_is_seen_by_the_next(self, graph: LoggedGraph) -> None:
        create(graph, "a", "c")
        assert [item.key.id for item in graph.scan(None, 10)] == ["a", "c"]
        create(graph, "b", entity_type="Org")
        assert [(item.key.id, item.type) for item in graph.scan(entity_key("a"), 10)] == [
            ("b", "Org"),
            ("c", "Person"),
        ]
        within(graph, lambda tx: tx.delete_entity("c"))
        assert [item.key.id for item in graph.scan(entity_key("a"), 10)] == ["b"]
        assert graph.scan(relationship_key("zz"), 10) == []

    def test_states_are_scanned_as_they_are_read(self, graph: LoggedGraph) -> None:
        create(graph, *(f"p{n}" for n in range(6)), name="Ada")
        create(graph, "o", entity_type="Org")
        with graph.transaction() as tx:
            for n in range(6):
                tx.relate(f"p{n}", "K", f"p{(n + 1) % 6}", {"since": n})
                tx.relate(f"p{n}", "W", "o", discriminator="1:2")
        hops = {"Person": [Hop("K", Direction.BOTH, 3)], "Org": [Hop("W", Direction.IN, 2)]}
        for types in (None, ("K", "unknown"), ()):
            keys = [item.key for item in graph.scan(None, 100, types)]
            whole, end = read_states(graph, "", None, 100, hops, types)
            assert (whole, end) == (graph.read(keys, hops), None)
            assert list(whole.states) == keys
            for limit in (1, 3, len(keys)):
                assert _paged(graph, "", None, limit, hops, types) == list(whole.states.items())
            for first, last in ((0, 4), (2, len(keys) - 2), (5, len(keys) - 1)):
                after, through = keys[first].encode(), keys[last].encode()
                assert [key for key, _ in _paged(graph, after, through, 2, hops, types)] == keys[first + 1 : last + 1]
        assert not read_states(graph, "e:p5", "e:p5", 2, hops, None).snapshot.states

    def test_what_was_written_past_the_log_is_seen(self, graph: LoggedGraph) -> None:
        create(graph, "a", "c", name="Ada")
        head = graph.feed.head()
        assert [item.key.id for item in graph.scan(None, 10)] == ["a", "c"]
        graph = self.write_raw(graph, Entity("b", "Person", {"name": "Raw"}))
        graph = self.remove_raw(graph, Entity("c", "Person"))
        assert properties(graph, "b") == {"name": "Raw"}
        assert [(item.key.id, item.type) for item in graph.scan(None, 10)] == [("a", "Person"), ("b", "Person")]
        assert entity_key("c") not in graph.read([entity_key("c")], {}).states
        assert graph.counts() == {"Person": 2}
        logged = [(Kind.ENTITY_CREATED, "b"), (Kind.ENTITY_DELETED, "c")]
        assert kinds(graph, head) == (logged if self.logs_foreign_writes else [])
        raises(AlreadyExistsError, lambda: create(graph, "b"))
        within(graph, lambda tx: tx.update_entity("b", {"name": "Known"}))
        create(graph, "c", name="Back")
        assert properties(graph, "c") == {"name": "Back"}

    def test_a_closed_graph_says_so(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        graph.scan(None, 10)
        raises(Refusal, lambda: _abandoned(graph.transaction()))
        graph.close()
        graph.close()
        calls: list[Callable[[], object]] = [
            lambda: graph.read([entity_key("a")], {}), lambda: graph.scan(None, 10), graph.counts, graph.schema,
            lambda: graph.schema_at(1), lambda: graph.adjacent(["a"], None, None, 1), lambda: create(graph, "b"),
        ]  # fmt: skip
        for call in calls:
            raises(UnavailableError, call)


def _paged(
    graph: LoggedGraph,
    after: str,
    through: str | None,
    limit: int,
    hops: Mapping[str, Sequence[Hop]],
    types: Collection[str] | None,
) -> list[tuple[RecordKey, RecordState]]:
    found: list[tuple[RecordKey, RecordState]] = []
    place: str | None = after
    while place is not None:
        snapshot, place = read_states(graph, place, through, limit, hops, types)
        assert len(snapshot.states) <= limit
        found += snapshot.states.items()
    return found


def _abandoned(transaction: AbstractContextManager[GraphTransaction]) -> None:
    with transaction as tx:
        tx.create_entity("Person", "zz")
        raise Refusal
