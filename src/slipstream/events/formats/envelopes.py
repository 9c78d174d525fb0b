"""
The envelope of an event: a record of Kafka, a line of `kcat -J`, a message of JetStream, a pair of key and value.

Keys, values and headers are objects, or texts of JSON as they were in the log, each with or without its schema.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from json import JSONDecoder
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Place
from slipstream.events.formats.reader import Reader, load_json, shown

_RECORD = frozenset({"topic", "partition", "offset"})
TEXTS_MAX = 500
"""How many texts of schemas are kept: one for each topic, its keys and its headers."""
_TEXT_SIZE_MAX = 64 * 1024
_SCHEMA, _PAYLOAD = re.compile(r'\{\s*"schema"\s*:\s*'), re.compile(r'\s*,\s*"payload"\s*:\s*')


@dataclass(slots=True)
class Part:
    """A key, a value or a header: its payload, its schema if it has one, and its name in refusals."""

    payload: Any
    schema: Any = None
    where: str = ""

    @property
    def prefix(self) -> str:
        """What stands before the names of its fields in refusals."""
        return f"{self.where}." if self.where else ""


@dataclass(slots=True)
class Message:
    """One message, taken out of its envelope."""

    value: Part
    key: Part | None = None
    """None: there is no key, or it is null."""
    topic: str | None = None
    place: Place | None = None
    timestamp_ms: int | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    has_key: bool = False
    """Whether the envelope has a place for a key, even if the key is null."""
    is_logged: bool = False
    """Whether it came from a log: a topic, a stream."""


class Unwrapper:
    """Takes messages out of their envelopes; keeps the texts of schemas, which hardly ever change."""

    def __init__(self) -> None:
        self._schemas: OrderedDict[str, tuple[str, Any]] = OrderedDict()

    def unwrap(self, data: Mapping[str, Any]) -> Message:
        """Return the message in an object; raises `InvalidInputError` naming the field."""
        reader = Reader(data)
        if "data" in data and ("subject" in data or "stream" in data):
            return self._of_jetstream(reader)
        if "payload" in data and _RECORD & data.keys():
            return self._of_kafka(reader, "payload")
        if "value" in data:
            return self._of_kafka(reader, "value")
        if "key" in data or data.keys() >= _RECORD:
            raise reader.refused("value", "is required: null is a tombstone, nothing is not")
        return Message(_part(data, ""))

    def _of_kafka(self, record: Reader, value: str) -> Message:
        data = record.data
        topic = record.text_or_none("topic")
        timestamp = data.get("ts" if value == "payload" else "timestamp", data.get("ts_ms"))
        offset, partition = data.get("offset"), data.get("partition")
        where = topic or ""
        message = Message(
            value=self._read(data.get(value), value, where),
            topic=topic,
            timestamp_ms=None if timestamp is None else _integer(record, "timestamp", timestamp),
            headers=dict(_headers(record)),
            has_key="key" in data,
            is_logged=topic is not None,
        )
        if data.get("key") is not None:
            key = self._read(data["key"], "key", f"{where}\nkey")
            message.key = key if key.payload is not None else None
        if topic is not None and offset is not None:
            log = f"{topic}/{_integer(record, 'partition', partition or 0)}"
            message.place = Place(log, _integer(record, "offset", offset), message.timestamp_ms or 0)
        return message

    def _of_jetstream(self, record: Reader) -> Message:
        data = record.data
        subject, stream, sequence = record.text_or_none("subject"), record.text_or_none("stream"), data.get("seq")
        place = None
        if stream is not None and sequence is not None:
            place = Place(stream, _integer(record, "seq", sequence))
        return Message(
            value=self._read(data["data"], "data", subject or ""),
            topic=subject,
            place=place,
            headers=dict(_headers(record)),
            has_key=True,
            is_logged=True,
        )

    def _read(self, value: Any, where: str, near: str) -> Part:
        return self._text_part(value, where, near) if isinstance(value, str) else _part(value, where)

    def _text_part(self, text: str, where: str, near: str) -> Part:
        """Return the part in a text of JSON; texts with equal `near` are likely to begin with the same schema."""
        start, schema = self._schemas.get(near, (None, None))
        if start is not None and text.startswith(start) and text.endswith("}"):
            try:
                payload = load_json(text[len(start) : -1], f"{where}.", whole="payload")
            except InvalidInputError:
                pass  # reading the whole text names the fault
            else:
                return Part(payload, schema, f"{where}.payload")
        part = _part(load_json(text, whole=where), where)
        if part.schema is not None:
            self._remember(near, text, part.schema)
        return part

    def _remember(self, near: str, text: str, schema: Any) -> None:
        begins = _SCHEMA.match(text)
        if begins is None:
            return
        _, end = JSONDecoder().raw_decode(text, begins.end())
        goes_on = _PAYLOAD.match(text, end)
        if goes_on is not None and end < _TEXT_SIZE_MAX:
            self._schemas[near] = (text[: goes_on.end()], schema)
            self._schemas.move_to_end(near)
            if len(self._schemas) > TEXTS_MAX:
                self._schemas.popitem(last=False)

    def header(self, message: Message, name: str) -> Part | None:
        """Return the part in a header, None when the message has no such header."""
        value = message.headers.get(name)
        return None if value is None else self._read(value, f"headers.{name}", f"{message.topic}\n{name}")


def _part(value: Any, where: str) -> Part:
    """Return the part in a value, which may be wrapped as `schema` and `payload`."""
    if isinstance(value, dict) and "payload" in value and value.keys() <= {"schema", "payload"}:
        return Part(value["payload"], value.get("schema"), f"{where}.payload" if where else "payload")
    return Part(value, None, where)


def _headers(record: Reader) -> Iterator[tuple[str, Any]]:
    """Yield headers of an object, or of an array: pairs, objects, or names and values in turn (`kcat -J`)."""
    headers = record.data.get("headers")
    if headers is None:
        return
    if isinstance(headers, dict):
        yield from headers.items()
        return
    if not isinstance(headers, list):
        raise record.refused("headers", f"must be an object or an array, got {shown(headers)}")
    if all(isinstance(each, str | None) for each in headers) and len(headers) % 2 == 0:
        yield from zip(headers[::2], headers[1::2], strict=True)
        return
    for each in headers:
        if isinstance(each, list) and len(each) == 2 and isinstance(each[0], str):
            yield each[0], each[1]
        elif isinstance(each, dict):
            yield from [(each["key"], each["value"])] if each.keys() == {"key", "value"} else each.items()
        else:
            raise record.refused("headers", f"must hold pairs of a name and a value, got {shown(each)}")


def _integer(record: Reader, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise record.refused(name, f"must be an integer of at least 0, got {shown(value)}")
    return value
