"""Change events of Debezium in their own form: `op`, `before`, `after` and `source`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.domain.feed_changes import Passed, Said, Truncation
from slipstream.events.formats import mongodb
from slipstream.events.formats.connect_schemas import Row
from slipstream.events.formats.envelopes import Message
from slipstream.events.formats.naming import Table
from slipstream.events.formats.not_rows import LOGICAL_MESSAGE, SIGNAL
from slipstream.events.formats.orders import order_of
from slipstream.events.formats.reader import Reader, shown, shown_name
from slipstream.events.formats.rows import (
    DELETED,
    OPERATIONS,
    UPDATED,
    RowChange,
    RowKey,
    RowReader,
    ordered_id,
    told_id,
)

_UNSTABLE = frozenset({"version", "snapshot"})
"""Fields of `source` that may differ when a connector sends the same change again."""
_WITH_DATABASE = frozenset({"sqlserver", "informix"})
"""Connectors whose topics name both the database and the schema."""
_MONGODB = "mongodb"


def is_envelope(value: Mapping[str, Any]) -> bool:
    """Whether a value is a change event, and not a row with a column `op`."""
    return "op" in value and ("source" in value or "before" in value or "after" in value or len(value) == 1)


def debezium_change(message: Message, rows: RowReader) -> Said:
    """Return what a change event says; raises `InvalidInputError` naming the field."""
    value = Reader(message.value.payload, message.value.prefix)
    operation = value.text("op")
    if operation == "m":
        return Passed(LOGICAL_MESSAGE)
    if operation not in OPERATIONS and operation != "t":
        raise value.refused("op", f"must be c, r, u, d, t or m, got {shown(operation)}")
    source = value.object("source")
    table = _table(source, rows)
    if table.is_signals:
        return Passed(SIGNAL)
    order, has_ties = order_of(source.data)
    timestamp = source.milliseconds("ts_ms") if source.data.get("ts_ms") else value.milliseconds("ts_ms")
    if operation == "t":
        if table.is_part:
            raise value.refused(
                "op",
                f"truncates a part of {shown_name(table.space)}, and which rows were in it is not known: "
                "take a new snapshot",
            )
        named = _told_id(value, source, operation, table.space)
        return Truncation(space=table.space, event_id=named, order=order, place=message.place)
    kind = OPERATIONS[operation]
    row, before, key, is_whole = _states(message, value, table, kind, rows)
    return rows.change(
        message,
        RowChange(
            table=table,
            key=key,
            kind=kind,
            timestamp=timestamp,
            event_id=ordered_id(table, key.name, operation, order, source.data)
            if order is not None and not has_ties
            else _told_id(value, source, operation, table.prefix + key.name),
            row=row,
            before=before,
            order=order,
            has_ties=has_ties,
            is_whole=is_whole,
        ),
    )


def _told_id(value: Reader, source: Reader, operation: str, name: str) -> str:
    """Return an id of the change, made of everything in it but the time of sending."""
    origin = {name: part for name, part in source.data.items() if name not in _UNSTABLE}
    if not source.data.get("ts_ms"):
        origin["ts_ms"] = value.data.get("ts_ms")
    return told_id(origin, operation, name, value.data.get("before"), value.data.get("after"))


def _table(source: Reader, rows: RowReader) -> Table:
    get = source.data.get
    own = get("table")
    named = (get("connector"), get("name"), get("db"), get("schema"), own, get("collection") if own is None else None)
    return rows.tables.of_source(named, lambda: _table_parts(source), is_documents=named[0] == _MONGODB)


def _table_parts(source: Reader) -> tuple[str, ...]:
    data = source.data
    own = source.text("table" if data.get("table") is not None or data.get("collection") is None else "collection")
    schema, database = source.text_or_none("schema"), source.text_or_none("db")
    name = source.text_or_none("name")
    is_long = source.text_or_none("connector") in _WITH_DATABASE
    parts = (name, database, schema, own) if is_long else (name, schema or database, own)
    return tuple(part for part in parts if part is not None)


def _states(
    message: Message, value: Reader, table: Table, kind: str, rows: RowReader
) -> tuple[Row | None, Row | None, RowKey, bool]:
    """Return the row, the row before, its key, and whether the row is whole, not a difference."""
    if table.is_documents:
        row, is_whole = mongodb.document(value, kind)
        return row, None, mongodb.key_of(message, row), is_whole
    if kind != DELETED and not value.has("after"):
        raise value.refused("after", "is required")
    name = "before" if kind == DELETED else "after"
    columns, state = rows.schemas.columns(message.value.schema, name), value.object_or_none(name)
    key = rows.key_of(message, table, state, columns)
    before = value.object_or_none("before") if kind == UPDATED else None
    return (
        None if state is None or kind == DELETED else columns.read(state.data, state.prefix, table.space),
        None if before is None else columns.read(before.data, before.prefix, table.space),
        key,
        True,
    )
