"""
The contract of a graph and its change log, as one class of tests.

An adapter's test file derives from `GraphSuite` and gives `open_graph` and the raw hooks, which bypass the adapter so
that it can not vouch for itself. Every test takes nothing but the graph, so that `failures_of` can run the suite
over deliberately broken graphs too.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest

from slipstream.domain.entities import Adjacency, Direction, Entity, EntityState, Hop, RelationshipState
from slipstream.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    InvalidInputError,
    NotFoundError,
    PositionLostError,
    UnavailableError,
    UnsupportedError,
)
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.domain.log import LogEntry, Rescan, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.graph import GraphTransaction, WritableGraph
from slipstream.ports.log import ChangeLog

RawEntity = tuple[str, dict[str, Any]]
Kind = PKGEventType


class LoggedGraph(WritableGraph, Protocol):
    """A writable graph with its change log."""

    @property
    def log(self) -> ChangeLog:
        """The change log."""
        ...


class Refusal(Exception):  # noqa: N818 - not an error of the house: what a test throws to abandon a transaction
    """Thrown by a test to abandon a transaction."""


def raises(kind: type[Exception], action: Callable[..., object], *args: Any, **kwargs: Any) -> Exception:
    """Return the error that the action raises; fails when it raises none of this kind."""
    with pytest.raises(kind) as caught:
        action(*args, **kwargs)
    return caught.value


def entries(graph: LoggedGraph) -> list[LogEntry]:
    """Return the whole log."""
    return list(graph.log.read(ORIGIN, 10_000))


def events(graph: LoggedGraph, after: Position = ORIGIN) -> list[PKGEvent]:
    """Return the data events behind a position, without schema evolutions."""
    found = graph.log.read(after, 10_000)
    return [entry for entry in found if isinstance(entry, PKGEvent) and entry.event_type is not Kind.SCHEMA_EVOLVED]


def kinds(graph: LoggedGraph, after: Position = ORIGIN) -> list[tuple[PKGEventType, str]]:
    """Return type and id of the data events behind a position."""
    return [(event.event_type, event.entity_id) for event in events(graph, after)]


def state(graph: LoggedGraph, entity_id: str, *hops: Hop, of: str = "Person") -> EntityState:
    """Return the state of an entity that must exist."""
    found = graph.read([entity_key(entity_id)], {of: hops}).states[entity_key(entity_id)]
    assert isinstance(found, EntityState)
    return found


def properties(graph: LoggedGraph, entity_id: str) -> Mapping[str, Any]:
    """Return the properties of an entity that must exist."""
    return state(graph, entity_id).entity.properties


def create(graph: LoggedGraph, *ids: str, entity_type: str = "Person", **given: Any) -> None:
    """Create entities in one transaction."""
    with graph.transaction() as tx:
        for entity_id in ids:
            tx.create_entity(entity_type, entity_id, given)


def within(graph: LoggedGraph, mutation: Callable[[GraphTransaction], object]) -> None:
    """Run one mutation in a transaction of its own."""
    with graph.transaction() as tx:
        mutation(tx)


def update(graph: LoggedGraph, entity_id: str, **given: Any) -> None:
    """Merge properties into an entity, in a transaction of its own."""
    with graph.transaction() as tx:
        tx.update_entity(entity_id, given)


def relate(graph: LoggedGraph, source_id: str, relationship_type: str, target_id: str, **given: Any) -> str:
    """Create a relationship in a transaction of its own, and return its id."""
    with graph.transaction() as tx:
        return tx.relate(source_id, relationship_type, target_id, given)


def scanned(graph: LoggedGraph, limit: int) -> list[RecordKey]:
    """Return every key, read in pages."""
    found: list[RecordKey] = []
    while page := graph.scan(found[-1] if found else None, limit):
        assert len(page) <= limit
        found += [item.key for item in page]
    return found


class GraphSuite(ABC):
    """The tests of `ports.graph.WritableGraph` and of the `ports.log.ChangeLog` in its `log`."""

    concurrent: ClassVar[bool] = True
    """False for a fixture that can not be used by two threads."""

    @abstractmethod
    def open_graph(self, directory: Path) -> LoggedGraph:
        """Open the graph that lives in a directory; a fresh directory gives an empty one."""

    @abstractmethod
    def read_raw(self, graph: LoggedGraph, entity_type: str, entity_id: str) -> dict[str, Any] | None:
        """Return the stored scalar properties of an entity, past the adapter; None when it is not stored."""

    @abstractmethod
    def write_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        """Store an entity past the adapter, as a foreign program would, and return the graph to go on with."""

    @abstractmethod
    def remove_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        """Remove an entity without relationships past the adapter, and return the graph to go on with."""

    @pytest.fixture
    def graph(self, tmp_path: Path) -> Iterator[LoggedGraph]:
        """Give an empty graph."""
        graph = self.open_graph(tmp_path)
        yield graph
        graph.close()

    # -- entities --

    def test_a_new_graph_is_empty(self, graph: LoggedGraph) -> None:
        assert graph.log.head() == graph.last_commit == ORIGIN
        assert (entries(graph), graph.scan(None, 10), graph.counts()) == ([], [], {})
        assert graph.schema().version == 1
        assert graph.read([entity_key("a")], {}).states == {}

    def test_a_created_entity_is_read_back_and_stored(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada", born=1815)
        assert state(graph, "a").entity == Entity("a", "Person", {"name": "Ada", "born": 1815})
        assert self.read_raw(graph, "Person", "a") == {"name": "Ada", "born": 1815}
        (event,) = events(graph)
        assert (event.event_type, event.entity_id, event.entity_type) == (Kind.ENTITY_CREATED, "a", "Person")
        assert (event.old_data, event.new_data) == (None, {"name": "Ada", "born": 1815})
        assert event.position == graph.log.head() == graph.last_commit

    def test_every_kind_of_value_survives(self, graph: LoggedGraph) -> None:
        moment = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        given: dict[str, Any] = {
            "text": "Zoë \U0001f680 'quoted' \\ back", "json_text": '{"a": 1}', "empty": "", "whole": 2**63 - 1,
            "negative": -(2**63), "real": -0.1, "yes": True, "no": False, "when": moment, "tags": ["a", "b"],
            "nothing": [], "mixed": [1, "a", None, 2.5, [moment]], "nested": {"at": moment, "$datetime": {"x": []}},
            "lone": {"$datetime": "not one"}, "empty_map": {},
        }  # fmt: skip
        create(graph, "a", **given)
        found = properties(graph, "a")
        assert found == given
        assert found["yes"] is True
        assert found["no"] is False
        assert found["when"].utcoffset() == timedelta(0)
        assert found["nested"]["at"].utcoffset() == timedelta(0)

    def test_a_value_of_another_type_is_kept(self, graph: LoggedGraph) -> None:
        create(graph, "a", v=1, f=1.5, m={"a": 1}, t="x", b=True, d=datetime(2024, 1, 1, tzinfo=UTC), tags=["x"])
        others: list[Any] = [True, "text", 2.5, 7, ["a"], [1], {"k": "v"}, datetime(2025, 1, 1, tzinfo=UTC), '"q"']
        for other in others:
            given = dict.fromkeys(("v", "f", "m", "t", "b", "d", "tags"), other)
            with graph.transaction() as tx:
                tx.upsert_entity("Person", "a", given)
            found = properties(graph, "a")
            assert found == given
            assert all(isinstance(value, bool) == isinstance(other, bool) for value in found.values())

    def test_none_is_absence(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada", nick=None)
        assert properties(graph, "a") == {"name": "Ada"}
        within(graph, lambda tx: tx.update_entity("a", {"name": None, "other": None}))
        assert properties(graph, "a") == {}

    def test_an_update_merges(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada", born=1815)
        head = graph.log.head()
        within(graph, lambda tx: tx.update_entity("a", {"name": "Ada L.", "born": 1815}))
        (event,) = events(graph, head)
        assert event.event_type is Kind.ENTITY_UPDATED
        assert event.changed_properties == frozenset({"name"})
        assert properties(graph, "a") == event.new_data == {"name": "Ada L.", "born": 1815}

    def test_an_upsert_replaces(self, graph: LoggedGraph) -> None:
        within(graph, lambda tx: tx.upsert_entity("Person", "a", {"name": "Ada", "born": 1815}))
        within(graph, lambda tx: tx.upsert_entity("Person", "a", {"name": "Ada"}))
        assert properties(graph, "a") == {"name": "Ada"}
        assert kinds(graph) == [(Kind.ENTITY_CREATED, "a"), (Kind.ENTITY_UPDATED, "a")]

    def test_a_change_of_type_moves_the_relationships_with_events(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b")
        within(graph, lambda tx: tx.relate("a", "KNOWS", "b", {"since": 1}))
        within(graph, lambda tx: tx.relate("a", "LIKES", "a"))
        head = graph.log.head()
        within(graph, lambda tx: tx.upsert_entity("Robot", "a", {"model": "T"}))
        assert graph.counts() == {"Person": 1, "Robot": 1, "KNOWS": 1, "LIKES": 1}
        assert [kind for kind, _ in kinds(graph, head)] == [
            Kind.RELATIONSHIP_DELETED, Kind.RELATIONSHIP_DELETED, Kind.ENTITY_DELETED,
            Kind.ENTITY_CREATED, Kind.RELATIONSHIP_CREATED, Kind.RELATIONSHIP_CREATED,
        ]  # fmt: skip
        ends = {event.event_type: event.source_type for event in events(graph, head)}
        assert ends[Kind.RELATIONSHIP_DELETED] == "Person"
        assert ends[Kind.RELATIONSHIP_CREATED] == "Robot"
        knows = state(graph, "a", Hop("KNOWS"), Hop("LIKES"), of="Robot").neighbours
        assert [item.relationship.properties for item in knows[Hop("KNOWS")]] == [{"since": 1}]
        assert [item.entity.type for item in knows[Hop("LIKES")]] == ["Robot"]
        assert [(item.key.id, item.type) for item in graph.scan(None, 2)] == [("a", "Robot"), ("b", "Person")]

    def test_ids_are_unique_across_types(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        for entity_type in ("Person", "Org"):
            raises(AlreadyExistsError, create, graph, "a", entity_type=entity_type)
        with graph.transaction() as tx:
            tx.create_entity("Org", "b")
            raises(AlreadyExistsError, lambda: tx.create_entity("Person", "b"))
        assert graph.counts() == {"Person": 1, "Org": 1}

    def test_missing_things_are_not_found(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        attempts: list[Callable[[GraphTransaction], object]] = [
            lambda tx: tx.update_entity("x", {}),
            lambda tx: tx.delete_entity("x"),
            lambda tx: tx.relate("a", "KNOWS", "x"),
            lambda tx: tx.relate("x", "KNOWS", "a"),
            lambda tx: tx.update_relationship("KNOWS:a:a", {}),
            lambda tx: tx.unrelate("KNOWS:a:x"),
        ]
        head = graph.log.head()
        with graph.transaction() as tx:
            for attempt in attempts:
                raises(NotFoundError, attempt, tx)
        assert graph.log.head() == head

    def test_a_deletion_takes_the_relationships_along_with_events(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c")
        with graph.transaction() as tx:
            ids = [tx.relate("a", "KNOWS", "b"), tx.relate("c", "KNOWS", "a"), tx.relate("a", "KNOWS", "a")]
            tx.relate("b", "KNOWS", "c")
        head = graph.log.head()
        within(graph, lambda tx: tx.delete_entity("a"))
        assert self.read_raw(graph, "Person", "a") is None
        found = events(graph, head)
        gone = [event.entity_id for event in found if event.event_type is Kind.RELATIONSHIP_DELETED]
        assert sorted(gone) == sorted(ids)
        assert [e.entity_id for e in found if e.event_type is Kind.ENTITY_DELETED] == ["a"]
        incoming = next(event for event in found if event.entity_id == ids[1])
        assert (incoming.source_id, incoming.source_type) == ("c", "Person")
        assert (incoming.target_id, incoming.target_type) == ("a", "Person")
        assert graph.counts() == {"Person": 2, "KNOWS": 1}

    def test_a_deleted_id_can_be_created_again(self, graph: LoggedGraph) -> None:
        for name in ("one", "two"):
            create(graph, "a", name=name)
            within(graph, lambda tx: tx.delete_entity("a"))
        create(graph, "a", entity_type="Org", name="three")
        assert state(graph, "a").entity == Entity("a", "Org", {"name": "three"})

    # -- relationships --

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
        order = [(item.entity_id, item.ref.id, item.direction.value) for item in whole]
        assert order == sorted(order)
        assert [(entity_id, rid) for entity_id, rid, _ in order] == [
            ("a", "K:a:a"), ("a", "K:a:a"), ("a", "K:a:b"), ("a", "K:a:c"), ("a", "K:b:a"), ("a", "L:a:b"),
            ("c", "K:a:c"), ("c", "K:c:b"),
        ]  # fmt: skip
        assert [item.neighbour_id for item in whole] == ["a", "a", "b", "c", "b", "b", "a", "b"]
        assert {item.neighbour_type for item in whole} == {"Person"}
        paged: list[Adjacency] = []
        after: Adjacency | None = None
        while page := graph.adjacent(["c", "a"], None, after, 3):
            paged += page
            after = page[-1]
        assert paged == list(whole)
        assert [i.ref.type for i in graph.adjacent(["a", "b"], frozenset({"L", "X"}), None, 9)] == ["L", "L"]

    # -- transactions --

    def test_a_failed_block_leaves_no_trace(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada")
        before = (entries(graph), graph.schema(), graph.counts())
        for _ in range(2):

            def attempt() -> None:
                with graph.transaction() as tx:
                    tx.update_entity("a", {"name": "X", "fresh": ["list"]})
                    tx.create_entity("NewType", "b", {"x": 1})
                    tx.relate("a", "NEW", "b")
                    tx.once("event")
                    raise Refusal

            raises(Refusal, attempt)
        assert (entries(graph), graph.schema(), graph.counts()) == before
        assert properties(graph, "a") == {"name": "Ada"}
        with graph.transaction() as tx:
            assert tx.once("event")
            tx.update_entity("a", {"fresh": ["a", "b"]})
        assert properties(graph, "a") == {"name": "Ada", "fresh": ["a", "b"]}

    def test_a_transaction_sees_its_own_mutations(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada")
        head = graph.log.head()
        with graph.transaction() as tx:
            tx.create_entity("Person", "b", {"n": 1})
            tx.update_entity("b", {"n": 2})
            rid = tx.relate("a", "K", "b")
            tx.delete_entity("a")
            raises(NotFoundError, lambda: tx.update_relationship(rid, {}))
            tx.create_entity("Org", "a", {"name": "New"})
            tx.relate("a", "K", "b", {"again": True})
        assert [kind for kind, _ in kinds(graph, head)] == [
            Kind.ENTITY_CREATED, Kind.ENTITY_UPDATED, Kind.RELATIONSHIP_CREATED, Kind.RELATIONSHIP_DELETED,
            Kind.ENTITY_DELETED, Kind.ENTITY_CREATED, Kind.RELATIONSHIP_CREATED,
        ]  # fmt: skip
        assert state(graph, "a").entity == Entity("a", "Org", {"name": "New"})
        assert [item.relationship.properties for item in state(graph, "b", Hop("K", Direction.IN)).neighbours[
            Hop("K", Direction.IN)]] == [{"again": True}]  # fmt: skip

    def test_what_changes_nothing_writes_no_event(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", n=1, f=2.0, tags=["x"])
        within(graph, lambda tx: tx.relate("a", "K", "b", {"w": 1}))
        head = graph.log.head()
        with graph.transaction() as tx:
            tx.update_entity("a", {"n": 1, "f": 2, "tags": ["x"], "absent": None, "id": "a"})
            tx.upsert_entity("Person", "b", {"n": 1, "f": 2.0, "tags": ["x"]})
            tx.relate("a", "K", "b", {"w": 1}, replace=True)
            tx.update_relationship("K:a:b", {"w": 1})
        with graph.transaction():
            pass
        assert graph.log.head() == graph.last_commit == head
        within(graph, lambda tx: tx.update_entity("a", {"n": True}))
        assert properties(graph, "a")["n"] is True

    def test_bad_input_is_refused_and_the_transaction_goes_on(self, graph: LoggedGraph) -> None:
        deep: Any = "x"
        for _ in range(40):
            deep = [deep]
        values: list[Any] = [
            2**63, float("nan"), float("inf"), datetime(2024, 1, 1), "x" * 1_100_000, {1: 2}, object(), deep,  # noqa: DTZ001
            "\ud800", ["\ud800"], b"bytes", datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        ]  # fmt: skip
        names = ["", "_x", "a`b", "a\nb", "x" * 129, "\ud800", "ID"]
        with graph.transaction() as tx:
            tx.create_entity("Person", "a", {"name": "Ada"})
            for value in values:
                error = raises(InvalidInputError, tx.update_entity, "a", {"wrong": value, "name": "no"})
                assert getattr(error, "field", None) == "wrong"
            for name in names:
                raises(InvalidInputError, tx.update_entity, "a", {name: 1})
            for name in (*names[:-1], "a.b"):
                raises(InvalidInputError, tx.create_entity, name, "b")
                raises(InvalidInputError, tx.relate, "a", name, "a")
            for identity in ("", "x" * 1025, "\ud800"):
                raises(InvalidInputError, tx.create_entity, "Person", identity)
            raises(InvalidInputError, lambda: tx.update_entity("a", {"id": "b"}))
            raises(InvalidInputError, lambda: tx.unrelate("nonsense"))
            tx.update_entity("a", {"id": "a", "born": 1815})
        assert properties(graph, "a") == {"name": "Ada", "born": 1815}
        assert graph.counts() == {"Person": 1}

    def test_names_that_differ_only_in_case_are_refused(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada")
        with graph.transaction() as tx:
            raises(InvalidInputError, lambda: tx.create_entity("PERSON", "b"))
            raises(InvalidInputError, lambda: tx.relate("a", "person", "a"))
            raises(InvalidInputError, lambda: tx.relate("a", "Person", "a"))
            raises(InvalidInputError, lambda: tx.update_entity("a", {"Name": 1}))
            raises(InvalidInputError, lambda: tx.update_entity("a", {"x": 1, "X": 2}))
            tx.relate("a", "knows", "a", {"w": 1})
            raises(InvalidInputError, lambda: tx.relate("a", "KNOWS", "a"))
        assert graph.schema().entity_types == {"Person": {"name": "string"}}

    def test_unusual_names_and_ids_work(self, graph: LoggedGraph) -> None:
        names = ["we ird'é\"名", "order", "1", "x;y -- //", "\U0001f600", "back\\slash", "r", "$x"]
        ids = ["'", '"', "\\", "a\nb", "e:1", "%41", "\x00", "x" * 1024, " ", "\U0001f600", "\uffff"]
        with graph.transaction() as tx:
            for number, name in enumerate(names):
                tx.create_entity(name, f"n{number}", dict.fromkeys((*names, "a.b"), number))
            for number, identity in enumerate(ids):
                tx.create_entity("Person", identity, {"n": number})
            rids = [
                tx.relate(a, "rel " + names[0], b) for a, b in zip(ids, ids[::-1], strict=True) if len(a + b) < 99
            ]
        assert [properties(graph, identity)["n"] for identity in ids] == list(range(len(ids)))
        assert state(graph, "n3").entity.properties == dict.fromkeys((*names, "a.b"), 3)
        expected = [entity_key(i) for i in (*ids, *(f"n{n}" for n in range(len(names))))]
        expected += [relationship_key(rid) for rid in rids]
        assert scanned(graph, 4) == sorted(expected, key=RecordKey.encode)
        assert len(graph.read([relationship_key(rid) for rid in rids], {}).states) == len(rids)

    def test_transactions_do_not_nest_and_end_with_their_block(self, graph: LoggedGraph) -> None:
        with graph.transaction() as tx:
            tx.create_entity("Person", "a")
            raises(ConfigError, lambda: create(graph, "b"))
        raises(ConfigError, lambda: tx.create_entity("Person", "c"))
        assert graph.counts() == {"Person": 1}

    def test_an_event_id_is_recorded_once(self, graph: LoggedGraph) -> None:
        with graph.transaction() as tx:
            assert [tx.once("e1"), tx.once("e1"), tx.once("e2")] == [True, False, True]
        with graph.transaction() as tx:
            assert [tx.once("e1"), tx.once("e2"), tx.once("e3")] == [False, False, True]

    # -- schema --

    def test_a_schema_grows_in_versions_of_its_own(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada")
        first = graph.schema()
        assert (first.version, first.entity_types) == (2, {"Person": {"name": "string"}})
        with graph.transaction() as tx:
            tx.update_entity("a", {"born": 1815})
            tx.relate("a", "K", "a", {"w": 1.5})
        second = graph.schema()
        assert second.entity_types == {"Person": {"name": "string", "born": "integer"}}
        assert second.relationship_types == {"K": {"w": "float"}}
        assert second.type_versions == {"Person": 3, "K": 3}
        assert [graph.schema_at(version) for version in (2, 3, 4)] == [first, second, None]
        origin = graph.schema_at(1)
        assert origin is not None
        assert origin.entity_types == {}
        evolution = [entry for entry in entries(graph) if isinstance(entry, PKGEvent)][2]
        assert (evolution.event_type, evolution.entity_id) == (Kind.SCHEMA_EVOLVED, "schema")
        assert evolution.old_data == {"version": 2, "hash": first.hash}
        assert evolution.new_data is not None
        assert {k: evolution.new_data[k] for k in ("version", "hash", "old_version", "new_version")} == {
            "version": 3, "hash": second.hash, "old_version": 2, "new_version": 3
        }  # fmt: skip
        assert [event.schema_version for event in events(graph)] == [2, 3, 3]

    # -- log --

    def test_positions_are_dense_and_in_commit_order(self, graph: LoggedGraph) -> None:
        for number in range(5):
            create(graph, f"a{number}", f"b{number}", n=number)
        found = entries(graph)
        assert [position_of(entry) for entry in found] == list(range(1, graph.log.head() + 1))
        ids = [entry.event_id for entry in found if isinstance(entry, PKGEvent)]
        assert len(set(ids)) == len(ids) == 11
        assert [event.entity_id for event in events(graph)] == [f"{x}{n}" for n in range(5) for x in "ab"]
        pages = [graph.log.read(Position(start), 4) for start in range(0, len(found), 4)]
        assert [entry for page in pages for entry in page] == found
        assert graph.log.read(graph.log.head(), 10) == []
        assert graph.log.read(ORIGIN, 0) == []

    def test_events_carry_plain_json_and_provenance(self, graph: LoggedGraph) -> None:
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        create(graph, "a", when=moment, deep=[{"at": moment}], source_document_id="doc", extraction_confidence=0.5)
        create(graph, "b", source_document_id=7, extraction_confidence=1.5)
        first, second = events(graph)
        assert first.new_data is not None
        assert first.new_data["when"] == moment.isoformat()
        assert first.new_data["deep"] == [{"at": moment.isoformat()}]
        assert (first.source_document_id, first.extraction_confidence) == ("doc", 0.5)
        assert (second.source_document_id, second.extraction_confidence) == (None, None)
        assert PKGEvent.parse(first.model_dump_json()) == first
        assert first.timestamp.utcoffset() == timedelta(0)

    def test_a_trimmed_range_is_lost_and_the_head_is_kept(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c", "d")
        head = graph.log.head()
        assert graph.log.trim(Position(2)) == 2
        raises(PositionLostError, lambda: graph.log.read(Position(1), 10))
        assert [position_of(entry) for entry in graph.log.read(Position(2), 10)] == [3, 4, 5]
        assert (graph.log.trim(Position(2)), graph.log.trim(Position(99))) == (0, 2)
        assert graph.log.head() == head
        assert [position_of(entry) for entry in graph.log.read(Position(4), 10)] == [5]
        create(graph, "e")
        assert [position_of(entry) for entry in graph.log.read(head, 10)] == [6]

    def test_waiting_ends_at_the_commit(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        assert graph.log.wait(ORIGIN, 0.0)
        assert not graph.log.wait(graph.log.head(), 0.001)
        if not self.concurrent:
            return
        log, head, woken = graph.log, graph.log.head(), threading.Event()
        waiter = threading.Thread(target=lambda: woken.set() if log.wait(head, 30.0) else None)
        waiter.start()
        create(graph, "b")
        waiter.join(30.0)
        assert woken.is_set()

    def test_a_snapshot_and_its_position_belong_together(self, graph: LoggedGraph) -> None:
        """A reader beside a writer: the text that it sees is the one of the position that it is told."""
        create(graph, "a", n=0)
        if not self.concurrent:
            return
        base, rounds, problems = graph.log.head(), 60, list[str]()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                seen = graph.read([entity_key("a")], {})
                found = seen.states[entity_key("a")]
                assert isinstance(found, EntityState)
                if found.entity.properties["n"] != seen.position - base:
                    problems.append(f"saw {found.entity.properties['n']} at {seen.position - base}")

        reader = threading.Thread(target=look)
        reader.start()
        try:
            for number in range(1, rounds + 1):
                update(graph, "a", n=number)
        finally:
            done.set()
            reader.join(30.0)
        assert problems == []

    def test_two_writers_take_turns(self, graph: LoggedGraph) -> None:
        create(graph, "counter", n=0)
        if not self.concurrent:
            return

        def count() -> None:
            for _ in range(20):
                with graph.transaction() as tx:
                    tx.update_entity("counter", {"n": properties(graph, "counter")["n"] + 1})

        writers = [threading.Thread(target=count) for _ in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60.0)
        assert properties(graph, "counter")["n"] == 60
        assert [event.new_data for event in events(graph)] == [{"n": n} for n in range(61)]

    # -- scan and counts --

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

    def test_what_was_written_past_the_log_is_seen(self, graph: LoggedGraph) -> None:
        create(graph, "a", "c", name="Ada")
        head = graph.log.head()
        assert [item.key.id for item in graph.scan(None, 10)] == ["a", "c"]
        graph = self.write_raw(graph, Entity("b", "Person", {"name": "Raw"}))
        graph = self.remove_raw(graph, Entity("c", "Person"))
        assert properties(graph, "b") == {"name": "Raw"}
        assert [(item.key.id, item.type) for item in graph.scan(None, 10)] == [("a", "Person"), ("b", "Person")]
        assert entity_key("c") not in graph.read([entity_key("c")], {}).states
        assert graph.counts() == {"Person": 2}
        assert graph.log.head() == head
        raises(AlreadyExistsError, lambda: create(graph, "b"))
        within(graph, lambda tx: tx.update_entity("b", {"name": "Known"}))
        create(graph, "c", name="Back")
        assert properties(graph, "c") == {"name": "Back"}

    # -- Cypher and closing --

    def test_cypher_reads(self, graph: LoggedGraph) -> None:
        if not graph.capabilities.cypher:
            raises(UnsupportedError, lambda: graph.query("MATCH (n:Person) RETURN n"))
            raises(UnsupportedError, lambda: graph.execute("MATCH (n:Person) RETURN n"))
            return
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        create(graph, "a", name="Ada", at=moment)
        assert graph.query("MATCH (p:Person) WHERE p.name = $name RETURN p.at AS at, p.id", name="Ada") == [
            {"at": moment, "p.id": "a"}
        ]
        assert graph.query("MATCH (n) RETURN n") == [
            {"n": {"_label": "Person", "id": "a", "name": "Ada", "at": moment}}
        ]
        assert graph.query("MATCH (p:Person) WHERE p.at = $at RETURN count(*) AS n", at=moment) == [{"n": 1}]
        for wrong in ("MATCH (p:Person) DELETE p", "CREATE (:Person {id: 'x'})", "MATCH (p:Person) SET p.name = ''"):
            error = raises(InvalidInputError, graph.query, wrong)
            assert getattr(error, "field", None) == "cypher"
        assert graph.counts() == {"Person": 1}

    def test_cypher_writes_are_logged_as_a_rescan(self, graph: LoggedGraph) -> None:
        if not graph.capabilities.cypher:
            return
        create(graph, "a", "b", name="Ada")
        within(graph, lambda tx: tx.relate("a", "K", "b"))
        head = graph.log.head()
        assert graph.execute("MATCH (p:Person) RETURN p") == head
        position = graph.execute("MATCH (p:Person {id: 'a'}) SET p.name = $name", name="Raw")
        assert list(graph.log.read(head, 10)) == [Rescan(position, frozenset({"Person"}))]
        graph.execute("CREATE (:Person {id: 'c', name: 'C'})")
        graph.execute("MATCH (n) WHERE n.id = 'b' DETACH DELETE n")
        graph.execute("MATCH (a:Person {id: 'a'}), (c:Person {id: 'c'}) CREATE (a)-[:K]->(c), (a)-[:K]->(c)")
        assert [e.types for e in entries(graph)[-3:] if isinstance(e, Rescan)] == [
            frozenset({"Person"}), None, frozenset({"Person", "K"})
        ]  # fmt: skip
        ids = [key.id for key in scanned(graph, 2)]
        assert ids == ["a", "c", "K:a:c", "K:a:c:2"]
        raises(AlreadyExistsError, lambda: create(graph, "c"))
        within(graph, lambda tx: tx.unrelate("K:a:c:2"))
        assert properties(graph, "a") == {"name": "Raw"}

    def test_hostile_cypher_is_refused_without_effect(self, graph: LoggedGraph) -> None:
        if not graph.capabilities.cypher:
            return
        create(graph, "a", name="Ada")
        create(graph, "o", entity_type="Org", name="Org")
        before = (entries(graph), graph.counts(), scanned(graph, 10))
        refused = [
            "", ";", "nonsense", "MATCH (", "MATCH (n:Person) RETURN n; MATCH (m) RETURN m", "RETURN 'unclosed",
            "COMMIT; CREATE (:Person)", "ROLLBACK", "MATCH (n) DETACH DELETE n", "MATCH (n:_Outbox) DELETE n",
            "MATCH (n:`_Outbox`) DELETE n", "CREATE (:_Once {_event: 'x'})", "MATCH (n:Person) SET n._mixed = '{}'",
            "MATCH (n:Person) SET n.id = 'z'", "CALL show_tables() RETURN *", "LOAD FROM '/etc/passwd' RETURN *",
            "COPY (MATCH (n) RETURN n) TO '/tmp/x'", "CREATE (:Person {id: ''})", "CREATE (:Unknown {id: 'x'})",
            "MATCH (n:Person) SET n.fresh = 1", "MATCH (n:Person) RETURN n /* */; CHECKPOINT",
            "MATCH (n:Person) DELETE n, missing",
        ]  # fmt: skip
        for cypher in refused:
            error = raises(InvalidInputError, graph.execute, cypher)
            assert getattr(error, "field", None) in ("cypher", "id"), cypher
        for cypher in (
            "CREATE NODE TABLE X(id STRING PRIMARY KEY)",
            "DROP TABLE Person",
            "ALTER TABLE Person ADD x STRING",
        ):
            raises(UnsupportedError, graph.execute, cypher)
        raises(AlreadyExistsError, lambda: graph.execute("CREATE (:Org {id: 'a'})"))
        assert (entries(graph), graph.counts(), scanned(graph, 10)) == before
        create(graph, "b")
        assert graph.counts() == {"Person": 2, "Org": 1}

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


def _abandoned(transaction: AbstractContextManager[GraphTransaction]) -> None:
    with transaction as tx:
        tx.create_entity("Person", "zz")
        raise Refusal


def failures_of(suite: GraphSuite, make: Callable[[], LoggedGraph]) -> list[str]:
    """Run every test of a suite over a graph of its own, and return the names of those that fail."""
    failed = []
    for name in sorted(member for member in dir(suite) if member.startswith("test_")):
        graph = make()
        try:
            getattr(suite, name)(graph)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure at all is what is counted here
            failed.append(name)
        finally:
            graph.close()
    return failed
