"""Fences: how far foreign feeds have come, kept with the mutations; and new ids."""

from __future__ import annotations

from slipstream.domain.entities import Direction, Entity, Hop
from slipstream.domain.errors import AlreadyExistsError, NotFoundError
from slipstream.domain.feed_changes import Place
from slipstream.domain.fences import Fence, RowName
from slipstream.testkit.suites.graph.base import (
    Graphs,
    Kind,
    LoggedGraph,
    Refusal,
    create,
    kinds,
    raises,
    relate,
    state,
    within,
)

ADA, BOB = RowName("shop.note", "1"), RowName("shop.note", "2")
FULL = Fence(
    key="e:shop.note:1",
    order="00000000000000000007",
    event_id="event",
    is_deleted=False,
    place=Place("shop.note/0", 12, 1_700_000_000_000),
    unsent=frozenset({"body", "picture"}),
)


def put(graph: LoggedGraph, **fences: Fence) -> None:
    """Put fences of rows of one space."""
    within(graph, lambda tx: tx.put_fences({RowName("shop.note", name): fence for name, fence in fences.items()}))


class FenceTests(Graphs):
    """Fences commit with their transaction, and are found by row, by record and by space; entities get new ids."""

    def test_a_fence_is_kept_as_it_was_put(self, graph: LoggedGraph) -> None:
        bare = Fence(key="r:KNOWS:a:b")
        within(graph, lambda tx: tx.put_fences({ADA: FULL, BOB: bare}))
        with graph.transaction() as tx:
            assert tx.fences([BOB, ADA, RowName("shop.note", "3"), RowName("", "1")]) == {ADA: FULL, BOB: bare}
            gone = Fence(key="e:shop.note:1", order="00000000000000000008", is_deleted=True)
            tx.put_fences({ADA: gone})
            assert tx.fences([ADA]) == {ADA: gone}
        with graph.transaction() as tx:
            assert tx.fences([ADA, BOB]) == {ADA: gone, BOB: bare}

    def test_a_failed_block_leaves_no_fence(self, graph: LoggedGraph) -> None:
        put(graph, **{"1": FULL})

        def attempt() -> None:
            with graph.transaction() as tx:
                tx.create_entity("Note", "shop.note:2")
                tx.put_fences({ADA: Fence(key="e:other"), BOB: FULL})
                raise Refusal

        raises(Refusal, attempt)
        with graph.transaction() as tx:
            assert tx.fences([ADA, BOB]) == {ADA: FULL}
            assert tx.entity("shop.note:2") is None

    def test_a_fence_is_no_change(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        head = graph.feed.head()
        put(graph, **{"1": FULL})
        assert graph.feed.head() == head

    def test_rows_are_found_by_their_record(self, graph: LoggedGraph) -> None:
        put(graph, **{"1": Fence(key="e:a"), "2": Fence(key="e:b", is_deleted=True), "3": Fence(key="e:a")})
        with graph.transaction() as tx:
            assert tx.rows_of(["e:a", "e:b", "e:c"]) == {"e:a": ADA}
            tx.put_fences({ADA: Fence(key="e:a", is_deleted=True), BOB: Fence(key="e:b")})
            assert tx.rows_of(["e:a", "e:b"]) == {"e:a": RowName("shop.note", "3"), "e:b": BOB}

    def test_living_rows_of_a_space_come_in_pages(self, graph: LoggedGraph) -> None:
        fences = {str(number): Fence(key=f"e:{number}", order=f"0{number}") for number in range(6)}
        fences["2"] = Fence(key="e:2", order="02", is_deleted=True)
        fences["4"], fences[""] = Fence(key="e:4"), Fence(key="e:", order="09")
        put(graph, **fences)
        within(
            graph, lambda tx: tx.put_fences({RowName("shop.note_2", "1"): FULL, RowName("", "shop.note"): Fence()})
        )
        with graph.transaction() as tx:

            def names(before: str | None, after: str | None, limit: int) -> list[str]:
                return [row.name for row, _ in tx.live_rows("shop.note", before, after, limit)]

            assert names(None, None, 9) == ["", "0", "1", "3", "4", "5"]
            assert [names("04", None, 2), names("04", "1", 2), names("04", "4", 2)] == [["0", "1"], ["3", "4"], []]
            tx.put_fences({RowName("shop.note", "1"): Fence(key="e:1", order="09")})
            assert names("04", None, 9) == ["0", "3", "4"]
            assert tx.live_rows("shop.note", None, "4", 9) == [(RowName("shop.note", "5"), fences["5"])]

    def test_a_transaction_reads_its_own_writes(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", name="Ada")
        rid = relate(graph, "a", "K", "b")
        with graph.transaction() as tx:
            tx.update_entity("a", {"born": 1815})
            assert tx.entity("a") == Entity("a", "Person", {"name": "Ada", "born": 1815})
            assert (tx.has_relationship(rid), tx.has_relationship("K:b:a")) == (True, False)
            tx.relate("b", "K", "a")
            tx.delete_entity("a")
            assert tx.entity("a") is None
            assert (tx.has_relationship(rid), tx.has_relationship("K:b:a")) == (False, False)

    def test_a_new_id_takes_the_relationships_along(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", name="Ada")
        rid = relate(graph, "a", "K", "b", since=1833)
        relate(graph, "b", "K", "a")
        relate(graph, "a", "SELF", "a")
        head = graph.feed.head()
        with graph.transaction() as tx:
            moved = tx.rename_entity("a", "c")
        assert moved == {rid: "K:c:b", "K:b:a": "K:b:c", "SELF:a:a": "SELF:c:c"}
        assert {item.type for item in graph.scan(None, 99)} == {"Person", "K", "SELF"}
        assert {item.key.encode() for item in graph.scan(None, 99)} == {
            "e:b", "e:c", "r:K:b:c", "r:K:c:b", "r:SELF:c:c",
        }  # fmt: skip
        hop = Hop("K", Direction.OUT)
        (neighbour,) = state(graph, "c", hop).neighbours[hop]
        assert (neighbour.entity.id, neighbour.relationship.properties) == ("b", {"since": 1833})
        assert state(graph, "c").entity.properties == {"name": "Ada"}
        told = set(kinds(graph, head))
        assert told >= {(Kind.ENTITY_DELETED, "a"), (Kind.ENTITY_CREATED, "c")}
        assert told >= {(Kind.RELATIONSHIP_DELETED, rid), (Kind.RELATIONSHIP_CREATED, "K:c:b")}

    def test_a_new_id_must_be_free(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", name="Ada")
        with graph.transaction() as tx:
            raises(AlreadyExistsError, tx.rename_entity, "a", "b")
            raises(NotFoundError, tx.rename_entity, "c", "d")
            tx.rename_entity("a", "c")
        assert graph.counts() == {"Person": 2}
