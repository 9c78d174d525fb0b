"""Change events of Debezium, as its JSON converter writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from slipstream.domain.events import PKGEvent, deterministic_event_id
from slipstream.domain.formats.dump import DEFAULT_TYPE
from slipstream.domain.formats.reader import Reader, checked_json, compound_id, shown

_OPERATIONS = {"c": "entity_created", "r": "entity_created", "u": "entity_updated", "d": "entity_deleted"}
_UNSTABLE = frozenset({"version", "snapshot"})
"""What a connector may say differently of the same change when it sends it again."""
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def from_debezium(data: Mapping[str, Any]) -> PKGEvent | None:
    """
    Return the event in a change of Debezium: a value, or a pair of `key` and `value`, in `schema`/`payload` or not.

    A null value with a key is a deletion; without one it says nothing, and None is returned. Raises
    `InvalidInputError` naming the field.
    """
    message = Reader(checked_json(data))
    if "value" not in message.data and "key" not in message.data:
        value, key = _payload(message), None
    else:
        value = _part(message, "value")
        key = _part(message, "key")
    if value is not None:
        return _change(value, key)
    return None if key is None else _tombstone(message, key)


def _part(message: Reader, name: str) -> Reader | None:
    part = message.object_or_none(name)
    return None if part is None else _payload(part)


def _payload(part: Reader) -> Reader | None:
    """Return what is in the `payload`, or the part itself when the converter writes no schemas."""
    is_envelope = "payload" in part.data and part.data.keys() <= {"schema", "payload"}
    return part.object_or_none("payload") if is_envelope else part


def _change(value: Reader, key: Reader | None) -> PKGEvent:
    operation = value.text("op")
    if operation not in _OPERATIONS:
        raise value.refused("op", f"must be c, u, d or r, got {shown(operation)}")
    source = value.object("source")
    before, after = value.object_or_none("before"), value.object_or_none("after")
    if operation != "d" and after is None:
        raise value.refused("after", "is required")
    entity_id = _identity(value, key, before if operation == "d" else after)
    return PKGEvent.parse(
        {
            "event_id": _event_id(value, source, operation, entity_id),
            "event_type": _OPERATIONS[operation],
            "entity_id": entity_id,
            "entity_type": source.text(
                "table" if source.has("table") or not source.has("collection") else "collection"
            ),
            "timestamp": source.milliseconds("ts_ms") if source.data.get("ts_ms") else value.milliseconds("ts_ms"),
            "old_data": _columns(before),
            "new_data": None if operation == "d" else _columns(after),
            "schema_version": 1,
        }
    )


def _identity(value: Reader, key: Reader | None, row: Reader | None) -> str:
    if key is not None and key.data:
        return key.identity("id") if key.has("id") else compound_id(key)
    if row is not None and row.has("id"):
        return row.identity("id")
    missing = value if row is None else row
    raise missing.refused("id", "is required: send a column id, or the message's key with its value")


def _event_id(value: Reader, source: Reader, operation: str, entity_id: str) -> str:
    """Return an id that is the same when the connector sends this change again, though then at a later `ts_ms`."""
    origin = {name: part for name, part in source.data.items() if name not in _UNSTABLE}
    if not source.data.get("ts_ms"):
        origin["ts_ms"] = value.data.get("ts_ms")
    rows = [value.data.get("before"), value.data.get("after")]
    return deterministic_event_id(
        ["debezium", json.dumps(origin, sort_keys=True, default=str), operation, entity_id]
        + [json.dumps(row, sort_keys=True, default=str) for row in rows]
    )


def _columns(row: Reader | None) -> dict[str, Any] | None:
    return None if row is None else {name: value for name, value in row.data.items() if name != "id"}


def _tombstone(message: Reader, key: Reader) -> PKGEvent:
    entity_id = key.identity("id") if key.has("id") else compound_id(key)
    time_field = next((name for name in ("ts_ms", "timestamp") if message.has(name)), None)
    where = [message.data.get(name) for name in ("topic", "partition", "offset", "ts_ms", "timestamp")]
    return PKGEvent.parse(
        {
            "event_id": deterministic_event_id(["debezium", "tombstone", json.dumps(where, default=str), entity_id]),
            "event_type": "entity_deleted",
            "entity_id": entity_id,
            "entity_type": _table_of(message),
            "timestamp": _UNKNOWN_TIME if time_field is None else message.milliseconds(time_field),
            "schema_version": 1,
        }
    )


def _table_of(message: Reader) -> str:
    """Return the table in the topic (`server.schema.table`) or in the key's schema (`server.schema.table.Key`)."""
    if message.has("topic"):
        return message.text("topic").rpartition(".")[2] or DEFAULT_TYPE
    schema = message.object("key").object_or_none("schema")
    name = schema.text_or_none("name") if schema is not None else None
    parts = (name or "").removesuffix(".Key").rpartition(".")
    return parts[2] or DEFAULT_TYPE
