"""Turns rows of tables into changes: whatever a connector's form, rows get their names and ids here."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, deterministic_event_id
from slipstream.domain.feed_changes import Change, FeedOptions, Note, Passed, Said
from slipstream.events.formats.connect_schemas import PLAIN, AnyColumns, Row, Schemas, scalar_key
from slipstream.events.formats.debezium_values import is_scaled
from slipstream.events.formats.envelopes import Message, Part, Unwrapper
from slipstream.events.formats.naming import Table, Tables, column_missing, properties_of, row_name, unsent_property
from slipstream.events.formats.not_rows import SIGNAL
from slipstream.events.formats.reader import Reader, shown, shown_name

CREATED, UPDATED, DELETED = "entity_created", "entity_updated", "entity_deleted"
OPERATIONS = {"c": CREATED, "r": CREATED, "u": UPDATED, "d": DELETED}
UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_SORTED = json.JSONEncoder(sort_keys=True, check_circular=False, default=str)
_NEW_KEY, _OLD_KEY = "__debezium.newkey", "__debezium.oldkey"


@dataclass(frozen=True, slots=True)
class RowKey:
    """What tells a row from the others of its table."""

    name: str
    columns: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One change of a row, before it is an event."""

    table: Table
    key: RowKey
    kind: str
    timestamp: datetime
    event_id: str
    row: Row | None = None
    before: Row | None = None
    order: str | None = None
    has_ties: bool = False
    is_whole: bool = True


class RowReader:
    """Reads keys and rows of one feed, by its options and the schemas seen so far."""

    def __init__(self, options: FeedOptions, unwrapper: Unwrapper) -> None:
        self.tables = Tables(options)
        self.schemas = Schemas()
        self._unwrapper = unwrapper

    def key_of(
        self, message: Message, table: Table, row: Reader | None = None, columns_of: AnyColumns = PLAIN
    ) -> RowKey:
        """
        Return the key of a row: the message's, else the columns that the options name.

        Without both, the column `id` is the key of a bare event, which has no place for a key. Raises
        `InvalidInputError` when there is no key.
        """
        if message.key is not None:
            return self._key_in(message.key)
        columns = table.key_columns
        if columns is None and not message.has_key:
            columns = ("id",)
        if columns is None or row is None:
            raise InvalidInputError(
                f"is required: rows of {shown_name(table.space)} come without a key, and nothing else tells them "
                f"apart: name the columns that do, as in --key {shown_name(table.name)}=COLUMN",
                field="key",
            )
        for column in columns:
            if not row.has(column):
                raise column_missing(table, column, row.prefix)
        values = columns_of.identify({column: row.data[column] for column in columns}, row.prefix)
        return RowKey(row_name(list(values.values()), f"{row.prefix}{columns[0]}"), columns)

    def _key_in(self, part: Part) -> RowKey:
        payload = part.payload
        if not isinstance(payload, dict):
            if isinstance(payload, list) or payload is None:
                raise InvalidInputError(f"must be an object, got {shown(payload)}", field=part.where)
            return RowKey(row_name([scalar_key(payload, part.schema, part.where)], part.where))
        if not payload:
            raise InvalidInputError("is empty: a key has at least one field", field=part.where)
        if is_scaled(payload):
            return RowKey(row_name([*PLAIN.identify({"": payload}, part.where).values()], part.where))
        values = self.schemas.columns(part.schema).identify(payload, part.prefix)
        for name, value in values.items():
            if value is None:
                raise InvalidInputError("is required: a key has no nulls", field=f"{part.prefix}{shown_name(name)}")
        columns = tuple(values)
        return RowKey(row_name([*values.values()], f"{part.prefix}{shown_name(columns[0])}"), columns)

    def moved(self, message: Message, kind: str) -> dict[str, Any]:
        """Return a deleted row's new name, or a created row's old one, when its key has changed; else nothing."""
        if not message.headers or kind == UPDATED:
            return {}
        header, field = (_NEW_KEY, "new_name") if kind == DELETED else (_OLD_KEY, "old_name")
        part = self._unwrapper.header(message, header)
        return {} if part is None else {field: self._key_in(part).name}

    def change(self, message: Message, found: RowChange) -> Said:
        """Return the change as an event with its place and names."""
        table, row, key = found.table, found.row, found.key
        if table.is_signals:
            return Passed(SIGNAL)
        is_deletion = found.kind == DELETED
        moved = self.moved(message, found.kind)
        if not table.prefix + key.name:
            raise InvalidInputError(
                "is an empty text, and so is the prefix of ids: an id needs one of them", field="key"
            )
        if row is not None and table.unsent_nulls and (found.kind == UPDATED or moved):
            _take_out_nulls(row, table.unsent_nulls)
        event = PKGEvent.parse(
            {
                "event_id": found.event_id,
                "event_type": found.kind,
                "entity_id": table.prefix + key.name,
                "entity_type": table.name,
                "timestamp": found.timestamp,
                "old_data": None if found.before is None else properties_of(found.before.values, key.columns),
                "new_data": None if row is None or is_deletion else properties_of(row.values, key.columns),
                "schema_version": 1,
            }
        )
        return Change(
            event=event,
            space=table.space,
            name=key.name,
            order=found.order,
            has_ties=found.has_ties,
            place=message.place,
            is_whole=found.is_whole,
            unsent=frozenset() if row is None or is_deletion else unsent_of(row),
            notes=() if row is None or is_deletion else _notes(row.notes, key.columns),
            **moved,
        )


