"""Changes as Neo4j's own change data capture tells them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEventType
from slipstream.domain.formats.neo4j_cdc import from_neo4j_cdc

NODE: dict[str, Any] = {
    "id": "A7fjWXMK", "txId": 12, "seq": 0,
    "metadata": {
        "captureMode": "FULL", "txStartTime": "2026-01-02T03:04:05.1Z", "txCommitTime": "2026-01-02T03:04:05.526Z",
    },
    "event": {
        "elementId": "4:b7e3:1", "eventType": "n", "operation": "u", "labels": ["Person"],
        "keys": {"Person": [{"id": "ada"}]},
        "state": {
            "before": {"labels": ["Person"], "properties": {"id": "ada", "name": "Ada", "born": 1815}},
            "after": {"labels": ["Person"], "properties": {"id": "ada", "name": "Ada Lovelace", "gone": None}},
        },
    },
}  # fmt: skip
RELATIONSHIP: dict[str, Any] = {
    **NODE,
    "event": {
        "elementId": "5:b7e3:7", "eventType": "r", "operation": "c", "type": "KNOWS", "keys": [{"id": "k:1"}],
        "start": {"elementId": "4:b7e3:1", "keys": {"Person": [{"id": "ada"}]}, "labels": ["Person"]},
        "end": {"elementId": "4:b7e3:2", "keys": {}, "labels": []},
        "state": {"before": None, "after": {"properties": {"since": 1833}}},
    },
}  # fmt: skip


def _changed(change: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(change)
    *parents, name = path.split(".")
    place = changed
    for parent in parents:
        place = place[parent]
    place[name] = value
    return changed


def test_an_updated_node() -> None:
    event = from_neo4j_cdc(NODE)
    assert (event.event_type, event.entity_id, event.entity_type) == (PKGEventType.ENTITY_UPDATED, "ada", "Person")
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, 526000, tzinfo=UTC)
    assert (event.old_data, event.new_data) == ({"name": "Ada", "born": 1815}, {"name": "Ada Lovelace"})
    assert (event.schema_version, event.position) == (1, None)


def test_a_deleted_node() -> None:
    event = from_neo4j_cdc(_changed(_changed(NODE, "event.operation", "d"), "event.state.after", None))
    assert (event.event_type, event.entity_type, event.new_data) == (PKGEventType.ENTITY_DELETED, "Person", None)


def test_a_created_relationship() -> None:
    event = from_neo4j_cdc(RELATIONSHIP)
    assert event.event_type is PKGEventType.RELATIONSHIP_CREATED
    assert (event.entity_id, event.entity_type) == ("KNOWS:ada:4%3Ab7e3%3A2:k%3A1", "KNOWS")
    assert (event.source_id, event.source_type) == ("ada", "Person")
    assert (event.target_id, event.target_type) == ("4:b7e3:2", None)
    assert (event.old_data, event.new_data) == (None, {"since": 1833})


@pytest.mark.parametrize(
    ("keys", "entity_id"),
    [
        ({"Person": [{"ssn": "Y1"}]}, "Y1"),
        ({"Person": {"ssn": 7}}, "7"),  # as Neo4j 5.13 wrote it
        ({"Person": [{"lastName": "doe:x", "firstName": "john"}]}, "john:doe%3Ax"),
        ({"Person": [{"ssn": "Y1"}], "Employee": [{"id": 1001}]}, "1001"),
        ({"B": [{"x": "b"}], "A": [{"z": "az"}, {"y": "ay"}]}, "ay"),
        ({"ssn": "Y1"}, "Y1"),
        ([{"ssn": "Y1"}], "Y1"),
        ({"Person": []}, "ada"),
        ({}, "ada"),
        (None, "ada"),
    ],
)
def test_business_keys(keys: Any, entity_id: str) -> None:
    assert from_neo4j_cdc(_changed(NODE, "event.keys", keys)).entity_id == entity_id


def test_without_key_and_id_the_element_id_is_left() -> None:
    change = _changed(_changed(NODE, "event.keys", {}), "event.state.after.properties", {"name": "Ada"})
    assert from_neo4j_cdc(_changed(change, "event.state.before", None)).entity_id == "4:b7e3:1"


def test_a_difference_without_a_key_names_nobody() -> None:
    change = _changed(_changed(NODE, "event.keys", {}), "metadata.captureMode", "DIFF")
    change["event"]["state"] = {"before": {"properties": {}}, "after": {"properties": {"name": "Ada"}}}
    with pytest.raises(InvalidInputError, match="add a key constraint, or capture FULL") as refused:
        from_neo4j_cdc(change)
    assert refused.value.field == "event.keys"


def test_a_difference_of_labels_keeps_the_type() -> None:
    change = _changed(NODE, "metadata.captureMode", "DIFF")
    change["event"]["state"] = {"before": {"labels": [], "properties": {}}, "after": {"labels": ["VIP"]}}
    assert from_neo4j_cdc(change).entity_type == "Person"
    change["event"]["state"]["before"]["labels"] = ["Person"]
    assert from_neo4j_cdc(change).entity_type == "VIP"


def test_a_node_without_labels() -> None:
    change = _changed(_changed(NODE, "event.labels", []), "event.state.before", None)
    assert from_neo4j_cdc(_changed(change, "event.state.after.labels", [])).entity_type == "Entity"


def test_event_ids_follow_from_the_change_id_alone() -> None:
    assert from_neo4j_cdc(NODE).event_id == from_neo4j_cdc(RELATIONSHIP).event_id
    assert from_neo4j_cdc(NODE).event_id != from_neo4j_cdc({**NODE, "id": "B"}).event_id


@pytest.mark.parametrize(("name", "hour"), [("captureTime", 4), ("txStartTime", 5)])
def test_other_times_stand_in_for_the_commit(name: str, hour: int) -> None:
    event = from_neo4j_cdc({**NODE, "metadata": {name: f"2026-01-02T0{hour}:00:00.123456789+01:00"}})
    assert event.timestamp == datetime(2026, 1, 2, hour - 1, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", None), ("id", []), ("event", None), ("event", []), ("event.operation", "x"), ("event.operation", None),
        ("event.eventType", "e"), ("event.state", None), ("event.state.after", None), ("event.state.after", "x"),
        ("event.state.after.properties", []), ("event.state.after.labels", "Person"), ("event.keys", "ada"),
        ("event.keys.Person", [1]), ("metadata", None), ("metadata.txCommitTime", "2026-01-02T03:04:05"),
        ("metadata.txCommitTime", 1767323045), ("event.state.before", 7),
    ],
)  # fmt: skip
def test_wrong_nodes_are_refused_by_name(path: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        from_neo4j_cdc(_changed(NODE, path, value))
    assert refused.value.field == path


@pytest.mark.parametrize("path", ["event.type", "event.start", "event.end", "event.end.elementId", "event.elementId"])
def test_wrong_relationships_are_refused_by_name(path: str) -> None:
    change = _changed(RELATIONSHIP, "event.keys", [])
    with pytest.raises(InvalidInputError) as refused:
        from_neo4j_cdc(_changed(change, path, None))
    assert refused.value.field == path
