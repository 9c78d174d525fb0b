"""What connectors say that is no change of a row: passed over by its kind, never refused, never a deletion."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Change, Passed
from slipstream.events.formats.detect import parse_message

BEGIN = {"status": "BEGIN", "id": "571:53195829", "event_count": None, "data_collections": None, "ts_ms": 1}
END = {
    "status": "END",
    "id": "571:53195832",
    "event_count": 1,
    "data_collections": [{"data_collection": "s.a", "event_count": 1}],
}
SOURCE = {
    "connector": "postgresql",
    "name": "kg",
    "schema": "public",
    "table": "debezium_signal",
    "lsn": 1,
    "ts_ms": 1,
}
SIGNAL = {
    "before": None,
    "after": {"id": "1", "type": "execute-snapshot", "data": "{}"},
    "source": SOURCE,
    "op": "c",
    "ts_ms": 1,
}
LOGICAL = {
    "op": "m",
    "ts_ms": 1,
    "source": {**SOURCE, "table": "", "schema": ""},
    "message": {"prefix": "pfx", "content": "aGVsbG8="},
}
DDL: dict[str, Any] = {
    "source": {"server": "s"},
    "databaseName": "shop",
    "schemaName": None,
    "ddl": "CREATE TABLE t(a INT)",
    "tableChanges": [],
}
HISTORY = {
    "source": {"server": "s"},
    "position": {},
    "databaseName": "shop",
    "ddl": "DROP TABLE t",
    "tableChanges": [],
}
NOTIFICATION = {
    "id": "c485ccc3",
    "aggregateType": "Initial Snapshot",
    "type": "STARTED",
    "additionalData": {"connector_name": "x"},
    "timestamp": 1,
}
MESSAGES = [
    ("heartbeat", "__debezium-heartbeat.kg", {"ts_ms": 5}),
    ("transaction marker", "kg.transaction", BEGIN),
    ("transaction marker", "kg.transaction", END),
    ("signal", "kg.public.debezium_signal", SIGNAL),
    ("logical message", "kg.message", LOGICAL),
    ("schema change", "kg", DDL),
    ("schema change", "schemahistory.kg", HISTORY),
    ("notification", "notifications", NOTIFICATION),
]


@pytest.mark.parametrize(("kind", "topic", "value"), MESSAGES)
def test_each_kind_is_passed_over_in_each_envelope(kind: str, topic: str, value: dict[str, Any]) -> None:
    key, text = {"anything": "x"}, json.dumps(value)
    with_schema = {"schema": {"type": "struct", "fields": [], "name": "any"}, "payload": value}
    for message in (
        {"topic": topic, "key": key, "value": value},
        {"topic": topic, "partition": 0, "offset": 1, "key": None, "value": text},
        {"topic": topic, "partition": 0, "offset": 1, "ts": 1, "payload": text},
        {"topic": topic, "key": json.dumps(key), "value": json.dumps(with_schema)},
        {"stream": "S", "seq": 1, "subject": topic, "data": text},
        {"value": value},
        value,
    ):
        assert parse_message(message) == [Passed(kind)], message


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Heartbeat", "heartbeat"),
        ("TransactionMetadataValue", "transaction marker"),
        ("Notification", "notification"),
    ],
)
def test_the_schema_tells_them_whatever_their_fields(name: str, kind: str) -> None:
    schema = {"type": "struct", "fields": [], "name": f"io.debezium.connector.common.{name}"}
    assert parse_message({"key": None, "value": {"schema": schema, "payload": {"new": 1}}}) == [Passed(kind)]


def test_tombstones_and_truncations_of_signals_are_passed_over_too() -> None:
    topic = "kg.public.debezium_signal"
    assert parse_message({"topic": topic, "key": {"id": "1"}, "value": None}) == [Passed("signal")]
    assert parse_message({**SIGNAL, "op": "t", "after": None}) == [Passed("signal")]
    assert parse_message({"topic": topic, "key": {"id": "1"}, "value": {"id": "1", "type": "x", "__op": "c"}}) == [
        Passed("signal")
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "status": "BEGIN"},
        {"id": 1, "ts_ms": 5},
        {"ddl": "x"},
        {"id": 1, "aggregateType": "x", "type": "y", "name": "z"},
    ],
)
def test_rows_that_only_resemble_them_are_rows(row: dict[str, Any]) -> None:
    [change] = parse_message({"topic": "kg.public.t", "key": {"code": 1}, "value": row})
    assert isinstance(change, Change)


@pytest.mark.parametrize("op", ["c", "u", "r", "d", "t"])
def test_an_event_without_what_it_needs_is_refused_and_no_deletion(op: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_message({"topic": "kg.public.t", "key": None, "value": {"op": op, "before": None, "after": None}})
    assert refused.value.field == "value.source"