def _take_out_nulls(row: Row, columns: Collection[str]) -> None:
    """Treat nulls in these columns as not sent: their types have no other placeholder for an unchanged value."""
    for name in columns:
        if name in row.values and row.values[name] is None:
            del row.values[name]
            row.unsent.add(name)


def unsent_of(row: Row) -> frozenset[str]:
    """Return the properties whose values were not sent."""
    return frozenset(unsent_property(name, row.values) for name in row.unsent)


def _notes(notes: Sequence[Note], key: Sequence[str]) -> Sequence[Note]:
    return [note for note in notes if note.column.rpartition(".")[2] not in key] if notes else ()


def table_parts(message: Message) -> tuple[str, ...]:
    """Return the full name of the table by the topic, else by the name of the key's or the value's schema."""
    if message.topic is not None:
        return tuple(message.topic.split("."))
    for part, ending in ((message.key, ".Key"), (message.value, ".Value")):
        name = part.schema.get("name") if part is not None and isinstance(part.schema, dict) else None
        if isinstance(name, str) and name.endswith(ending):
            return tuple(name.removesuffix(ending).split("."))
    raise InvalidInputError("is required: nothing else says which table the row is of", field="topic")


def tombstone(message: Message, rows: RowReader) -> Said:
    """Return the deletion that a tombstone (a key without a value) means."""
    table = rows.tables.table(table_parts(message))
    key = rows.key_of(message, table)
    place = message.place
    where = [] if place is None else [place.log, place.offset]
    found = RowChange(
        table=table,
        key=key,
        kind=DELETED,
        timestamp=moment_of(message.timestamp_ms, "timestamp"),
        event_id=deterministic_event_id(
            ["debezium", "tombstone", json.dumps([*where, message.timestamp_ms]), table.prefix + key.name]
        ),
    )
    return rows.change(message, found)


def moment_of(milliseconds: int | None, field: str) -> datetime:
    """Return the time of milliseconds since 1970 (None: 0); raises `InvalidInputError` for one out of range."""
    try:
        return UNKNOWN_TIME + timedelta(milliseconds=milliseconds or 0)
    except OverflowError as error:
        raise InvalidInputError(
            f"{milliseconds} milliseconds since 1970 is outside of the years 1 to 9999", field=field
        ) from error


def ordered_id(table: Table, name: str, kind: str, order: str, source: Mapping[str, Any]) -> str:
    """Return the id of a change with a unique order within its row: the same when the change is sent again."""
    return deterministic_event_id(
        ["debezium", table.space, name, kind, order, source.get("ts_ms"), source.get("txId")]
    )


def told_id(origin: Mapping[str, Any], kind: str, entity_id: str, *rows: Any) -> str:
    """Return the id of a change made of its content: the same when the change is sent again."""
    return deterministic_event_id(["debezium", _SORTED.encode([origin, *rows]), kind, entity_id])
