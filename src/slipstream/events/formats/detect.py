"""Recognises the format of each event by the fields that only that format has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.feed_changes import Change, FeedOptions, Passed, Place, Said
from slipstream.events.formats import not_rows
from slipstream.events.formats.cloudevents import from_cloudevent, native_event
from slipstream.events.formats.debezium import debezium_change, is_envelope
from slipstream.events.formats.envelopes import Message, Part, Unwrapper
from slipstream.events.formats.flattened import MARKERS, flattened_change, is_flattened
from slipstream.events.formats.neo4j_cdc import is_neo4j_cdc, neo4j_change
from slipstream.events.formats.reader import checked_json, load_json, shown
from slipstream.events.formats.rows import RowReader, tombstone

_NATIVE = frozenset({"event_id", "event_type", "entity_id"})
_WRAPPED_NATIVE = frozenset({"event_id", "event_type"})
_DIFFERENCES = frozenset({PKGEventType.ENTITY_UPDATED, PKGEventType.RELATIONSHIP_UPDATED})
_DEFAULTS = FeedOptions()


def parse_event(line: str | bytes | Mapping[str, Any]) -> list[PKGEvent]:
    """
    Return the events in one message; none for a message that is no change of an entity or a relationship.

    Raises `InvalidInputError` naming the field for everything that is not a valid message, and never anything else.
    """
    return [said.event for said in parse_message(line) if isinstance(said, Change)]


def parse_message(line: str | bytes | Mapping[str, Any], options: FeedOptions = _DEFAULTS) -> list[Said]:
    """Return what one message says; raises `InvalidInputError` naming the field, and never anything else."""
    return MessageParser(options).parse(line)


class MessageParser:
    """
    Parses the messages of one feed: native JSON, CloudEvents, Neo4j CDC, Debezium, bare or as records of a log.

    Schemas and tables are kept, which saves reading them with each message; the result depends on the message and the
    options alone.
    """

    def __init__(self, options: FeedOptions = _DEFAULTS) -> None:
        self._options = options
        self._unwrapper = Unwrapper()
        self._rows = RowReader(options, self._unwrapper)

    def parse(self, line: str | bytes | Mapping[str, Any]) -> list[Said]:
        """Return what one message says; raises `InvalidInputError` naming the field, and never anything else."""
        data = checked_json(line) if isinstance(line, Mapping) else load_json(line)
        if data is None:
            return [Passed(not_rows.TOMBSTONE)]
        if not isinstance(data, dict):
            raise InvalidInputError(f"must be an object, got {shown(data)}", field="event")
        return [self._said(data)]

    def _said(self, data: dict[str, Any]) -> Said:
        if "specversion" in data or _NATIVE & data.keys():
            return _event(data, None)
        if "event" in data and not MARKERS & data.keys():
            return neo4j_change(data, self._options)
        is_bare = is_envelope(data) or MARKERS & data.keys()
        return self._of_message(Message(Part(data)) if is_bare else self._unwrapper.unwrap(data))

    def _of_message(self, message: Message) -> Said:
        value = message.value.payload
        if value is None:
            return Passed(not_rows.TOMBSTONE) if message.key is None else tombstone(message, self._rows)
        if not isinstance(value, dict):
            raise InvalidInputError(f"must be an object, got {shown(value)}", field=message.value.where or "event")
        if "specversion" in value or value.keys() >= _WRAPPED_NATIVE:
            return _event(value, message.place)
        if is_neo4j_cdc(value):
            return neo4j_change(value, self._options, message.place, message.value.prefix)
        if is_envelope(value):
            return debezium_change(message, self._rows)
        kind = not_rows.kind_of(message)
        if kind is not None:
            return Passed(kind)
        if is_flattened(message):
            return flattened_change(message, self._rows)
        raise InvalidInputError(
            "is in no known format: send event_id, event_type and so on (native), specversion (CloudEvents), "
            "event (Neo4j CDC) or op (Debezium), or a row with its topic and key",
            field=message.value.where or "event",
        )


def _event(data: Mapping[str, Any], place: Place | None) -> Change:
    event = from_cloudevent(data) if "specversion" in data else native_event(data)
    return Change(event=event, place=place, is_whole=event.event_type not in _DIFFERENCES)
