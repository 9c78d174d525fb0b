"""Values of columns, decoded by the name that their schema has."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Change, FeedOptions
from slipstream.events.formats.detect import MessageParser, parse_message

CONNECT, TIME, DATA = "org.apache.kafka.connect.data.", "io.debezium.time.", "io.debezium.data."


def _b64(number: int, size: int) -> str:
    return base64.b64encode(number.to_bytes(size, "big", signed=True)).decode()


def _typed(kind: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": kind, **({} if name is None else {"name": name}), **more}


def _decimal(scale: int, precision: int | None = None) -> dict[str, Any]:
    told = {} if precision is None else {"connect.decimal.precision": str(precision)}
    return _typed("bytes", f"{CONNECT}Decimal", parameters={"scale": str(scale), **told})


def record(schema: dict[str, Any] | None, value: Any, name: str = "v") -> dict[str, Any]:
    """Return a record of a row with a column `v` of this schema."""
    row = {"before": None, "after": {"id": 1, name: value}, "op": "c", "ts_ms": 1}
    source = {"connector": "postgresql", "name": "kg", "schema": "public", "table": "t", "lsn": 1, "ts_ms": 1}
    payload = {**row, "source": source}
    fields = [
        {"type": "int32", "optional": False, "field": "id"},
        {"optional": True, **(schema or {}), "field": name},
    ]
    after = {"type": "struct", "fields": fields, "optional": True, "name": "kg.public.t.Value", "field": "after"}
    envelope = {"type": "struct", "fields": [{**after, "field": "before"}, after], "name": "kg.public.t.Envelope"}
    wrapped = payload if schema is None else {"schema": envelope, "payload": payload}
    return {"topic": "kg.public.t", "key": {"id": 1}, "value": wrapped}


def change_of(message: dict[str, Any]) -> Change:
    """Return the change in a message that has one."""
    [change] = parse_message(message)
    assert isinstance(change, Change)
    return change


def _decoded(schema: dict[str, Any], value: Any) -> Any:
    data = change_of(record(schema, value)).event.new_data
    assert data is not None
    return data["v"]


VALUES: list[tuple[dict[str, Any], Any, Any]] = [
    (_decimal(2, 10), "BNI=", 12.34),
    (_decimal(2, 10), "+y4=", -12.34),
    (_decimal(2, 15), _b64(123456789012345, 7), 1234567890123.45),
    (_decimal(2, 30), "BNI=", "12.34"),  # a column that may hold more digits than a float is text in each row
    (_decimal(2), "BNI=", "12.34"),
    (_decimal(10, 30), _b64(12345678901234567890 * 10**10 + 123456789, 16), "12345678901234567890.0123456789"),
    (_decimal(0, 18), "BNI=", 1234),
    (_decimal(0, 20), _b64(10**19, 9), "10000000000000000000"),
    (_decimal(-2, 5), "BNI=", 123400),
    (_decimal(-17, 5), "Dw==", "1500000000000000000"),  # may be more than 64 bits hold
    (_decimal(400, 5), "Dw==", f"0.{'0' * 398}15"),
    (_decimal(2, 10), 12.34, 12.34),  # decimal.format=NUMERIC of the converter
    (_decimal(2, 30), 12.34, "12.34"),
    (_typed("struct", f"{DATA}VariableScaleDecimal"), {"scale": 2, "value": "BNI="}, "12.34"),
    (_typed("struct", f"{DATA}VariableScaleDecimal"), {"scale": 0, "value": "BNI="}, "1234"),
    (_typed("struct", f"{DATA}VariableScaleDecimal"), {"scale": 5, "value": _b64(10**9000, 3800)}, f"1{'0' * 8995}"),
    (_decimal(2046, 5), _b64(-12300 * 10**2046, 860), "-12300"),  # numeric(5,-2)
    (_typed("string", f"{TIME}IsoDate"), "2026-11-01Z", "2026-11-01"),
    (_typed("string", f"{TIME}IsoTime"), "12:34:56.789Z", "12:34:56.789"),
    (
        _typed("string", f"{TIME}IsoTimestamp"),
        "2026-11-01T12:00:00.5Z",
        datetime(2026, 11, 1, 12, 0, 0, 500000, tzinfo=UTC),
    ),
    (_typed("int32", f"{TIME}Date"), 20758, "2026-11-01"),
    (_typed("int32", f"{TIME}Date"), -1, "1969-12-31"),
    (_typed("int32", f"{TIME}Date"), -2147483648, "-2147483648 days since 1970-01-01"),
    (_typed("int32", f"{CONNECT}Date"), 0, "1970-01-01"),
    (_typed("int64", f"{TIME}Timestamp"), 1793534400500, datetime(2026, 11, 1, 12, 0, 0, 500000, tzinfo=UTC)),
    (_typed("int64", f"{CONNECT}Timestamp"), -1, datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
    (_typed("int64", f"{TIME}MicroTimestamp"), 1793534400500001, datetime(2026, 11, 1, 12, 0, 0, 500001, tzinfo=UTC)),
    (_typed("int64", f"{TIME}MicroTimestamp"), 9223372036825200000, "infinity"),  # as PostgreSQL has them
    (_typed("int64", f"{TIME}MicroTimestamp"), -9223372036832400000, "-infinity"),
    (_typed("int64", f"{TIME}MicroTimestamp"), 2**62, "4611686018427387904 microseconds since 1970-01-01"),
    (_typed("int64", f"{TIME}Timestamp"), 9223372036825200, "infinity"),
    (_typed("int32", f"{TIME}Date"), -622191234, "infinity"),
    (_typed("int32", f"{TIME}Date"), -2147472691, "-infinity"),
    (
        _typed("int64", f"{TIME}NanoTimestamp"),
        1793534400500001999,
        datetime(2026, 11, 1, 12, 0, 0, 500001, tzinfo=UTC),
    ),
    (
        _typed("string", f"{TIME}ZonedTimestamp"),
        "2026-11-01T12:00:00.123400Z",
        datetime(2026, 11, 1, 12, 0, 0, 123400, tzinfo=UTC),
    ),
    (_typed("string", f"{TIME}ZonedTimestamp"), "2026-11-01T12:00:00-05:00", datetime(2026, 11, 1, 17, tzinfo=UTC)),
    (_typed("string", f"{TIME}ZonedTimestamp"), "infinity", "infinity"),
    (_typed("string", f"{TIME}ZonedTimestamp"), "-infinity", "-infinity"),
    (_typed("string", f"{TIME}ZonedTime"), "12:34:56Z", "12:34:56Z"),
    (_typed("int64", f"{TIME}MicroTime"), 45296000000, "12:34:56"),
    (_typed("int64", f"{TIME}MicroTime"), 45296000500, "12:34:56.0005"),
    (_typed("int64", f"{TIME}MicroTime"), 86400000000, "24:00:00"),
    (_typed("int64", f"{TIME}MicroTime"), -3020399000000, "-838:59:59"),  # a TIME of MySQL
    (_typed("int32", f"{TIME}Time"), 45296007, "12:34:56.007"),
    (_typed("int32", f"{CONNECT}Time"), 0, "00:00:00"),
    (_typed("int64", f"{TIME}NanoTime"), 1, "00:00:00.000000001"),
    (_typed("int64", f"{TIME}MicroDuration"), 93784500000, "PT26H3M4.5S"),
    (_typed("int64", f"{TIME}MicroDuration"), 500000, "PT0.5S"),
    (_typed("int64", f"{TIME}MicroDuration"), -3600000000, "PT-1H"),
    (_typed("int64", f"{TIME}MicroDuration"), 0, "PT0S"),
    (_typed("int64", f"{TIME}NanoDuration"), 60000000001, "PT1M0.000000001S"),
    (_typed("string", f"{TIME}Interval"), "P1Y2M3DT4H5M6.78S", "P1Y2M3DT4H5M6.78S"),
    (_typed("int32", f"{TIME}Year"), 2026, 2026),
    (_typed("string", f"{DATA}Json"), '{"a": [1, null, {"b": 1.5}]}', {"a": [1, None, {"b": 1.5}]}),
    (_typed("string", f"{DATA}Json"), '"text"', "text"),
    (_typed("string", f"{DATA}Json"), "[" * 31 + "]" * 31, "[" * 31 + "]" * 31),  # deeper than a property may be
    (_typed("string", f"{DATA}Json"), '{"a": 123456789012345678901}', '{"a": 123456789012345678901}'),
    (_typed("string", f"{DATA}Json"), "{broken", "{broken"),
    (_typed("string", f"{DATA}Uuid"), "b68a35a7-17ad-35b3-af2a-ae46edb4545b", "b68a35a7-17ad-35b3-af2a-ae46edb4545b"),
    (_typed("string", f"{DATA}Enum", parameters={"allowed": "a,b"}), "a", "a"),
    (_typed("string", f"{DATA}EnumSet", parameters={"allowed": "a,b,c"}), "a,c", ["a", "c"]),
    (_typed("string", f"{DATA}EnumSet"), "", []),
    (_typed("string", f"{DATA}Xml"), "<a/>", "<a/>"),
    (_typed("bytes", f"{DATA}Bits", parameters={"length": "8"}), "BQ==", "00000101"),
    (
        _typed("bytes", f"{DATA}Bits", parameters={"length": "10"}),
        "BQI=",
        "1000000101",
    ),  # the lowest byte comes first
    (_typed("bytes", f"{DATA}Bits", parameters={"length": "2147483647"}), "BQ==", "101"),
    (
        _typed("struct", f"{DATA}geometry.Point"),
        {"x": 1.5, "y": 2.0, "wkb": "AQ==", "srid": None},
        {"x": 1.5, "y": 2.0},
    ),
    (_typed("struct", f"{DATA}geometry.Geometry"), {"wkb": "AQ==", "srid": 4326}, {"wkb": "AQ==", "srid": 4326}),
    (_typed("array", f"{DATA}DoubleVector", items=_typed("double")), [1.5, -2.0], [1.5, -2.0]),
    (_typed("float64"), "NaN", "NaN"),
    (_typed("bytes"), "aGk=", "aGk="),
    (_typed("boolean"), True, True),
    (_typed("array", items=_decimal(1, 5)), ["Dw==", None], [1.5, None]),
    (_typed("array", items=_typed("int32", f"{TIME}Date")), [0, 1], ["1970-01-01", "1970-01-02"]),
    (_typed("array", items=_typed("string")), ["a", None], ["a", None]),
    (_typed("map", keys=_typed("string"), values=_decimal(1, 5)), {"a": "Dw==", "b": None}, {"a": 1.5, "b": None}),
    (_typed("map", keys=_typed("int32"), values=_typed("string")), [[1, "a"], [2, "b"]], {"1": "a", "2": "b"}),
    (
        _typed("struct", fields=[{**_typed("int32", f"{TIME}Date"), "field": "d"}, {"type": "string", "field": "s"}]),
        {"d": 0, "s": "x", "new": 1},
        {"d": "1970-01-01", "s": "x", "new": 1},
    ),
    (_typed("string", "some.vendor.Type"), "kept", "kept"),
]


@pytest.mark.parametrize(("schema", "value", "expected"), VALUES)
def test_values_by_schema(schema: dict[str, Any], value: Any, expected: Any) -> None:
    found = _decoded(schema, value)
    assert (found, type(found)) == (expected, type(expected))
    assert _decoded(schema, None) is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (_decimal(2, 10), "BN=I"),
        (_decimal(2, 10), "é"),
        (_decimal(2, 10), {}),
        (_decimal(2, 10), True),
        (_decimal(2, 10), "AAAA" * 5_001),
        (_typed("struct", f"{DATA}VariableScaleDecimal"), {"scale": 10**9, "value": "AQ=="}),
        (_typed("struct", f"{DATA}VariableScaleDecimal"), {"scale": "2", "value": "AQ=="}),
        (_typed("struct", f"{DATA}VariableScaleDecimal"), "12"),
        (_typed("int32", f"{TIME}Date"), "2026-11-01"),
        (_typed("int32", f"{TIME}Date"), True),
        (_typed("int64", f"{TIME}MicroTimestamp"), 1.5),
        (_typed("int64", f"{TIME}MicroTime"), "x"),
        (_typed("string", f"{TIME}ZonedTimestamp"), 5),
        (_typed("string", f"{DATA}Json"), {"a": 1}),
        (_typed("string", f"{DATA}EnumSet"), 1),
        (_typed("bytes", f"{DATA}Bits"), "?"),
        (_typed("struct", f"{DATA}geometry.Point"), []),
        (_typed("array", items=_decimal(1)), {}),
        (_typed("array", items=_decimal(1)), ["?"]),
        (_typed("map", values=_typed("string")), [1]),
        (_typed("struct", fields=[{**_decimal(1), "field": "d"}]), []),
    ],
)
def test_values_that_are_not_what_their_schema_says_are_refused_by_column(schema: dict[str, Any], value: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_message(record(schema, value))
    assert refused.value.field == "value.payload.after.v"


@pytest.mark.parametrize("fields", [5, [5], [{"type": "int32"}], [{"field": 1}], None])
def test_broken_schemas_are_refused(fields: Any) -> None:
    message = record(_typed("int32"), 1)
    message["value"]["schema"]["fields"] = fields
    with pytest.raises(InvalidInputError, match=r"schema\.fields: must be an array of objects that name their field"):
        parse_message(message)


def test_a_schema_may_change_between_two_records() -> None:
    parser = MessageParser()
    found = []
    for schema, value in ((_typed("int32", f"{TIME}Date"), 0), (_typed("int32"), 0), (_decimal(1, 5), "Dw==")):
        [change] = parser.parse(record(schema, value))
        assert isinstance(change, Change)
        found.append((change.event.new_data or {})["v"])
    assert found == ["1970-01-01", 0, 1.5]


# ---------------------------------------------------------------------- without a schema


@pytest.mark.parametrize(
    ("value", "is_told"),
    [
        ("BNI=", True),
        ("Dw==", True),
        (20758, True),
        ("20758", False),
        ("a = b", False),
        ("=", False),
        ("x=", False),
        (1.5, False),
        (True, False),
        (None, False),
        (["BNI="], True),
        ([None, 20758], True),
        (["a", "b"], False),
        ([], False),
    ],
)
def test_what_can_not_be_told_without_a_schema_is_said_by_column(value: Any, is_told: bool) -> None:
    change = change_of(record(None, value))
    assert [note.column for note in change.notes] == (["kg.public.t.v"] if is_told else [])
    assert all("schema" in note.text for note in change.notes)
    assert change.event.new_data == {"v": value}


def test_columns_of_the_key_and_those_with_a_schema_are_not_told() -> None:
    assert change_of(record(None, "text")).notes == [], "the id is a number"
    assert change_of(record(_typed("int32"), 20758)).notes == ()


def test_a_decimal_that_carries_its_scale_needs_no_schema() -> None:
    scaled = {"scale": 1, "value": "Dw=="}
    assert change_of(record(None, scaled)).event.new_data == {"v": "1.5"}
    assert change_of(record(None, [scaled, None])).event.new_data == {"v": ["1.5", None]}
    assert change_of(record(None, {"scale": 1, "size": "Dw=="})).event.new_data == {"v": {"scale": 1, "size": "Dw=="}}


# ---------------------------------------------------------------------- in keys


@pytest.mark.parametrize(
    ("schema", "value", "name"),
    [
        (_decimal(2, 10), _b64(10000, 2), "100.00"),  # all digits, whatever the property becomes
        (_decimal(2, 10), 100.0, "100.00"),
        (_decimal(0, 5), "BNI=", "1234"),
        (_typed("string", f"{TIME}ZonedTimestamp"), "2000-02-28T23:02:03.000000Z", "2000-02-28T23:02:03.000000Z"),
        (_typed("int32", f"{TIME}Date"), 20758, "2026-11-01"),
        (_typed("int64", f"{TIME}MicroTimestamp"), 1793534400500000, "2026-11-01T12:00:00.500000Z"),
        (_typed("struct", f"{DATA}VariableScaleDecimal"), {"scale": 1, "value": "Dw=="}, "1.5"),
        (_typed("string"), "text", "text"),
    ],
)
def test_values_in_keys(schema: dict[str, Any], value: Any, name: str) -> None:
    message = record(schema, value)
    fields = [{**schema, "field": "v"}]
    key = {"schema": {"type": "struct", "fields": fields, "name": "kg.public.t.Key"}, "payload": {"v": value}}
    assert change_of({**message, "key": key}).name == name
    assert change_of({**message, "key": {"schema": schema, "payload": value}}).name == name, "a key that is no struct"
    told = FeedOptions(key_columns={"t": ["v"]})
    [change] = parse_message({**message, "key": None}, told)
    assert isinstance(change, Change)
    assert change.name == name, "the same, when the key is told by the options"


def test_decimals_that_come_as_numbers_keep_all_their_digits() -> None:
    text = json.dumps(record(_decimal(10, 30), 0)).replace('"v": 0}', '"v": 12345678901234567890.0123456789}')
    [change] = parse_message(text)
    assert isinstance(change, Change)
    assert change.event.new_data == {"v": "12345678901234567890.0123456789"}
