"""
Changes of other databases than PostgreSQL, as the documentation of Debezium shows them.

None of these was recorded from a running database: shapes and values are those of the pages on MySQL, SQL Server,
Oracle and MongoDB, with data of our own.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Change, FeedOptions
from slipstream.events.formats.detect import parse_message
from slipstream.events.formats.orders import order_of

MYSQL = {
    "before": {"id": 1004, "first_name": "Anne", "last_name": "K"},
    "after": {"id": 1004, "first_name": "Anne Marie", "last_name": "K"},
    "source": {
        "version": "3.6.3.Final",
        "name": "shop",
        "connector": "mysql",
        "ts_ms": 1465581029523,
        "snapshot": "false",
        "db": "inventory",
        "table": "customers",
        "server_id": 223344,
        "gtid": None,
        "file": "mysql-bin.000003",
        "pos": 484,
        "row": 0,
        "thread": 7,
        "query": None,
    },
    "op": "u",
    "ts_ms": 1465581029523,
}
SQL_SERVER_SOURCE = {
    "connector": "sqlserver",
    "name": "shop",
    "ts_ms": 1559729995937,
    "snapshot": "false",
    "db": "testDB",
    "schema": "dbo",
    "table": "customers",
    "change_lsn": "00000027:00000758:0003",
    "commit_lsn": "00000027:00000758:0005",
    "event_serial_no": "1",
}
ORACLE_SOURCE = {
    "connector": "oracle",
    "name": "shop",
    "ts_ms": 1520085154000,
    "db": "ORCLPDB1",
    "schema": "DEBEZIUM",
    "table": "CUSTOMERS",
    "scn": "2122185",
    "commit_scn": "2122190",
    "rs_id": "001234.00012345.0124",
    "ssn": 1,
    "snapshot": "false",
}
MONGO_SOURCE = {
    "connector": "mongodb",
    "name": "shop",
    "ts_ms": 1558965508000,
    "snapshot": "false",
    "db": "inventory",
    "collection": "customers",
    "ord": 31,
    "lsid": None,
    "txnNumber": None,
}
OID = "596e275826f08b2730779e1f"


def _change(message: dict[str, Any], **options: Any) -> Change:
    [change] = parse_message(message, FeedOptions(**options))
    assert isinstance(change, Change)
    return change


def test_mysql() -> None:
    change = _change({"key": {"id": 1004}, "value": MYSQL})
    assert change.event.entity_id == "shop.inventory.customers:1004"
    assert change.event.old_data == {"first_name": "Anne", "last_name": "K"}
    assert change.event.new_data == {"first_name": "Anne Marie", "last_name": "K"}
    assert change.order == f"mysql-bin.{'3'.zfill(20)}/{'484'.zfill(20)}/{'0'.zfill(20)}"


def _order(source: dict[str, Any], **changes: Any) -> str:
    order, has_ties = order_of({**source, **changes})
    assert order is not None
    assert not has_ties
    return order


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        (
            MYSQL["source"],
            [
                {"row": 1},
                {"pos": 4840, "row": 0},
                {"file": "mysql-bin.000010", "pos": 4},
                {"file": "mysql-bin.1000000"},
            ],
        ),
        (
            SQL_SERVER_SOURCE,
            [
                {"event_serial_no": "2"},
                {"event_serial_no": "10"},
                {"change_lsn": "00000027:00000758:000a"},
                {"commit_lsn": "00000027:00000760:0001", "change_lsn": "00000027:00000758:0001"},
            ],
        ),
        (
            ORACLE_SOURCE,
            [
                {"ssn": 2},
                {"scn": "2122186", "ssn": 0},
                {"commit_scn": "2122191", "scn": "2122100"},
                {"commit_scn": "10000000"},
            ],
        ),
        (MONGO_SOURCE, [{"ord": 32}, {"ord": 100}, {"ts_ms": 1558965509000, "ord": 1}]),
        (
            {"lsn": 9},
            [
                {"lsn": 10},
                {"lsn": None, "sequence": '["11","12"]'},
                {"lsn": None, "sequence": '[null,"13"]'},
                {"lsn": "140"},
            ],
        ),
        ({"commit_lsn": 9, "change_lsn": 1}, [{"commit_lsn": 10}]),
    ],
)
def test_orders_sort_as_the_database_counts(source: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    orders = [_order(source), *(_order(source, **step) for step in steps)]
    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders)


def test_a_snapshots_row_stands_before_the_changes_of_its_commit() -> None:
    assert _order(SQL_SERVER_SOURCE, change_lsn=None, event_serial_no=None) < _order(SQL_SERVER_SOURCE)
    assert _order({"scn": "2122185", "commit_scn": None}) < _order(ORACLE_SOURCE)


@pytest.mark.parametrize(
    ("source", "order", "has_ties"),
    [
        ({"ts_ms": 7}, "7000".zfill(20), True),
        ({"ts_ms": 7, "ts_us": 7001}, "7001".zfill(20), True),
        ({}, None, False),
        ({"lsn": -1}, None, False),
        ({"sequence": "{"}, None, False),
        ({"sequence": "[]"}, None, False),
        ({"sequence": '{"a": 1}'}, None, False),
        ({"file": 1, "pos": 2}, None, False),
        ({"ord": 1}, None, False),
        ({"lsn": True}, None, False),
        ({"sequence": "[" * 100_000}, None, False),
        ({"sequence": [[]]}, None, False),
        ({"lsn": "9" * 21}, None, False),
        ({"sequence": '["1",null]'}, None, False),
    ],
)
def test_a_time_is_an_order_with_ties_and_anything_else_is_none(
    source: dict[str, Any], order: str | None, has_ties: bool
) -> None:
    assert order_of(source) == (order, has_ties)


# ---------------------------------------------------------------------- MongoDB


def _mongo(op: str, after: Any = None, **more: Any) -> dict[str, Any]:
    return {"before": None, "after": after, "source": MONGO_SOURCE, "op": op, "ts_ms": 1558965515240, **more}


DOCUMENT = json.dumps(
    {
        "_id": {"$oid": OID},
        "first_name": "Anne",
        "n": {"$numberLong": "9007199254740993"},
        "price": {"$numberDecimal": "12.30"},
        "at": {"$date": 1558965508000},
        "then": {"$date": {"$numberLong": "-1"}},
        "iso": {"$date": "2026-01-02T03:04:05Z"},
        "d": {"$numberDouble": "1.5"},
        "nan": {"$numberDouble": "NaN"},
        "i": {"$numberInt": "3"},
        "bin": {"$binary": {"base64": "aGk=", "subType": "00"}},
        "tags": [{"$oid": OID}, "x"],
        "inner": {"when": {"$date": 0}, "x": None},
        "gone": {"$undefined": True},
        "ref": {"$ref": "c", "$id": 1},
        "far": {"$date": {"$numberLong": "999999999999999999"}},
        "min": {"$minKey": 1},
    }
)


def test_a_document() -> None:
    change = _change({"key": {"id": json.dumps({"$oid": OID})}, "value": _mongo("c", DOCUMENT)})
    assert change.event.entity_id == f"shop.inventory.customers:{OID}"
    assert change.event.entity_type == "customers"
    assert change.is_whole
    assert change.event.new_data == {
        "first_name": "Anne",
        "n": 9007199254740993,
        "price": "12.30",
        "at": datetime(2019, 5, 27, 13, 58, 28, tzinfo=UTC),
        "then": datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        "iso": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "d": 1.5,
        "nan": "NaN",
        "i": 3,
        "bin": "aGk=",
        "tags": [OID, "x"],
        "inner": {"when": datetime(1970, 1, 1, tzinfo=UTC), "x": None},
        "gone": None,
        "ref": {"$ref": "c", "$id": 1},
        "far": "999999999999999999 milliseconds since 1970-01-01",
        "min": "$minKey",
    }


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("1004", "1004"),
        ('"abc"', "abc"),
        ("abc", "abc"),
        ('{"a": 1, "b": "x:y"}', "1:x%3Ay"),
        (f'{{"$oid": "{OID}"}}', OID),
        ('{"$numberLong": "5"}', "5"),
        ("true", "true"),
        (1004, "1004"),
    ],
)
def test_keys_of_documents(key: Any, name: str) -> None:
    assert _change({"key": {"id": key}, "value": _mongo("d")}).name == name


def test_without_a_key_a_document_is_known_by_its_own_id() -> None:
    change = _change(_mongo("c", '{"_id": 7, "id": 1, "name": "x"}'))
    assert (change.name, change.event.new_data) == ("7", {"id_": 1, "name": "x"})
    with pytest.raises(InvalidInputError) as refused:
        parse_message(_mongo("d"))
    assert refused.value.field == "key"


def test_an_update_without_the_document_is_a_difference() -> None:
    description = {
        "removedFields": ["old"],
        "updatedFields": '{"name": "x", "at": {"$date": 0}}',
        "truncatedArrays": None,
    }
    change = _change({"key": {"id": "7"}, "value": _mongo("u", updateDescription=description)})
    assert not change.is_whole
    assert change.event.new_data == {"name": "x", "at": datetime(1970, 1, 1, tzinfo=UTC), "old": None}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({}, "value.after"),
        ({"after": "{"}, "value.after"),
        ({"after": "[1]"}, "value.after"),
        ({"after": 5}, "value.after"),
        ({"after": '{"a": {"$numberLong": "x"}}'}, "value.after.a"),
        ({"after": '{"a": {"$date": "soon"}}'}, "value.after.a"),
        ({"after": '{"a": {"$date": true}}'}, "value.after.a"),
        ({"after": '{"a": {"$oid": 1}}'}, "value.after.a"),
        ({"updateDescription": {"updatedFields": '{"a.b": 1}'}}, "value.updateDescription.updatedFields"),
        ({"updateDescription": {"removedFields": ["a.0"]}}, "value.updateDescription.updatedFields"),
        (
            {"updateDescription": {"truncatedArrays": [{"field": "a", "newSize": 1}]}},
            "value.updateDescription.updatedFields",
        ),
        ({"updateDescription": {"updatedFields": "{"}}, "value.updateDescription.updatedFields"),
        ({"updateDescription": {"removedFields": 5}}, "value.updateDescription.removedFields"),
    ],
)
def test_updates_that_can_not_be_told_are_refused(more: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_message({"key": {"id": "7"}, "value": {**_mongo("u"), **more}})
    assert refused.value.field == field
