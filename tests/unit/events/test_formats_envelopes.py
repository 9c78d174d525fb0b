"""What lies around an event changes nothing of what it says; only where it lay is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.feed_changes import Change, FeedOptions, Place
from slipstream.events.formats.cloudevents import to_cloudevent
from slipstream.events.formats.connect_schemas import SCHEMAS_MAX
from slipstream.events.formats.detect import MessageParser, parse_message
from slipstream.events.formats.envelopes import TEXTS_MAX
from tests.unit.events.test_formats_neo4j_cdc import NODE
from tests.unit.events.test_formats_values import record

MESSAGE = record({"type": "int32", "name": "io.debezium.time.Date"}, 0)
KEY, VALUE = MESSAGE["key"], MESSAGE["value"]
KEY_WITH_SCHEMA = {
    "schema": {
        "type": "struct",
        "fields": [{"type": "int32", "optional": False, "field": "id"}],
        "name": "kg.public.t.Key",
    },
    "payload": {"id": 1},
}
NATIVE: dict[str, Any] = {
    "event_id": "e-1",
    "event_type": "entity_updated",
    "entity_id": "ada",
    "entity_type": "Person",
    "timestamp": "2026-01-02T03:04:05Z",
    "schema_version": 1,
    "new_data": {"name": "Ada"},
}


def _text(value: Any, separators: tuple[str, str] | None = (",", ":")) -> str:
    return json.dumps(value, separators=separators)


def _change(message: Any, **options: Any) -> Change:
    [change] = parse_message(message, FeedOptions(**options))
    assert isinstance(change, Change)
    return change


def _said(message: Any) -> tuple[Any, ...]:
    change = _change(message)
    return change.event, change.space, change.name, change.order, change.unsent, list(change.notes)


KAFKA = {"topic": "kg.public.t", "partition": 2, "offset": 5, "timestamp": 1795914490645, "headers": []}
KCAT = {"topic": "kg.public.t", "partition": 2, "offset": 5, "tstype": "create", "ts": 1795914490645, "broker": 1}


@pytest.mark.parametrize(
    "message",
    [
        {**KAFKA, "key": KEY, "value": VALUE},
        {**KAFKA, "key": _text(KEY), "value": _text(VALUE)},
        {**KAFKA, "key": _text(KEY_WITH_SCHEMA), "value": _text(VALUE)},
        {**KAFKA, "key": _text(KEY), "value": _text(VALUE, None)},
        {**KCAT, "key": _text(KEY), "payload": _text(VALUE)},
        {**KCAT, "headers": ["a", "b"], "key": _text(KEY), "payload": _text(VALUE)},
    ],
)
def test_records_of_a_topic(message: dict[str, Any]) -> None:
    assert _said(message) == _said(MESSAGE) == _said(_text(message))
    assert _change(message).place == Place("kg.public.t/2", 5, 1795914490645)


def test_messages_of_a_stream() -> None:
    message = {"stream": "S", "seq": 7, "subject": "kg.public.t", "headers": None, "data": _text(VALUE)}
    change = _change(message, key_columns={"t": ["id"]})
    assert (change.event, change.place) == (_change(MESSAGE).event, Place("S", 7))
    with pytest.raises(InvalidInputError, match=r"rows of kg\.public\.t come without a key"):
        parse_message(message)


@pytest.mark.parametrize(
    "wrap", [lambda v: {**KAFKA, "key": None, "value": _text(v)}, lambda v: {"subject": "s", "data": v}]
)
def test_other_formats_travel_in_logs_too(wrap: Any) -> None:
    for value in (NATIVE, to_cloudevent(PKGEvent.parse(NATIVE), "s"), NODE):
        assert _change(wrap(value)).event == _change(value).event
        assert _change(wrap(value)).is_whole == _change(value).is_whole


def test_native_updates_are_differences_and_creations_are_whole() -> None:
    assert not _change(NATIVE).is_whole
    assert _change({**NATIVE, "event_type": "entity_created"}).is_whole


def test_texts_with_schemas_are_read_the_same_the_second_time() -> None:
    parser = MessageParser()
    for number in range(4):
        value = json.loads(_text(VALUE))
        value["payload"]["after"]["v"] = number
        if number == 3:  # another schema, of another length
            value["schema"]["fields"][1]["fields"][1] = {"type": "int32", "field": "v"}
        [change] = parser.parse({**KAFKA, "key": _text(KEY_WITH_SCHEMA), "value": _text(value)})
        assert isinstance(change, Change)
        assert (change.event.new_data or {})["v"] == (3 if number == 3 else f"1970-01-0{number + 1}")


@pytest.mark.parametrize("ending", ["}}", "]}", '{"a":1}', "", ',"payload":{}}', "}  x", ',"more":1}', "} "])
def test_what_follows_a_known_schema_is_read_to_the_end(ending: str) -> None:
    text = _text(VALUE)
    message = {**KAFKA, "key": KEY, "value": text[:-1] + ending}
    parser = MessageParser()
    parser.parse({**message, "value": text})

    def outcome(parse: Callable[[Any], Any]) -> Any:
        try:
            return [said.event for said in parse(message)]
        except InvalidInputError as error:
            return str(error)

    assert outcome(parser.parse) == outcome(parse_message)
    assert isinstance(outcome(parser.parse), str) == (ending not in (',"more":1}', "} "))


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({**KAFKA, "key": "{", "value": _text(VALUE)}, "key"),
        ({**KAFKA, "key": _text(KEY), "value": "no"}, "value"),
        ({**KAFKA, "key": _text(KEY), "value": ""}, "value"),
        ({**KCAT, "key": None, "payload": "{}x"}, "payload"),
        ({"subject": "s", "data": "{"}, "data"),
        ({**KAFKA, "key": KEY}, "value"),
        (KAFKA, "value"),
        ({**KAFKA, "offset": -1, "key": KEY, "value": VALUE}, "offset"),
        ({**KAFKA, "offset": "5", "key": KEY, "value": VALUE}, "offset"),
        ({**KAFKA, "partition": True, "key": KEY, "value": VALUE}, "partition"),
        ({**KAFKA, "topic": 1, "key": KEY, "value": VALUE}, "topic"),
        ({**KAFKA, "timestamp": "now", "key": KEY, "value": VALUE}, "timestamp"),
        ({**KAFKA, "headers": 1, "key": KEY, "value": VALUE}, "headers"),
        ({**KAFKA, "headers": [1], "key": KEY, "value": VALUE}, "headers"),
        ({**KAFKA, "headers": ["a"], "key": KEY, "value": VALUE}, "headers"),
        ({**KAFKA, "key": KEY, "value": "[1]"}, "value"),
        ({"stream": "s", "seq": -1, "data": VALUE}, "seq"),
        ({**KAFKA, "key": KEY, "value": {"op": "d"}, "headers": []}, "value.source"),
        ({**KAFKA, "key": '{"id": 1, "id": 1}', "value": VALUE}, "id"),
        ({**KAFKA, "key": KEY, "value": '{"op": NaN}'}, "op"),
    ],
)
def test_wrong_records_are_refused_by_name(message: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_message(message)
    assert refused.value.field == field


def test_a_header_that_is_no_json_is_refused_by_name() -> None:
    message = {**MESSAGE, "headers": [["__debezium.oldkey", "{"]]}
    with pytest.raises(InvalidInputError) as refused:
        parse_message(message)
    assert refused.value.field == "headers.__debezium.oldkey"


def test_what_is_remembered_is_bounded() -> None:
    parser = MessageParser()
    for number in range(SCHEMAS_MAX + 20):
        message = json.loads(_text(MESSAGE).replace("kg.public.t", f"kg.public.t{number}"))
        message["value"]["payload"]["source"]["table"] = f"t{number}"
        [change] = parser.parse({**message, "value": _text(message["value"])})
        assert isinstance(change, Change)
        assert change.space == f"kg.public.t{number}"
    assert len(parser._rows.schemas._read) == SCHEMAS_MAX
    assert len(parser._unwrapper._schemas) == TEXTS_MAX
