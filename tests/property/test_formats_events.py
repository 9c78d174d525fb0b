"""CloudEvents lose nothing; no input, however broken, raises anything but `InvalidInputError`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.events.formats.cloudevents import from_cloudevent, to_cloudevent
from slipstream.events.formats.detect import parse_event
from slipstream.events.formats.dump import parse_row

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ZONES = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001 - bounds are naive
INTEGERS = st.integers(-(2**63), 2**63 - 1)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
DATA = st.one_of(st.none(), st.dictionaries(TEXTS, JSON, max_size=4))
EVENTS = st.builds(
    PKGEvent,
    event_id=NAMES, event_type=st.sampled_from(PKGEventType), entity_id=NAMES, entity_type=NAMES, timestamp=MOMENTS,
    old_data=DATA, new_data=DATA, source_document_id=st.one_of(st.none(), TEXTS),
    extraction_confidence=st.one_of(st.none(), st.floats(0, 1)), schema_version=st.integers(1, 2**62),
    position=st.one_of(st.none(), st.integers(0, 2**62)),
    source_id=NAMES, source_type=st.one_of(st.none(), NAMES),
    target_id=NAMES, target_type=st.one_of(st.none(), NAMES),
)  # fmt: skip

AFTER = {"labels": ["Person"], "properties": {"id": "ada", "name": "Ada"}}
NEO4J_NODE: dict[str, Any] = {
    "id": "A7", "txId": 1, "seq": 0, "metadata": {"captureMode": "DIFF", "txCommitTime": "2026-01-02T03:04:05Z"},
    "event": {"elementId": "4:x:1", "eventType": "n", "operation": "u", "keys": {"Person": [{"id": "ada"}]},
              "labels": ["Person"], "state": {"before": AFTER, "after": AFTER}},
}  # fmt: skip
NEO4J_RELATIONSHIP: dict[str, Any] = {
    **NEO4J_NODE,
    "event": {"elementId": "5:x:1", "eventType": "r", "operation": "c", "type": "KNOWS", "keys": [{"since": 1}],
              "start": {"elementId": "4:x:1", "keys": {"P": [{"id": 1}]}, "labels": ["P"]},
              "end": {"elementId": "4:x:2"}, "state": {"before": None, "after": {"properties": {"since": 1}}}},
}  # fmt: skip
DEBEZIUM = {"before": None, "after": {"id": 7, "a": 1}, "source": {"table": "t", "ts_ms": 5}, "op": "c", "ts_ms": 6}
NATIVE = {
    "event_id": "e", "event_type": "relationship_created", "entity_id": "x", "entity_type": "T", "schema_version": 1,
    "timestamp": "2026-01-02T03:04:05Z", "source_id": "a", "target_id": "b", "extraction_confidence": 0.5,
    "position": 4, "old_data": {"a": 1}, "new_data": {"a": [1]},
}  # fmt: skip
MESSAGES: list[dict[str, Any]] = [
    NATIVE, to_cloudevent(PKGEvent.parse(NATIVE), "s"), NEO4J_NODE, NEO4J_RELATIONSHIP, DEBEZIUM,
    {"key": {"schema": {"name": "a.b.Key"}, "payload": {"id": 7}}, "value": {"schema": {}, "payload": DEBEZIUM}},
    {"key": {"id": 7}, "value": None, "timestamp": 5, "topic": "a.b"},
]  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"type": "node", "id": "0", "labels": ["User"], "properties": {"id": 1, "a": [1]}},
    {"type": "relationship", "id": "5", "label": "KNOWS", "properties": {}, "start": {"id": "0", "labels": ["User"]},
     "end": {"id": "1", "labels": [], "properties": {"id": "x"}}},
]  # fmt: skip
ODD = st.one_of(
    JSON,
    st.sampled_from(["", "\ud800", "2026-01-02", "9999-12-31T23:59:59-05:00", 0, -1, 2**63, 10**400, 2**62, -0.0]),
    st.sampled_from([float("nan"), float("inf"), True, [], {}, [[]], {"": {}}, {"id": {}}, [{"id": None}], b"", {1}]),
    st.text(max_size=3000),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from _places(child, (*path, name))


def _mutated(draw: st.DrawFn, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a right message in which up to three fields are replaced or gone."""
    message: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(messages))))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(message))
        if not places:
            break
        *parents, name = draw(st.sampled_from(places))
        place: Any = message
        for parent in parents:
            place = place[parent]
        if draw(st.booleans()):
            place[name] = copy.deepcopy(draw(ODD))  # drawn values are shared, and may be broken next
        else:
            del place[name]
    return message


@st.composite
def broken_messages(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a message that is nearly an event."""
    return _mutated(draw, MESSAGES)


@st.composite
def broken_rows(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a row that is nearly one of a dump."""
    return _mutated(draw, ROWS)


def _assert_parsed_or_refused_by_name(message: Any) -> None:
    named, events = "", []
    try:
        events = parse_event(message)
    except InvalidInputError as error:
        named = error.field
    else:
        assert events == parse_event(message), "what is parsed depends on the message alone"
        named = "nothing"
    assert named
    assert all(event.timestamp.utcoffset() == timedelta() for event in events)


def test_the_messages_are_right_before_they_are_broken() -> None:
    assert all(len(parse_event(message)) == 1 for message in MESSAGES)
    assert all(parse_row(json.dumps(row), 1) for row in ROWS)


@given(EVENTS, NAMES)
def test_cloudevents_lose_nothing(event: PKGEvent, source: str) -> None:
    envelope = to_cloudevent(event, source)
    assert from_cloudevent(envelope) == event
    assert parse_event(json.dumps(envelope)) == [event], "nor on their way through JSON text"
    assert envelope["partitionkey"] == envelope["subject"] == event.entity_id


@given(EVENTS)
def test_native_json_loses_nothing(event: PKGEvent) -> None:
    assert parse_event(event.model_dump_json()) == [event]
    assert parse_event(event.model_dump()) == [event]


@given(st.one_of(st.text(), st.binary(), JSON.map(json.dumps), st.dictionaries(TEXTS, JSON)))
@example("{" * 10_000)
def test_any_text_is_parsed_or_refused(message: Any) -> None:
    _assert_parsed_or_refused_by_name(message)


@given(broken_messages())
def test_broken_messages_are_parsed_or_refused(message: dict[str, Any]) -> None:
    _assert_parsed_or_refused_by_name(message)
    _assert_parsed_or_refused_by_name(json.dumps(message, default=str))


@given(broken_messages(), st.integers(0, 600), st.text(max_size=2))
def test_broken_texts_are_parsed_or_refused(message: dict[str, Any], place: int, inserted: str) -> None:
    text = json.dumps(message, default=str, ensure_ascii=False)
    _assert_parsed_or_refused_by_name(text[:place] + inserted + text[place:])
    _assert_parsed_or_refused_by_name(text[:place] + text[place + 1 :])
    _assert_parsed_or_refused_by_name(text.encode("utf-8", "surrogatepass")[:place])


@given(broken_rows(), st.integers(1, 10**6))
def test_broken_rows_are_parsed_or_refused_by_line(row: dict[str, Any], number: int) -> None:
    field = f"line {number}: "
    try:
        parse_row(json.dumps(row, default=str), number)
    except InvalidInputError as error:
        field = error.field
    assert field.startswith(f"line {number}: ")
