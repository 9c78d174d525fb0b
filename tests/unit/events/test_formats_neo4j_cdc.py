"""Changes as Neo4j's own change data capture tells them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.feed_changes import Change, FeedOptions
from slipstream.events.formats.detect import parse_message

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


def _parsed(message: dict[str, Any], **options: Any) -> Change:
    [change] = parse_message(message, FeedOptions(**options))
    assert isinstance(change, Change)
    return change


def from_neo4j_cdc(message: dict[str, Any]) -> PKGEvent:
    return _parsed(message).event


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    change = _changed(NODE, "metadata.captureMode", "DIFF")
    change["event"]["state"] = {"before": before, "after": after}
    return change


def test_an_updated_node() -> None:
    event = from_neo4j_cdc(NODE)
    assert (event.event_type, event.entity_id, event.entity_type) == (PKGEventType.ENTITY_UPDATED, "ada", "Person")
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, 526000, tzinfo=UTC)
    assert (event.old_data, event.new_data) == ({"name": "Ada", "born": 1815}, {"name": "Ada Lovelace"})
    assert (event.schema_version, event.position) == (1, None)


def test_a_deleted_node() -> None:
    event = from_neo4j_cdc(_changed(_changed(NODE, "event.operation", "d"), "event.state.after", None))
    assert (event.event_type, event.entity_type, event.new_data) == (PKGEventType.ENTITY_DELETED, "Person", None)


def test_states_are_whole_and_stand_in_the_order_of_their_transactions() -> None:
    change = _parsed(NODE)
    assert (change.space, change.name, change.is_whole) == ("neo4j:b7e3", "4:b7e3:1", True)
    assert change.order == f"{12:020d}/{0:020d}"
    later = _parsed({**NODE, "txId": 100, "seq": 3}).order
    assert later is not None
    assert later > change.order
    for numbers in ({"txId": None}, {"seq": "1"}, {"txId": -1}, {"seq": True}):
        assert _parsed({**NODE, **numbers}).order is None


def test_a_created_relationship() -> None:
    change = _parsed(RELATIONSHIP)
    event = change.event
    assert event.event_type is PKGEventType.RELATIONSHIP_CREATED
    assert (event.entity_id, event.entity_type) == ("KNOWS:ada:4%3Ab7e3%3A2:k%3A1", "KNOWS")
    assert (event.source_id, event.source_type) == ("ada", "Person")
    assert (event.target_id, event.target_type) == ("4:b7e3:2", None)
    assert (event.old_data, event.new_data) == (None, {"since": 1833})
    assert change.end_names == (None, "4:b7e3:2"), "the id of an end without a key is not known from the message"
    assert (change.name, change.fallback_discriminator, change.id_by_name) == ("5:b7e3:7", None, False)


def test_a_relationship_without_a_key_is_told_by_its_ends() -> None:
    change = _parsed(_changed(RELATIONSHIP, "event.keys", []))
    assert change.event.entity_id == "KNOWS:ada:4%3Ab7e3%3A2", "the element id is no part of it: dumps do not have it"
    assert change.fallback_discriminator == "7", "what a dump calls the relationship, for parallel ones"
    own = _changed(_changed(RELATIONSHIP, "event.keys", []), "event.state.after.properties", {"id": 4, "since": 1})
    assert _parsed(own).event.entity_id == "KNOWS:ada:4%3Ab7e3%3A2:4"
    assert _parsed(own).event.new_data == {"since": 1}


def test_a_difference_of_a_relationship_without_a_key_is_known_by_its_element_id() -> None:
    change = _changed(_changed(RELATIONSHIP, "event.keys", []), "metadata.captureMode", "DIFF")
    parsed = _parsed(_changed(change, "event.operation", "u"))
    assert (parsed.id_by_name, parsed.is_whole, parsed.name) == (True, False, "5:b7e3:7")


@pytest.mark.parametrize(
    ("prefix", "node", "source"),
    [
        (None, "ada", "ada"),
        ("{type}:", "Person:ada", "Person:ada"),
        ("{source}/", "b7e3/ada", "b7e3/ada"),
        ("x", "xada", "xada"),
    ],
)
def test_ids_of_two_labels_are_told_apart_by_a_prefix(prefix: str | None, node: str, source: str) -> None:
    assert _parsed(NODE, id_prefix=prefix).event.entity_id == node
    event = _parsed(RELATIONSHIP, id_prefix=prefix).event
    assert (event.source_id, event.target_id) == (source, "4:b7e3:2")


def test_the_prefix_is_the_label_of_the_key_even_if_another_one_comes_first() -> None:
    change = _changed(NODE, "event.state.after.labels", ["VIP", "Person"])
    assert _parsed(change, id_prefix="{type}:").event.entity_id == "Person:ada"
    assert _parsed(change).event.entity_type == "VIP"


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


@pytest.mark.parametrize(
    ("before", "after", "data"),
    [
        ({"rating": 4}, {"rating": 5}, {"rating": 5}),
        ({"rating": 4, "gone": 1}, {"rating": 5}, {"rating": 5, "gone": None}),
        ({"gone": 1}, {}, {"gone": None}),
        ({}, {"new": 1}, {"new": 1}),
        ({"gone": 1}, {"gone": None}, {"gone": None}),
    ],
)
def test_a_difference_says_what_is_gone(before: dict[str, Any], after: dict[str, Any], data: dict[str, Any]) -> None:
    change = _parsed(_difference({"properties": before}, {"properties": after}))
    assert (change.event.new_data, change.is_whole, change.id_by_name) == (data, False, False)


def test_a_difference_without_a_key_is_known_by_its_element_id() -> None:
    change = _difference({"properties": {}}, {"properties": {"name": "Ada"}})
    change["event"]["keys"] = {}
    parsed = _parsed(change)
    assert (parsed.id_by_name, parsed.name) == (True, "4:b7e3:1")
    changed_id = _difference({"properties": {"id": "a"}}, {"properties": {"id": "b"}})
    changed_id["event"]["keys"] = {}
    assert (_parsed(changed_id).id_by_name, _parsed(changed_id).event.entity_id) == (False, "b")


def test_creations_and_deletions_are_no_differences() -> None:
    for operation in "cd":
        change = _changed(_changed(NODE, "metadata.captureMode", "DIFF"), "event.operation", operation)
        assert _parsed(change).is_whole


@pytest.mark.parametrize(
    ("labels", "removed", "added", "entity_type"),
    [
        (["Person"], [], ["VIP"], "Person"), (["Person"], ["Person"], ["VIP"], "VIP"),
        (["Draft", "Note"], ["Draft"], [], "Note"), (["Person"], ["Person"], [], "Entity"), ([], [], [], "Entity"),
        (["Person", "VIP"], ["Person"], ["VIP"], "VIP"),
    ],
)  # fmt: skip
def test_a_difference_of_labels(labels: list[str], removed: list[str], added: list[str], entity_type: str) -> None:
    change = _difference({"labels": removed}, {"labels": added})
    change["event"]["labels"] = labels
    assert _parsed(change).event.entity_type == entity_type


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


# ---------------------------------------------------------------------- the connector for Kafka, EXTENDED


def _extended(name: str, value: Any) -> dict[str, Any]:
    """Return a value as the connector writes it: by its documentation and sources, not recorded."""
    names = ("B", "I64", "F64", "S", "BA", "TLD", "TLDT", "TLT", "TZDT", "TOT", "TD", "SP", "LS", "LZDT")
    return {**dict.fromkeys(names), name: value}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("S", "Ada", "Ada"), ("I64", 7, 7), ("F64", 1.5, 1.5), ("B", False, False), ("LS", ["a"], ["a"]),
        ("BA", "aGk=", "aGk="), ("TLD", "2026-01-02", "2026-01-02"), ("S", None, None),
        ("TZDT", "2026-01-02T03:04:05+01:00[Europe/Berlin]", datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("TZDT", "soon", "soon"), ("LZDT", ["2026-01-02T03:04:05Z"], [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)]),
        ("TD", {"months": 14, "days": 3, "seconds": 4, "nanoseconds": 500000000}, "P14M3DT4.5S"),
        ("TD", {"months": 0, "days": 0, "seconds": -1, "nanoseconds": 0}, "P0M0DT-1S"), ("TD", "P1D", "P1D"),
        ("SP", {"srid": 7203, "x": 1.0, "y": 2.0, "z": None}, {"srid": 7203, "x": 1.0, "y": 2.0}),
    ],
)  # fmt: skip
def test_values_under_the_name_of_their_type(name: str, value: Any, expected: Any) -> None:
    properties = {"id": _extended("S", "ada"), "v": _extended(name, value)}
    change = _changed(_changed(NODE, "event.state.after.properties", properties), "event.keys", {})
    event = from_neo4j_cdc(change)
    assert event.entity_id == "ada"
    assert event.new_data == ({} if expected is None else {"v": expected})


def test_keys_and_times_under_the_name_of_their_type() -> None:
    change = _changed(NODE, "metadata.txCommitTime", _extended("TZDT", "2026-01-02T03:04:05Z"))
    for keys in (
        {"Person": [{"ssn": _extended("I64", 7)}]},
        [{"ssn": _extended("I64", 7)}],
        {"ssn": _extended("I64", 7)},
    ):
        event = from_neo4j_cdc(_changed(change, "event.keys", keys))
        assert (event.entity_id, event.timestamp) == ("7", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    "value", [{"S": "a", "B": True}, {"S": "a", "x": None}, {}, {"crs": "wgs-84", "latitude": 1.5}]
)
def test_maps_that_are_no_such_values_are_kept(value: dict[str, Any]) -> None:
    change = _changed(NODE, "event.state.after.properties", {"id": "ada", "v": value})
    assert from_neo4j_cdc(change).new_data == {"v": value}
