"""Transactions: all or nothing, and input that is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from slipstream.domain.entities import Direction, Entity, Hop
from slipstream.domain.errors import (
    ConfigError,
    InvalidInputError,
    NotFoundError,
)
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.testkit.suites.graph.base import (
    Graphs,
    Kind,
    LoggedGraph,
    Refusal,
    create,
    entries,
    events,
    kinds,
    properties,
    raises,
    scanned,
    state,
    within,
)


class TransactionTests(Graphs):
    """Atomicity, visibility within a block, refusals, schema versions."""

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
        head = graph.feed.head()
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
        head = graph.feed.head()
        with graph.transaction() as tx:
            tx.update_entity("a", {"n": 1, "f": 2.0, "tags": ["x"], "absent": None, "id": "a"})
            tx.upsert_entity("Person", "b", {"n": 1, "f": 2.0, "tags": ["x"]})
            tx.relate("a", "K", "b", {"w": 1}, replace=True)
            tx.update_relationship("K:a:b", {"w": 1})
        with graph.transaction():
            pass
        assert graph.feed.head() == head
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
            for name in names[:-1]:
                raises(InvalidInputError, tx.create_entity, name, "b")
                raises(InvalidInputError, tx.relate, "a", name, "a")
            for identity in ("", "x" * 1025, "\ud800", "a\x00b"):
                raises(InvalidInputError, tx.create_entity, "Person", identity)
            raises(InvalidInputError, lambda: tx.update_entity("a", {"id": "b"}))
            raises(InvalidInputError, lambda: tx.unrelate("nonsense"))
            tx.update_entity("a", {"id": "a", "born": 1815})
        assert properties(graph, "a") == {"name": "Ada", "born": 1815}
        assert graph.counts() == {"Person": 1}

    def test_names_that_differ_only_in_case_are_kept_apart(self, graph: LoggedGraph) -> None:
        create(graph, "a", name="Ada", Name=1)
        create(graph, "b", entity_type="PERSON", x=1)
        with graph.transaction() as tx:
            tx.relate("a", "person", "a", {"w": 1})
            tx.relate("a", "KNOWS", "a")
            tx.relate("a", "knows", "a")
            raises(InvalidInputError, lambda: tx.relate("a", "Person", "a"))
            raises(InvalidInputError, lambda: tx.create_entity("knows", "c"))
        assert graph.schema().entity_types == {
            "Person": {"name": "string", "Name": "integer"},
            "PERSON": {"x": "integer"},
        }
        assert graph.counts() == {"Person": 1, "PERSON": 1, "person": 1, "KNOWS": 1, "knows": 1}

    def test_unusual_names_and_ids_work(self, graph: LoggedGraph) -> None:
        names = ["we ird'é\"名", "order", "1", "x;y -- //", "a.b", "\U0001f600", "back\\slash", "r", "$x"]
        ids = ["'", '"', "\\", "a\nb", "e:1", "%41", "\x01", "x" * 1024, " ", "\U0001f600", "\uffff"]
        with graph.transaction() as tx:
            for number, name in enumerate(names):
                tx.create_entity(name, f"n{number}", dict.fromkeys(names, number))
            for number, identity in enumerate(ids):
                tx.create_entity("Person", identity, {"n": number})
            rids = [
                tx.relate(a, "rel " + names[0], b) for a, b in zip(ids, ids[::-1], strict=True) if len(a + b) < 99
            ]
        assert [properties(graph, identity)["n"] for identity in ids] == list(range(len(ids)))
        assert state(graph, "n3").entity.properties == dict.fromkeys(names, 3)
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
        assert evolution.old_data is not None
        assert evolution.new_data is not None
        for data, schema in ((evolution.old_data, first), (evolution.new_data, second)):
            assert data["entity_types"] == schema.entity_types
            assert data["relationship_types"] == schema.relationship_types
        assert {k: evolution.old_data[k] for k in ("version", "hash")} == {"version": 2, "hash": first.hash}
        assert {k: evolution.new_data[k] for k in ("version", "hash", "old_version", "new_version")} == {
            "version": 3, "hash": second.hash, "old_version": 2, "new_version": 3
        }  # fmt: skip
        assert [event.schema_version for event in events(graph)] == [2, 3, 3]
