"""Recognises messages of a connector that are no change of a row by their shape: passed over, and counted by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.events.formats.envelopes import Message

TOMBSTONE, SIGNAL, LOGICAL_MESSAGE = "tombstone", "signal", "logical message"
_HEARTBEAT_TOPIC = "__debezium-heartbeat"
_BY_SCHEMA = {
    "io.debezium.connector.common.Heartbeat": "heartbeat",
    "io.debezium.connector.common.TransactionMetadataValue": "transaction marker",
    "io.debezium.connector.common.Notification": "notification",
}
_BY_FIELDS = (
    (frozenset({"status", "id", "event_count", "data_collections"}), frozenset({"ts_ms"}), "transaction marker"),
    (frozenset({"id", "aggregateType", "type"}), frozenset({"additionalData", "timestamp"}), "notification"),
    (frozenset({"ts_ms"}), frozenset({"ts_us", "ts_ns", "serverName"}), "heartbeat"),
)
"""Fields that a message has, others that it may have, its kind."""


def kind_of(message: Message) -> str | None:
    """Return the kind of a message that is no change of a row; None for a change."""
    schema = message.value.schema
    if isinstance(schema, dict) and (kind := _BY_SCHEMA.get(str(schema.get("name")))):
        return kind
    if message.topic is not None and message.topic.startswith(_HEARTBEAT_TOPIC):
        return "heartbeat"
    value: Mapping[str, Any] = message.value.payload
    if "ddl" in value and ("tableChanges" in value or "databaseName" in value):
        return "schema change"
    for required, possible, kind in _BY_FIELDS:
        if required <= value.keys() <= required | possible:
            return kind
    return None
