"""Every format is told by itself, and whatever is none is refused by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.events.formats.cloudevents import to_cloudevent
from slipstream.events.formats.detect import parse_event
from slipstream.events.formats.reader import DEPTH_MAX, TEXT_SIZE_MAX

NATIVE: dict[str, Any] = {
    "event_id": "e-1", "event_type": "entity_created", "entity_id": "ada", "entity_type": "Person",
    "timestamp": "2026-01-02T03:04:05Z", "schema_version": 1, "new_data": {"name": "Ada"},
}  # fmt: skip
EVENT = PKGEvent.parse(NATIVE)


@pytest.mark.parametrize(
    "message",
    [
        NATIVE, json.dumps(NATIVE), json.dumps(NATIVE).encode(), f"  {json.dumps(NATIVE)}\n", EVENT.model_dump(),
        EVENT.model_dump_json(), to_cloudevent(EVENT, "s"), json.dumps(to_cloudevent(EVENT, "s")),
        {**NATIVE, "timestamp": "2026-01-02t04:04:05+01:00"},
        {**NATIVE, "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)},
    ],
)  # fmt: skip
def test_native_events_and_cloudevents(message: Any) -> None:
    assert parse_event(message) == [EVENT]


def test_neo4j_cdc() -> None:
    after = {"labels": ["Person"], "properties": {"name": "Ada"}}
    change = {
        "id": "A7", "metadata": {"txCommitTime": "2026-01-02T03:04:05Z"},
        "event": {"elementId": "4:x:1", "eventType": "n", "operation": "c", "keys": {}, "state": {"after": after}},
    }  # fmt: skip
    [event] = parse_event(json.dumps(change))
    assert (event.entity_id, event.entity_type, event.new_data) == ("4:x:1", "Person", {"name": "Ada"})


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"payload": m}, lambda m: {"key": {"id": 7}, "value": m}])
def test_debezium(wrap: Any) -> None:
    [event] = parse_event(wrap({"op": "c", "after": {"id": 7, "a": 1}, "source": {"table": "t"}, "ts_ms": 1}))
    assert (event.entity_id, event.entity_type, event.new_data) == ("t:7", "t", {"a": 1})


@pytest.mark.parametrize("tombstone", ["null", '{"key": null, "value": null}', '{"schema": null, "payload": null}'])
def test_tombstones_without_content_are_no_events(tombstone: str) -> None:
    assert parse_event(tombstone) == []


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("", "event"), ("nonsense", "event"), ("{", "event"), ("[]", "event"), ('"text"', "event"), ("1", "event"),
        ("{}", "event"), ('{"name": "Ada"}', "event"), (b"\xff{}", "event"), (b"\xef\xbb\xbf{}", "event"),
        ("{} {}", "event"), ('{"a": 1e999, }', "event"), ('{"a": NaN, "b"', "event"),
        ("[" * 100_000, "event"), ('{"a":' * 100_000, "event"), ("9" * 5_000, "event"),
        ('{"a": NaN}', "a"), ('{"a": {"b": [1, -Infinity]}}', "a.b[1]"), ('{"a": 1e999}', "a"),
        ('{"a": 9223372036854775808}', "a"), ('{"a": -9223372036854775809}', "a"),
        ('{"a": 1, "a": 1}', "a"), ('{"event_id": "1", "x": {"b": 1, "c": 2, "b": 3}}', "b"),
        ('{"a": "\\ud800"}', "a"), ('{"\\udfff": 1}', "'\\udfff'"), ('{"a": "\udcff"}', "a"), ("\udcff", "event"),
        ({"a": b"bytes"}, "a"), ({"a": {1, 2}}, "a"), ({1: 2}, "1"), ({"a": float("nan")}, "a"),
        ({"a": datetime(2026, 1, 2)}, "a"),  # noqa: DTZ001 - it is refused for that
        ({"event": {}}, "event.operation"), ({"event": None}, "event"), ({"event": "x", "id": "1"}, "event"),
        ({"op": "c"}, "source"), ({"specversion": "2.0"}, "specversion"),
        ({"key": {"id": {}}, "value": None, "topic": "a.b"}, "key.id"), ({"key": {"id": 7}, "value": None}, "topic"),
    ],
)  # fmt: skip
def test_hostile_input_is_refused_by_name(message: Any, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_event(message)
    assert refused.value.field == field
    assert str(refused.value).isprintable(), "messages go to logs and terminals"


@pytest.mark.parametrize(
    "field", ["event_id", "event_type", "entity_id", "entity_type", "timestamp", "schema_version"]
)
def test_native_events_may_omit_nothing(field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_event({name: value for name, value in NATIVE.items() if name != field})
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestamp", "2026-01-02T03:04:05"), ("timestamp", "2026-01-02"), ("timestamp", 1767323045),
        ("timestamp", "1767323045"), ("timestamp", "soon"), ("timestamp", "0001-01-01T00:00:00+05:00"),
        ("extraction_confidence", 1.01), ("extraction_confidence", -1), ("extraction_confidence", "0.5"),
        ("extraction_confidence", True), ("schema_version", "1"), ("schema_version", True), ("schema_version", 1.0),
        ("schema_version", 0), ("position", "4"), ("position", -1), ("position", 1.0), ("entity_id", 4),
        ("event_type", "renamed"), ("new_data", "text"), ("colour", "red"),
    ],
)  # fmt: skip
def test_native_fields_of_a_wrong_type_or_range_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_event(json.dumps({**NATIVE, field: value}))
    assert refused.value.field == field


def test_nesting_has_a_limit() -> None:
    def nested(depth: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return {**NATIVE, "new_data": {"a": value}}

    assert parse_event(nested(DEPTH_MAX - 2))
    with pytest.raises(InvalidInputError, match="nested deeper") as refused:
        parse_event(nested(DEPTH_MAX))
    assert refused.value.field.startswith("new_data.a[0]")
    cycle: dict[str, Any] = {}
    cycle["event"] = cycle
    with pytest.raises(InvalidInputError, match="nested deeper"):
        parse_event(cycle)


@pytest.mark.parametrize("character", ["x", "é"])
def test_texts_have_a_limit_in_bytes(character: str) -> None:
    empty = json.dumps({**NATIVE, "new_data": {"a": ""}}, ensure_ascii=False)
    room = (TEXT_SIZE_MAX - len(empty.encode())) // len(character.encode())
    longest = empty.replace('"a": ""', f'"a": "{character * room}"')
    assert len(parse_event(longest)) == 1
    for text in (longest + "  ", (longest + "  ").encode()):
        with pytest.raises(InvalidInputError, match="longer than"):
            parse_event(text)
