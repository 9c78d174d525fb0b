"""Values that did not change and so were not sent: whatever a column's type makes of the placeholder."""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import Any

import pytest

from slipstream.domain.feed_changes import Change, FeedOptions
from slipstream.events.formats.detect import parse_message
from slipstream.events.formats.unsent import is_unsent
from tests.unit.events.test_formats_values import DATA, change_of, record

TEXT = "__debezium_unavailable_value"
CODES = [*TEXT.encode()]


def _java_uuid(name: bytes) -> str:
    """Return what `UUID.nameUUIDFromBytes` makes of a name."""
    return str(uuid.UUID(bytes=hashlib.md5(name, usedforsecurity=False).digest(), version=3))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


UNSENT: list[Any] = [
    TEXT,  # text, varchar, xml, json, jsonb
    [TEXT],  # text[]
    CODES,  # int[], bigint[]
    [float(code) for code in CODES],  # float8[]
    [_b64(bytes([code])) for code in CODES],  # numeric(10,2)[]
    [{"scale": 0, "value": _b64(bytes([code]))} for code in CODES],  # numeric[]
    _b64(TEXT.encode()),  # bytea
    [_b64(TEXT.encode())],  # bytea[]
    TEXT.encode().hex(),  # bytea, binary.handling.mode=hex
    [_java_uuid(TEXT.encode())],  # uuid[]
    {TEXT: TEXT},  # hstore as a map
    f'{{"{TEXT}":"{TEXT}"}}',  # hstore as JSON
    {"wkb": _b64(bytes.fromhex("0101000020E6100000000000FC83D797C1000000FC83D797C1")), "srid": 4326},  # geometry
    {"wkb": _b64(bytes.fromhex("0101000020E61000000C21E7FDFF7F66401842CEFBFF7F5640")), "srid": 4326},  # geography
    {"inner": {"deep": TEXT}},
    [{"a": 1}, {"a": TEXT}],
]


@pytest.mark.parametrize("value", UNSENT)
@pytest.mark.parametrize(
    "schema",
    [
        None,
        {"type": "string"},
        {"type": "string", "name": f"{DATA}Json"},
        {"type": "int32", "name": "io.debezium.time.Date"},
    ],
)
def test_placeholders_are_no_values(value: Any, schema: dict[str, Any] | None) -> None:
    change = change_of(record(schema, value))
    assert (set(change.unsent), change.event.new_data) == ({"v"}, {})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "__debezium_unavailable_valuE",
        f"{TEXT} ",
        [TEXT, "more"],
        CODES[:-1],
        [*CODES, 1],
        [1] * len(CODES),
        [],
        {},
        [[]],
        _java_uuid(TEXT.encode()),
        {"wkb": "AQ==", "srid": 4326},
        ["Xw=="],
        ["Xw==", *["long text"] * 27],
    ],
)
def test_what_only_looks_like_one_is_kept(value: Any) -> None:
    change = change_of(record(None, value))
    assert (set(change.unsent), change.event.new_data) == (set(), {"v": value})


def test_nesting_is_bounded() -> None:
    value: Any = TEXT
    for _ in range(50):
        value = [value]
    assert not is_unsent(value)


def test_an_unsent_column_id_outside_of_the_key() -> None:
    message = record(None, TEXT, name="id")
    message["key"] = {"code": "A"}
    message["value"]["after"] = {"code": "A", "id": TEXT, "name": "x"}
    change = change_of(message)
    assert (set(change.unsent), change.event.new_data) == ({"id_"}, {"code": "A", "name": "x"})


def test_null_in_a_column_that_has_always_a_value_was_not_sent() -> None:
    vector = {"type": "array", "items": {"type": "double"}, "name": f"{DATA}DoubleVector"}
    assert change_of(record({**vector, "optional": False}, None)).unsent == {"v"}
    assert change_of(record(vector, None)).event.new_data == {"v": None}, "a real null, for all that is known"


@pytest.mark.parametrize(
    ("operation", "unsent", "data"), [("u", {"v"}, {}), ("c", set(), {"v": None}), ("r", set(), {"v": None})]
)
def test_options_tell_in_which_columns_null_may_be_unsent(
    operation: str, unsent: set[str], data: dict[str, Any]
) -> None:
    message = record(None, None)
    message["value"]["op"] = operation
    for options in (FeedOptions(unsent_nulls={"t": ["v"]}), FeedOptions(unsent_nulls={"*": ["w", "v"]})):
        [change] = parse_message(message, options)
        assert isinstance(change, Change)
        assert (set(change.unsent), change.event.new_data) == (unsent, data)
    [change] = parse_message(message, FeedOptions(unsent_nulls={"other": ["v"]}))
    assert isinstance(change, Change)
    assert change.unsent == frozenset()
