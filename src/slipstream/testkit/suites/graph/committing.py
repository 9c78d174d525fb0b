"""What a commit is: its position, what is seen before and after it, and that its repetition is harmless."""

from __future__ import annotations

from collections.abc import Callable

from slipstream.domain.entities import Entity, Hop, RelationshipState
from slipstream.domain.errors import AlreadyExistsError, NotFoundError
from slipstream.domain.keys import entity_key, relationship_key
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.suites.graph.base import (
    Graphs,
    Kind,
    LoggedGraph,
    Refusal,
    create,
    events,
    kinds,
    properties,
    raises,
    relate,
    state,
    update,
    within,
)


class CommitTests(Graphs):
    """Positions of transactions, and what they and others see."""

    def test_a_transaction_knows_where_it_began_and_where_it_committed(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        head = graph.feed.head()
        with graph.transaction() as tx:
            assert tx.position == head
            tx.create_entity("Person", "b", {"n": 1})
            tx.relate("a", "K", "b")
            assert tx.position == head
        assert head < tx.position == graph.feed.head() == events(graph, head)[-1].position
        create(graph, "c")
        assert tx.position < graph.feed.head()

    def test_what_changes_nothing_keeps_the_position_it_began_at(self, graph: LoggedGraph) -> None:
        with graph.transaction() as tx:
            pass
        assert tx.position == ORIGIN
        create(graph, "a", n=1)
        head = graph.feed.head()
        with graph.transaction() as tx:
            tx.update_entity("a", {"n": 1})
            tx.once("event")
            raises(NotFoundError, tx.delete_entity, "b")
        assert tx.position == graph.feed.head() == head
        kept: list[GraphTransaction] = []

        def refused() -> None:
            with graph.transaction() as tx:
                kept.append(tx)
                tx.update_entity("a", {"n": 2})
                raise Refusal

        raises(Refusal, refused)
        assert kept[0].position == graph.feed.head() == head

    def test_every_single_mutation_returns_its_position(self, graph: LoggedGraph) -> None:
        steps: list[Callable[[], Position]] = [
            lambda: graph.create_entity("Person", "a", {"n": 1}),
            lambda: graph.upsert_entity("Person", "b", {}),
            lambda: graph.update_entity("a", {"n": 2}),
            lambda: graph.relate("a", "K", "b"),
            lambda: graph.relate("a", "K", "b", {"w": 1}, replace=True),
            lambda: graph.update_relationship("K:a:b", {"w": 2}),
            lambda: graph.unrelate("K:a:b"),
            lambda: graph.relate("a", "K", "b", discriminator="2"),
            lambda: graph.delete_entity("a"),
        ]
        last = ORIGIN
        for step in steps:
            position = step()
            assert position == graph.feed.head() > last
            last = position
        assert graph.update_entity("b", {}) == last  # nothing changed
        assert (graph.counts(), properties(graph, "b")) == ({"Person": 1}, {})

    def test_each_mutation_sees_those_before_it(self, graph: LoggedGraph) -> None:
        create(graph, "x", n=1)
        relate(graph, "x", "K", "x", w=1)
        head = graph.feed.head()
        with graph.transaction() as tx:
            tx.create_entity("Person", "a", {"n": 1})
            raises(AlreadyExistsError, lambda: tx.create_entity("Org", "a"))
            tx.update_entity("a", {"m": 2})
            rid = tx.relate("a", "K", "x", {"w": 1})
            raises(AlreadyExistsError, lambda: tx.relate("a", "K", "x"))
            tx.update_relationship(rid, {"v": 2})
            tx.upsert_entity("Org", "a", {"n": 3})
            tx.update_relationship(rid, {"w": None})
            tx.unrelate("K:x:x")
            raises(NotFoundError, lambda: tx.update_relationship("K:x:x", {}))
            tx.delete_entity("x")
            raises(NotFoundError, lambda: tx.unrelate(rid))
            raises(NotFoundError, lambda: tx.relate("a", "K", "x"))
            tx.upsert_entity("Person", "x", {})
            tx.update_entity("x", {"again": True})
            again = tx.relate("a", "K", "x", {"again": 1})
            tx.relate("a", "K", "x", {"again": 2}, replace=True)
            assert again == rid
        assert state(graph, "a", of="Org").entity == Entity("a", "Org", {"n": 3})
        assert properties(graph, "x") == {"again": True}
        found = graph.read([relationship_key(rid)], {}).states[relationship_key(rid)]
        assert isinstance(found, RelationshipState)
        assert (found.relationship.properties, found.source.type) == ({"again": 2}, "Org")
        assert graph.counts() == {"Org": 1, "Person": 1, "K": 1}
        told = kinds(graph, head)
        assert [kind for kind, key in told if key == "x"] == [
            Kind.ENTITY_DELETED, Kind.ENTITY_CREATED, Kind.ENTITY_UPDATED
        ]  # fmt: skip
        assert [key for kind, key in told if kind is Kind.RELATIONSHIP_DELETED].count("K:x:x") == 1

    def test_reads_see_what_is_committed_only(self, graph: LoggedGraph) -> None:
        create(graph, "a", n=1)
        head = graph.feed.head()

        def unchanged(seen: LoggedGraph) -> None:
            assert properties(seen, "a") == {"n": 1}
            assert entity_key("b") not in seen.read([entity_key("b")], {}).states
            assert [item.key.id for item in seen.scan(None, 10)] == ["a"]
            assert (seen.counts(), seen.adjacent(["a"], None, None, 9)) == ({"Person": 1}, [])
            assert state(seen, "a", Hop("K")).neighbours == {Hop("K"): ()}
            assert seen.feed.head() == seen.read([], {}).position == head
            assert not seen.feed.read(head, 10)
            assert "Org" not in seen.schema().entity_types

        def abandoned(seen: LoggedGraph) -> None:
            with graph.transaction() as tx:
                tx.update_entity("a", {"n": 2})
                tx.create_entity("Org", "b")
                tx.relate("a", "K", "b")
                unchanged(seen)
                unchanged(graph)
                raise Refusal

        with self.beside(graph) as other:
            raises(Refusal, abandoned, other)
            unchanged(other)
        unchanged(graph)

    def test_a_commit_is_seen_by_whoever_reads_after_it(self, graph: LoggedGraph) -> None:
        with self.beside(graph) as other:
            for writer, reader in ((graph, other), (other, graph), (graph, other)):
                number = len(events(reader))
                with writer.transaction() as tx:
                    tx.upsert_entity("Person", "a", {"n": number, f"p{number}": 1})
                assert reader.feed.head() == tx.position
                seen = reader.read([entity_key("a")], {})
                assert seen.position == tx.position
                assert properties(reader, "a")["n"] == number
                assert f"p{number}" in reader.schema().entity_types["Person"]
                assert reader.schema() == writer.schema()
                assert events(reader)[-1].position == tx.position

    def test_what_is_recorded_once_makes_a_repetition_harmless(self, graph: LoggedGraph) -> None:
        create(graph, "a", n=0)

        def count(tx: GraphTransaction) -> None:
            if tx.once("delivery-1"):
                tx.update_entity("a", {"n": 1})

        with self.beside(graph) as other:
            for each in (graph, other, graph):
                within(each, count)
                update(each, "a", m=1)
        graph = self.reopened(graph)
        update(graph, "a", n=5)
        within(graph, count)
        assert properties(graph, "a") == {"n": 5, "m": 1}
