"""Changes of tables as Debezium tells them in its own form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEventType
from slipstream.domain.feed_changes import Change, FeedOptions, Passed, Truncation
from slipstream.events.formats.detect import parse_event, parse_message

SOURCE = {
    "version": "3.6", "connector": "postgresql", "name": "kg", "schema": "public", "table": "people", "lsn": 33,
    "ts_ms": 1767323045526,
}  # fmt: skip
UPDATE: dict[str, Any] = {
    "before": {"id": 7, "name": "Ada", "born": 1815}, "after": {"id": 7, "name": "Ada Lovelace", "born": None},
    "source": SOURCE, "op": "u", "ts_ms": 1767323045999,
}  # fmt: skip
DELETE = {**UPDATE, "op": "d", "after": None}


def _change(message: dict[str, Any], **options: Any) -> Change:
    [change] = parse_message(message, FeedOptions(**options))
    assert isinstance(change, Change)
    return change


def _row(key: Any, row: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"topic": "kg.public.people", "key": key, "value": {**UPDATE, "before": None, "after": row, **more}}


def _refused(message: Any, **options: Any) -> str:
    with pytest.raises(InvalidInputError) as refused:
        parse_message(message, FeedOptions(**options))
    return refused.value.field


def test_an_update() -> None:
    change = _change(UPDATE)
    event = change.event
    assert (event.event_type, event.entity_type) == (PKGEventType.ENTITY_UPDATED, "people")
    assert (event.entity_id, change.space, change.name) == ("kg.public.people:7", "kg.public.people", "7")
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, 526000, tzinfo=UTC)
    assert event.old_data == {"name": "Ada", "born": 1815}
    assert event.new_data == {"name": "Ada Lovelace", "born": None}
    assert change.is_whole, "a column that is not in `after` is gone"
    assert (change.order, change.has_ties, event.schema_version, event.position) == ("33".zfill(20), False, 1, None)


@pytest.mark.parametrize("operation", ["c", "r"])
def test_creations_and_snapshots(operation: str) -> None:
    change = _change({**UPDATE, "op": operation, "before": None})
    assert (change.event.event_type, change.event.old_data) == (PKGEventType.ENTITY_CREATED, None)
    assert change.is_whole


def test_a_deletion() -> None:
    event = _change(DELETE).event
    assert (event.event_type, event.entity_id) == (PKGEventType.ENTITY_DELETED, "kg.public.people:7")
    assert (event.old_data, event.new_data) == (None, None), "what stands in `before` is nothing to believe"


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
    assert parse_event(wrap({"id": 7}, UPDATE)) == parse_event(UPDATE)


# ---------------------------------------------------------------------- identity


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ({"id": 8}, "8"), ({"order_no": "A-1"}, "A-1"), ({"b": 1, "id": "k"}, "1:k"),
        ({"b": 2, "a": "x:y"}, "2:x%3Ay"),  # in the order of the key, as the primary key has it
        ({"flag": True}, "true"), ({"flag": False}, "false"), ({"price": {"scale": 1, "value": "Dw=="}}, "1.5"),
        ({"price": 1.5}, "1.5"), ({"code": "x:y"}, "x:y"), ({"a": "", "b": "x"}, ":x"), (9, "9"), ("A-1", "A-1"),
        ({"schema": {"type": "int32"}, "payload": 9}, "9"),
    ],
)  # fmt: skip
def test_the_key_names_the_row(key: Any, name: str) -> None:
    # A text would be read as JSON, as it lies in a log; so it is put into a payload.
    change = _change(_row({"payload": key} if isinstance(key, str) else key, {"id": 7, "name": "Ada"}))
    assert (change.name, change.event.entity_id) == (name, f"kg.public.people:{name}")


@pytest.mark.parametrize(
    ("prefix", "entity_id"),
    [
        ("", "7"), ("x-", "x-7"), ("{type}/", "people/7"), ("{source}.{schema}.{type}#", "kg.public.people#7"),
        ("{space}:", "kg.public.people:7"), ("{__class__}", "{__class__}7"), (None, "kg.public.people:7"),
    ],
)  # fmt: skip
def test_the_prefix_of_ids(prefix: str | None, entity_id: str) -> None:
    assert _change(UPDATE, id_prefix=prefix).event.entity_id == entity_id


def test_an_empty_text_is_a_key_where_ids_have_a_prefix() -> None:
    message = _row({"code": ""}, {"code": "", "name": "Ada"})
    assert _change(message).event.entity_id == "kg.public.people:"
    assert _refused(message, id_prefix="") == "key"


def test_two_tables_that_count_from_1_are_two_entities() -> None:
    other = {**UPDATE, "source": {**SOURCE, "table": "towns"}}
    assert _change(other).event.entity_id != _change(UPDATE).event.entity_id
    assert _change(other).space != _change(UPDATE).space


@pytest.mark.parametrize(
    ("source", "space"),
    [
        ({"connector": "mysql", "name": "s", "db": "shop", "table": "t"}, "s.shop.t"),
        ({"connector": "sqlserver", "name": "s", "db": "shop", "schema": "dbo", "table": "t"}, "s.shop.dbo.t"),
        ({"connector": "oracle", "name": "s", "db": "ORCL", "schema": "C", "table": "t"}, "s.C.t"),
        ({"connector": "postgresql", "name": "s", "db": "pg", "schema": "public", "table": "t"}, "s.public.t"),
        ({"table": "t"}, "t"),
    ],
)  # fmt: skip
def test_spaces_are_what_topics_are_called(source: dict[str, Any], space: str) -> None:
    assert _change({**UPDATE, "source": source}).space == space


@pytest.mark.parametrize(
    ("key", "row", "properties"),
    [
        ({"id": 7}, {"id": 7, "name": "Ada"}, {"name": "Ada"}),
        ({"code": "A"}, {"code": "A", "id": 42}, {"code": "A", "id_": 42}),
        ({"code": "A"}, {"code": "A", "id": 42, "id_": 1}, {"code": "A", "id_": 1, "id__": 42}),
        ({"id": 1, "year": 2025}, {"id": 1, "year": 2025, "x": "y"}, {"year": 2025, "x": "y"}),
    ],
)
def test_a_column_id_is_the_identity_or_kept_under_another_name(
    key: dict[str, Any], row: dict[str, Any], properties: dict[str, Any]
) -> None:
    assert _change(_row(key, row)).event.new_data == properties


@pytest.mark.parametrize("told", ["kg.public.people", "public.people", "people", "*"])
def test_key_columns_may_be_told(told: str) -> None:
    row = {"a": 1, "b": "x:y", "id": 3}
    assert _change(_row(None, row), key_columns={told: ["b", "a"]}).name == "x%3Ay:1"
    assert _refused(_row(None, row), key_columns={"towns": ["a"]}) == "key"
    assert _refused(_row(None, {"a": 1}), key_columns={told: ["b", "a"]}) == "value.after.b"


def test_without_a_key_no_other_column_takes_its_place() -> None:
    message = _row(None, {"id": 7, "name": "Ada"})
    with pytest.raises(InvalidInputError, match="--key people=COLUMN"):
        parse_message(message)
    del message["key"], message["topic"]
    assert _change(message).name == "7", "an event by itself, with no room for a key, is known by its id"


@pytest.mark.parametrize("parent", ["event", "public.event", "kg.public.event"])
@pytest.mark.parametrize("part", ["event_2025", "public.event_2025", "kg.public.event_2025"])
def test_a_partition_counts_as_its_parent(part: str, parent: str) -> None:
    source = {**SOURCE, "table": "event_2025"}
    change = _change({**UPDATE, "source": source}, tables={part: parent})
    assert (change.space, change.event.entity_type) == ("kg.public.event", "event")
    assert change.event.entity_id == "kg.public.event:7"
    truncate = {**UPDATE, "source": source, "op": "t", "before": None, "after": None}
    assert _refused(truncate, tables={part: parent}) == "op", "which rows were in it is not known"


# ---------------------------------------------------------------------- tombstones, truncation, changed keys


@pytest.mark.parametrize(
    "message",
    [
        {"value": None}, {"key": None, "value": None}, {"schema": None, "payload": None}, {"payload": None},
        {"key": None, "value": {"schema": None, "payload": None}}, "null", '{"key": null, "value": null}',
        {"topic": "kg.public.people", "key": {"schema": None, "payload": None}, "value": None},
    ],
)  # fmt: skip
def test_a_tombstone_without_a_key_is_passed_over(message: Any) -> None:
    assert parse_message(message) == [Passed("tombstone")]
    assert parse_event(message) == []


@pytest.mark.parametrize("value", [None, {"schema": None, "payload": None}])
def test_a_tombstone_with_a_key_is_a_deletion(value: Any) -> None:
    message = {"topic": "kg.public.people", "offset": 4, "timestamp": 1767323045526, "key": {"id": 7}}
    change = _change({**message, "value": value})
    event = change.event
    assert (event.event_type, event.entity_id) == (PKGEventType.ENTITY_DELETED, _change(DELETE).event.entity_id)
    assert (change.space, change.name, change.order) == ("kg.public.people", "7", None)
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, 526000, tzinfo=UTC)
    assert _change({**message, "offset": 5, "value": value}).event.event_id != event.event_id


def test_the_schema_of_a_tombstones_key_names_the_table() -> None:
    key = {"schema": {"name": "kg.public.people.Key"}, "payload": {"id": 7}}
    change = _change({"key": key, "value": None})
    assert (change.space, change.event.timestamp) == ("kg.public.people", datetime(1970, 1, 1, tzinfo=UTC))
    assert _refused({"key": {"id": 7}, "value": None}) == "topic", "a key alone says nothing of which table"


def test_a_truncation() -> None:
    source = {**SOURCE, "lsn": 40}
    truncate = {"before": None, "after": None, "source": source, "op": "t", "ts_ms": 1}
    [said] = parse_message({"topic": "kg.public.people", "partition": 1, "offset": 3, "key": None, "value": truncate})
    assert isinstance(said, Truncation)
    assert (said.space, said.order) == ("kg.public.people", "40".zfill(20))
    assert said.place is not None
    assert said.place.offset == 3


@pytest.mark.parametrize(
    "headers",
    [
        [["__debezium.newkey", '{"id":8}'], ["x", None]],
        ["__debezium.newkey", '{"id":8}'],
        {"__debezium.newkey": '{"schema":{"type":"struct","fields":[]},"payload":{"id":8}}'},
        [{"__debezium.newkey": {"id": 8}}],
        [{"key": "__debezium.newkey", "value": '{"id": 8}'}],
    ],
)
def test_a_changed_key_is_told_by_headers(headers: Any) -> None:
    change = _change({"topic": "kg.public.people", "key": {"id": 7}, "value": DELETE, "headers": headers})
    assert (change.new_name, change.old_name) == ("8", None)
    text = repr(headers).replace("newkey", "oldkey")
    creation = _row({"id": 9}, {"id": 9, "bio": "__debezium_unavailable_value"}, op="c")
    change = _change({**creation, "headers": eval(text)})  # noqa: S307  (our own text)
    assert (change.new_name, change.old_name, set(change.unsent)) == (None, "8", {"bio"})


# ---------------------------------------------------------------------- the same and another change


def test_a_change_that_is_sent_again_has_the_same_id() -> None:
    again = {**UPDATE, "ts_ms": UPDATE["ts_ms"] + 60_000, "source": {**SOURCE, "version": "3.7"}}
    assert _change(again).event.event_id == _change(UPDATE).event.event_id


@pytest.mark.parametrize(
    "other",
    [
        {"source": {**SOURCE, "lsn": 34}}, {"op": "c"}, {"after": {"id": 8, "name": "Ada"}},
        {"source": {**SOURCE, "table": "animals"}}, {"source": {**SOURCE, "txId": 5}},
    ],
)  # fmt: skip
def test_another_change_has_another_id(other: dict[str, Any]) -> None:
    assert _change({**UPDATE, **other}).event.event_id != _change(UPDATE).event.event_id


@pytest.mark.parametrize("other", [{"after": {"id": 7, "name": "Ada"}}, {"before": None}, {"op": "c"}, {"ts_ms": 1}])
def test_without_an_order_changes_are_told_apart_by_what_they_say(other: dict[str, Any]) -> None:
    source = {"table": "people", "ts_ms": 5}
    first, second = (_change({**UPDATE, **changes, "source": source}) for changes in ({}, other))
    assert first.has_ties
    assert (first.event.event_id == second.event.event_id) == ("ts_ms" in other)


def test_a_source_without_time_is_told_apart_by_the_connectors() -> None:
    bare = {**UPDATE, "source": {"table": "people"}}
    assert _change(bare).event.timestamp == datetime(2026, 1, 2, 3, 4, 5, 999000, tzinfo=UTC)
    assert _change(bare).event.event_id != _change({**bare, "ts_ms": 1}).event.event_id


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"op": "x"}, "op"), ({"op": None}, "op"), ({"op": 1}, "op"), ({"source": None}, "source"),
        ({"source": {"ts_ms": 1}}, "source.table"), ({"source": {"table": 1}}, "source.table"),
        ({"source": {**SOURCE, "name": 1}}, "source.name"), ({"source": {**SOURCE, "schema": []}}, "source.schema"),
        ({"after": None}, "after"), ({"after": []}, "after"), ({"before": "{}"}, "before"),
        ({"after": {"name": "Ada"}}, "after.id"), ({"after": {"id": {}}}, "after.id"),
        ({"op": "d", "before": None}, "key"), ({"op": "d", "before": {"name": "Ada"}}, "before.id"),
        ({"source": {"table": "t"}, "ts_ms": None}, "ts_ms"), ({"source": {"table": "t"}, "ts_ms": "5"}, "ts_ms"),
        ({"source": {"table": "t", "ts_ms": 2**62}}, "source.ts_ms"),
        ({"source": {"table": "t", "ts_ms": -(2**62)}}, "source.ts_ms"),
        ({"source": {"table": "t", "ts_ms": True}}, "source.ts_ms"),
    ],
)  # fmt: skip
def test_wrong_messages_are_refused_by_name(changes: dict[str, Any], field: str) -> None:
    assert _refused({**UPDATE, **changes}) == field


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"key": "7 8", "value": None}, "key"), ({"key": {"id": None, "b": None}, "value": None}, "key.id"),
        ({"key": {}, "value": None}, "key"), ({"key": {"id": 7}, "value": None, "timestamp": "now"}, "timestamp"),
        ({"key": {"id": 7}, "value": []}, "value"), ({"key": {"id": 7}, "value": None, "topic": 1}, "topic"),
        ({"key": {"id": []}, "value": None}, "key.id"), ({"key": [1], "value": None}, "key"),
        ({"key": {"id": 7}}, "value"), ({"payload": "text"}, "payload"),
    ],
)  # fmt: skip
def test_wrong_pairs_are_refused_by_name(message: dict[str, Any], field: str) -> None:
    assert _refused({"topic": "a.b", **message} if "value" in message else message) == field
