"""CloudEvents 1.0 in JSON: the envelope in which events travel between systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.events.formats.reader import Reader, checked_json, shown

TYPE_PREFIX = "dev.slipstream."
SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
SEQUENCE_DIGITS = 20
"""A position has at most 19 digits: zero-padded, sequences sort as texts."""

_ENVELOPE = frozenset({"event_id", "event_type", "timestamp", "position"})
"""Fields that the envelope holds, so that `data` does not."""


def to_cloudevent(event: PKGEvent, source: str) -> dict[str, Any]:
    """
    Return the event as a CloudEvent; `source` names the graph it happened in.

    Its `id` is the event's own, so `source` and `id` deduplicate. Raises `InvalidInputError` for data that JSON
    can not carry.
    """
    if not source:
        raise InvalidInputError("must be a non-empty URI reference", field="source")
    checked_json(event.model_dump())
    envelope: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.event_id,
        "source": source,
        "type": f"{TYPE_PREFIX}{event.event_type.value}",
        "subject": event.entity_id,
        "time": event.timestamp.isoformat().replace("+00:00", "Z"),
        "datacontenttype": CONTENT_TYPE,
        "partitionkey": event.entity_id,
    }
    if event.position is not None:
        envelope["sequence"] = f"{event.position:0{SEQUENCE_DIGITS}d}"
    envelope["data"] = event.model_dump(mode="json", exclude=set(_ENVELOPE))
    return envelope


def from_cloudevent(data: Mapping[str, Any]) -> PKGEvent:
    """Return the event in a CloudEvent that `to_cloudevent` made; raises `InvalidInputError` naming the field."""
    envelope = Reader(checked_json(data))
    if envelope.text("specversion") != SPEC_VERSION:
        raise envelope.refused("specversion", f"must be {SPEC_VERSION!r}, got {shown(envelope.data['specversion'])}")
    envelope.text("source")
    kind = envelope.text("type")
    if not kind.startswith(TYPE_PREFIX):
        raise envelope.refused("type", f"must start with {TYPE_PREFIX!r}, got {shown(kind)}")
    content = envelope.object("data")
    for name in _ENVELOPE & content.data.keys():
        raise content.refused(name, "belongs into the envelope")
    fields: dict[str, Any] = {
        **content.data,
        "event_id": envelope.text("id"),
        "event_type": kind.removeprefix(TYPE_PREFIX),
        "timestamp": envelope.moment("time"),
        "position": _position(envelope),
    }
    if "entity_id" not in fields:
        fields["entity_id"] = envelope.text("subject")
    return native_event(fields)


def _position(envelope: Reader) -> int | None:
    sequence = envelope.text_or_none("sequence")
    if sequence is None:
        return None
    if not (sequence.isascii() and sequence.isdigit()) or len(sequence) > SEQUENCE_DIGITS:
        raise envelope.refused("sequence", f"must be at most {SEQUENCE_DIGITS} digits, got {shown(sequence)}")
    return int(sequence)


def native_event(fields: Mapping[str, Any]) -> PKGEvent:
    """
    Return the event with these fields; stricter than the model: no text for a number, no number for a time.

    Raises `InvalidInputError` naming the field.
    """
    reader = Reader(fields)
    confidence = fields.get("extraction_confidence")
    for name in ("schema_version", "position"):
        if isinstance(fields.get(name), bool | float | str):
            raise reader.refused(name, f"must be an integer, got {shown(fields[name])}")
    if isinstance(confidence, bool | str):
        raise reader.refused("extraction_confidence", f"must be a number, got {shown(confidence)}")
    return PKGEvent.parse({**fields, "timestamp": reader.moment("timestamp")})
