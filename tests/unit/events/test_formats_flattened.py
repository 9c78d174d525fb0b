"""Rows that were taken out of their events (ExtractNewRecordState), with what was added to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEventType
from slipstream.domain.feed_changes import Change, FeedOptions
from slipstream.events.formats.detect import parse_message

RECORD: dict[str, Any] = {
    "topic": "ku.public.note",
    "partition": 4,
    "offset": 6,
    "timestamp": 1795914558022,
    "key": '{"id":10}',
    "value": '{"id":10,"title":"kept","__deleted":"false","__op":"u","__lsn":24801264,'
    '"__source_ts_ms":1795914557629}',
    "headers": [["__op", "u"]],
}


def _change(message: dict[str, Any], **options: Any) -> Change:
    [change] = parse_message(message, FeedOptions(**options))
    assert isinstance(change, Change)
    return change


def _with(**fields: Any) -> Change:
    return _change({**RECORD, "value": {"id": 10, "title": "kept", **fields}, "headers": []})


def test_a_row_with_what_was_added_to_it() -> None:
    change = _change(RECORD)
    event = change.event
    assert (event.event_type, event.entity_id, event.entity_type) == (
        PKGEventType.ENTITY_UPDATED,
        "ku.public.note:10",
        "note",
    )
    assert event.new_data == {"title": "kept"}, "what was added is no column"
    assert event.timestamp == datetime.fromtimestamp(1795914557, UTC).replace(microsecond=629000)
    assert (change.order, change.has_ties, change.is_whole) == ("24801264".zfill(20), False, True)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"__op": "c"}, "entity_created"),
        ({"__op": "r"}, "entity_created"),
        ({"__op": "u"}, "entity_updated"),
        ({"__op": "d"}, "entity_deleted"),
        ({"__deleted": "true"}, "entity_deleted"),
        ({"__deleted": True}, "entity_deleted"),
        ({"__deleted": "true", "__op": "u"}, "entity_deleted"),
        ({"__deleted": "false"}, "entity_updated"),
        ({}, "entity_updated"),
    ],
)
def test_kinds_of_changes(fields: dict[str, Any], kind: str) -> None:
    assert _with(**fields).event.event_type.value == kind


@pytest.mark.parametrize(
    ("fields", "order", "has_ties"),
    [
        ({"__lsn": 5}, "5".zfill(20), False),
        ({"__source_lsn": 5}, "5".zfill(20), False),
        ({"__lsn": None, "__source_ts_ms": 7}, "7000".zfill(20), True),
        ({"__source_ts_ms": 7}, "7000".zfill(20), True),
        (
            {"__source_file": "bin.000002", "__source_pos": 4, "__source_row": 1},
            f"bin.{'2'.zfill(20)}/{'4'.zfill(20)}/{'1'.zfill(20)}",
            False,
        ),
        ({}, None, False),
    ],
)
def test_orders(fields: dict[str, Any], order: str | None, has_ties: bool) -> None:
    change = _with(**fields)
    assert (change.order, change.has_ties) == (order, has_ties)


def test_what_was_added_may_stand_in_headers() -> None:
    change = _change({**RECORD, "value": {"id": 10}, "headers": [["__op", "d"], ["__op", "d"], ["__lsn", "9"]]})
    assert (change.event.event_type, change.order) == (PKGEventType.ENTITY_DELETED, "9".zfill(20))


def test_equal_rows_without_an_order_are_told_apart_by_their_place() -> None:
    first, second = (_change({**RECORD, "offset": at, "value": {"id": 10}, "headers": []}) for at in (6, 7))
    assert first.event.event_id != second.event.event_id
    again = _change({**RECORD, "offset": 6, "value": {"id": 10}, "headers": []})
    assert again.event.event_id == first.event.event_id


def test_a_row_with_columns_that_other_formats_have() -> None:
    for name in ("op", "event", "ts_ms", "status", "payload", "event_id"):
        assert _with(**{name: "x", "__op": "c"}).event.new_data == {"title": "kept", name: "x"}


def test_a_row_by_itself_needs_a_table_and_a_key() -> None:
    row = {"id": 1, "title": "t", "__op": "c", "__table": "note", "__db": "shop", "__lsn": 3}
    change = _change(row)
    assert (change.space, change.event.entity_id) == ("shop.note", "shop.note:1")
    assert _change({**row, "code": "A"}, key_columns={"note": ["code"]}).name == "A"
    with pytest.raises(InvalidInputError) as refused:
        parse_message({"id": 1, "title": "t", "__op": "c"})
    assert refused.value.field == "topic"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({**RECORD, "key": None}, "key"),
        ({**RECORD, "value": {"id": 10, "__op": "x"}}, "value.__op"),
        ({**RECORD, "value": {"id": 10, "__op": ["c"]}}, "value.__op"),
        ({**RECORD, "value": {"id": 10, "__source_ts_ms": 2**62}}, "timestamp"),
        ({"topic": "a.b", "value": {"a": 1}}, "value"),
    ],
)
def test_rows_without_what_they_need_are_refused(message: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_message(message)
    assert refused.value.field == field
