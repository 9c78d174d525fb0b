"""Events in whatever format they come: each is told by the fields that only it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.formats.cloudevents import from_cloudevent, native_event
from slipstream.domain.formats.debezium import from_debezium
from slipstream.domain.formats.neo4j_cdc import from_neo4j_cdc
from slipstream.domain.formats.reader import checked_json, load_json, shown

_NATIVE = frozenset({"event_id", "event_type", "entity_id"})
_DEBEZIUM = frozenset({"payload", "op", "key", "value"})


def parse_event(line: str | bytes | Mapping[str, Any]) -> list[PKGEvent]:
    """
    Return the events in one message: native JSON, a CloudEvent, Neo4j CDC or Debezium.

    A tombstone of Debezium without content has none. Raises `InvalidInputError` naming the field for everything
    that is not exactly such a message, and never anything else.
    """
    data = checked_json(line) if isinstance(line, Mapping) else load_json(line)
    if data is None:
        return []
    if not isinstance(data, dict):
        raise InvalidInputError(f"must be an object, got {shown(data)}", field="event")
    event = _parse(data)
    return [] if event is None else [event]


def _parse(data: dict[str, Any]) -> PKGEvent | None:
    if "specversion" in data:
        return from_cloudevent(data)
    if _NATIVE & data.keys():
        return native_event(data)
    if "event" in data:
        return from_neo4j_cdc(data)
    if _DEBEZIUM & data.keys():
        return from_debezium(data)
    raise InvalidInputError(
        "is in no known format: send event_id, event_type and so on (native), specversion (CloudEvents), "
        "event (Neo4j CDC) or op (Debezium)",
        field="event",
    )
