"""Entities: what is written is read back, and every mutation has its event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from slipstream.domain.entities import Entity, Hop
from slipstream.domain.errors import (
    AlreadyExistsError,
    NotFoundError,
)
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import ORIGIN
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.suites.graph.base import (
    Graphs,
    Kind,
    LoggedGraph,
    create,
    entries,
    events,
    kinds,
    properties,
    raises,
    state,
    within,
)


class EntityTests(Graphs):
    """Creating, changing and deleting entities."""

    def test_a_new_graph_is_empty(self, graph: LoggedGraph) -> None:
        assert graph.feed.head() == ORIGIN
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
        assert event.position == graph.feed.head()

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
        head = graph.feed.head()
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
        head = graph.feed.head()
        within(graph, lambda tx: tx.upsert_entity("Robot", "a", {"model": "T"}))
        assert graph.counts() == {"Person": 1, "Robot": 1, "KNOWS": 1, "LIKES": 1}
        assert [kind for kind, _ in kinds(graph, head)] == [
            Kind.RELATIONSHIP_DELETED, Kind.RELATIONSHIP_DELETED, Kind.ENTITY_DELETED,
            Kind.ENTITY_CREATED, Kind.RELATIONSHIP_CREATED, Kind.RELATIONSHIP_CREATED,
        ]  # fmt: skip
        ends = {event.event_type: event.source_type for event in events(graph, head)}
        assert ends[Kind.RELATIONSHIP_DELETED] in ("Person", "Robot")  # as it was, or as it is when the event is read
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
        head = graph.feed.head()
        with graph.transaction() as tx:
            for attempt in attempts:
                raises(NotFoundError, attempt, tx)
        assert graph.feed.head() == head

    def test_a_deletion_takes_the_relationships_along_with_events(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c")
        with graph.transaction() as tx:
            ids = [tx.relate("a", "KNOWS", "b"), tx.relate("c", "KNOWS", "a"), tx.relate("a", "KNOWS", "a")]
            tx.relate("b", "KNOWS", "c")
        head = graph.feed.head()
        within(graph, lambda tx: tx.delete_entity("a"))
        assert self.read_raw(graph, "Person", "a") is None
        found = events(graph, head)
        gone = [event.entity_id for event in found if event.event_type is Kind.RELATIONSHIP_DELETED]
        assert sorted(gone) == sorted(ids)
        assert [e.entity_id for e in found if e.event_type is Kind.ENTITY_DELETED] == ["a"]
        incoming = next(event for event in found if event.entity_id == ids[1])
        assert (incoming.source_id, incoming.source_type) == ("c", "Person")
        assert incoming.target_id == "a"
        assert incoming.target_type in ("Person", None)  # it may be gone when the event is read
        assert graph.counts() == {"Person": 2, "KNOWS": 1}

    def test_a_deleted_id_can_be_created_again(self, graph: LoggedGraph) -> None:
        for name in ("one", "two"):
            create(graph, "a", name=name)
            within(graph, lambda tx: tx.delete_entity("a"))
        create(graph, "a", entity_type="Org", name="three")
        assert state(graph, "a").entity == Entity("a", "Org", {"name": "three"})
