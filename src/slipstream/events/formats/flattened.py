"""Rows that ExtractNewRecordState took out of their events: columns, with metadata in fields that begin with `__`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Said
from slipstream.events.formats.connect_schemas import Row
from slipstream.events.formats.envelopes import Message
from slipstream.events.formats.orders import order_of
from slipstream.events.formats.reader import Reader, shown
from slipstream.events.formats.rows import (
    DELETED,
    OPERATIONS,
    UPDATED,
    RowChange,
    RowReader,
    moment_of,
    ordered_id,
    table_parts,
    told_id,
)

MARKERS = frozenset({"__op", "__deleted", "__lsn", "__source_ts_ms", "__source_lsn", "__table", "__source_table"})
_META, _SOURCE = "__", "source_"


def is_flattened(message: Message) -> bool:
    """Whether a value is a row: by its metadata fields, or because it comes from a topic, with a key."""
    return bool(MARKERS & message.value.payload.keys()) or (message.topic is not None and message.has_key)


def flattened_change(message: Message, rows: RowReader) -> Said:
    """Return the change in a row and its metadata; raises `InvalidInputError` naming the field."""
    data = message.value.payload
    added = _added(message.headers) | _added(data)
    kind = _kind(added, message.value.prefix)
    table = rows.tables.table(_table_parts(message, added))
    columns = {name: value for name, value in data.items() if not name.startswith(_META)}
    reader = rows.schemas.columns(message.value.schema)
    row: Row = reader.read(columns, message.value.prefix, table.space)
    key = rows.key_of(message, table, Reader(columns, message.value.prefix), reader)
    order, has_ties = order_of(added)
    return rows.change(
        message,
        RowChange(
            table=table,
            key=key,
            kind=kind,
            timestamp=moment_of(_time(added, message), "timestamp"),
            event_id=ordered_id(table, key.name, kind, order, added)
            if order is not None and not has_ties
            else told_id(added, kind, table.prefix + key.name, columns, _place(message, order)),
            row=row,
            order=order,
            has_ties=has_ties,
        ),
    )


def _added(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata under the names that an event's `source` has: `__lsn` and `__source_lsn` are `lsn`."""
    return {
        name.removeprefix(_META).removeprefix(_SOURCE): value
        for name, value in fields.items()
        if name.startswith(_META) and not name.startswith("__debezium.")
    }


def _kind(added: Mapping[str, Any], prefix: str) -> str:
    deleted, operation = added.get("deleted"), added.get("op")
    if deleted in (True, "true"):
        return DELETED
    if operation is None:
        return UPDATED
    kind = OPERATIONS.get(operation) if isinstance(operation, str) else None
    if kind is None:
        raise InvalidInputError(f"must be c, r, u or d, got {shown(operation)}", field=f"{prefix}__op")
    return kind


def _table_parts(message: Message, added: Mapping[str, Any]) -> tuple[str, ...]:
    table = added.get("table")
    if message.topic is None and isinstance(table, str) and table:
        names = (added.get("name"), added.get("schema") or added.get("db"), table)
        return tuple(name for name in names if isinstance(name, str) and name)
    return table_parts(message)


def _time(added: Mapping[str, Any], message: Message) -> int | None:
    moment = added.get("ts_ms")
    return moment if isinstance(moment, int) and not isinstance(moment, bool) else message.timestamp_ms


def _place(message: Message, order: str | None) -> Any:
    """Return the place in the log that tells this message from an equal one; None when its order does."""
    return None if order is not None or message.place is None else [message.place.log, message.place.offset]
