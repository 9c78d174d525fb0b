"""Changes of tables as Debezium tells them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.formats.debezium import from_debezium

UPDATE: dict[str, Any] = {
    "before": {"id": 7, "name": "Ada", "born": 1815},
    "after": {"id": 7, "name": "Ada Lovelace", "born": None},
    "source": {"version": "2.5", "connector": "postgresql", "table": "people", "lsn": 33, "ts_ms": 1767323045526},
    "op": "u", "ts_ms": 1767323045999,
}  # fmt: skip
DELETE = {**UPDATE, "op": "d", "after": None}


def _event(message: dict[str, Any]) -> PKGEvent:
    event = from_debezium(message)
    assert event is not None
    return event


def test_an_update() -> None:
    event = _event(UPDATE)
    assert (event.event_type, event.entity_id, event.entity_type) == (PKGEventType.ENTITY_UPDATED, "7", "people")
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, 526000, tzinfo=UTC)
    assert event.old_data == {"name": "Ada", "born": 1815}
    assert event.new_data == {"name": "Ada Lovelace", "born": None}, (
        "null stays: without `before` nothing else removes it"
    )
    assert (event.schema_version, event.position) == (1, None)


@pytest.mark.parametrize(
    ("operation", "kind"), [("c", PKGEventType.ENTITY_CREATED), ("r", PKGEventType.ENTITY_CREATED)]
)
def test_creations_and_snapshots(operation: str, kind: PKGEventType) -> None:
    event = _event({**UPDATE, "op": operation, "before": None})
    assert (event.event_type, event.old_data) == (kind, None)


def test_a_deletion() -> None:
    event = _event(DELETE)
    assert (event.event_type, event.entity_id, event.new_data) == (PKGEventType.ENTITY_DELETED, "7", None)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda key, value: {"schema": {"type": "struct"}, "payload": value},
        lambda key, value: {"payload": value},
        lambda key, value: {"key": key, "value": value},
        lambda key, value: {"value": value},
        lambda key, value: {"key": {"schema": {}, "payload": key}, "value": {"schema": {}, "payload": value}},
    ],
)
def test_envelopes_change_nothing(wrap: Any) -> None:
    assert _event(wrap({"id": 7}, UPDATE)) == _event(UPDATE)


@pytest.mark.parametrize(
    ("key", "entity_id"),
    [({"id": 8}, "8"), ({"order_no": "A-1"}, "A-1"), ({"b": 2, "a": "x:y"}, "x%3Ay:2"), ({"b": 1, "id": "k"}, "k")],
)
def test_the_key_names_the_entity(key: dict[str, Any], entity_id: str) -> None:
    assert _event({"key": key, "value": {**DELETE, "before": None}}).entity_id == entity_id


@pytest.mark.parametrize(
    "message",
    [
        {"value": None}, {"key": None, "value": None}, {"schema": None, "payload": None}, {"payload": None},
        {"key": None, "value": {"schema": None, "payload": None}},
    ],
)  # fmt: skip
def test_a_tombstone_without_a_key_says_nothing(message: dict[str, Any]) -> None:
    assert from_debezium(message) is None


@pytest.mark.parametrize("value", [None, {"schema": None, "payload": None}])
def test_a_tombstone_with_a_key_is_a_deletion(value: Any) -> None:
    message = {"topic": "server.public.people", "offset": 4, "timestamp": 1767323045526, "key": {"id": 7}}
    event = _event({**message, "value": value})
    assert (event.event_type, event.entity_id, event.entity_type) == (PKGEventType.ENTITY_DELETED, "7", "people")
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, 526000, tzinfo=UTC)
    assert _event({**message, "offset": 5, "value": value}).event_id != event.event_id


def test_the_schema_of_a_tombstones_key_names_the_table() -> None:
    key = {"schema": {"name": "server1.dbo.customers.Key"}, "payload": {"id": 7}}
    event = _event({"key": key, "value": None})
    assert (event.entity_type, event.timestamp) == ("customers", datetime(1970, 1, 1, tzinfo=UTC))
    assert _event({"key": {"id": 7}, "value": None}).entity_type == "Entity"


def test_a_change_that_is_sent_again_has_the_same_id() -> None:
    again = {**UPDATE, "ts_ms": UPDATE["ts_ms"] + 60_000, "source": {**UPDATE["source"], "version": "2.6"}}
    assert _event(again).event_id == _event(UPDATE).event_id


@pytest.mark.parametrize(
    "other",
    [
        {"source": {**UPDATE["source"], "lsn": 34}}, {"op": "c"}, {"after": {"id": 7, "name": "Ada"}},
        {"source": {**UPDATE["source"], "table": "animals"}}, {"before": None},
    ],
)  # fmt: skip
def test_another_change_has_another_id(other: dict[str, Any]) -> None:
    assert _event({**UPDATE, **other}).event_id != _event(UPDATE).event_id


def test_a_source_without_time_is_told_apart_by_the_connectors() -> None:
    bare = {**UPDATE, "source": {"table": "people"}}
    assert _event(bare).timestamp == datetime(2026, 1, 2, 3, 4, 5, 999000, tzinfo=UTC)
    assert _event(bare).event_id != _event({**bare, "ts_ms": 1}).event_id


def test_a_collection_is_a_type() -> None:
    assert _event({**UPDATE, "source": {"collection": "people"}}).entity_type == "people"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"op": "t"}, "op"), ({"op": None}, "op"), ({"op": 1}, "op"), ({"source": None}, "source"),
        ({"source": {"ts_ms": 1}}, "source.table"), ({"source": {"table": 1}}, "source.table"),
        ({"after": None}, "after"), ({"after": []}, "after"), ({"before": "{}"}, "before"),
        ({"after": {"name": "Ada"}}, "after.id"), ({"after": {"id": 1.5}}, "after.id"),
        ({"op": "d", "before": None}, "id"),
        ({"source": {"table": "t"}, "ts_ms": None}, "ts_ms"), ({"source": {"table": "t"}, "ts_ms": "5"}, "ts_ms"),
        ({"source": {"table": "t", "ts_ms": 2**62}}, "source.ts_ms"),
        ({"source": {"table": "t", "ts_ms": -(2**62)}}, "source.ts_ms"),
        ({"source": {"table": "t", "ts_ms": True}}, "source.ts_ms"),
    ],
)  # fmt: skip
def test_wrong_messages_are_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        from_debezium({**UPDATE, **changes})
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"key": "7", "value": None}, "key"), ({"key": {"id": None, "b": None}, "value": None}, "key.b"),
        ({"key": {}, "value": None}, "key"), ({"key": {"id": 7}, "value": None, "timestamp": "now"}, "timestamp"),
        ({"key": {"id": 7}, "value": []}, "value"), ({"key": {"id": 7}, "value": None, "topic": 1}, "topic"),
        ({"payload": "text"}, "payload"),
    ],
)  # fmt: skip
def test_wrong_pairs_are_refused_by_name(message: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        from_debezium(message)
    assert refused.value.field == field
