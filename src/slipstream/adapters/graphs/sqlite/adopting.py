"""Adds types and properties that other programs have written to the schema, as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from slipstream.adapters.graphs.evolution import SchemaDraft, kind_of
from slipstream.adapters.graphs.sqlite.codec import KINDS, SCHEMA, decode_properties, is_of_the_triggers
from slipstream.adapters.graphs.sqlite.schemas import Schemas, begin_version, end_version
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.events import PKGEvent
from slipstream.domain.log import LogEntry
from slipstream.domain.schema import GraphSchema

Brought = dict[tuple[bool, str], dict[str, str]]
"""Properties with their kinds, by whether the type is one of entities, and by the type."""

_ENTITY = "SELECT type, CAST(properties AS BLOB) FROM entity WHERE id = ?"
_RELATIONSHIP = """SELECT type, CAST(properties AS BLOB) FROM relationship
    WHERE source = ? AND type = ? AND target = ? AND key = ?"""


def is_new_to(schema: GraphSchema, entry: LogEntry) -> bool:
    """Whether an entry may bring a type or a property that the schema does not know."""
    if not isinstance(entry, PKGEvent):
        return True
    event_type, data = entry.event_type, entry.new_data
    if event_type.is_deletion or not (event_type.is_entity or event_type.is_relationship):
        return False
    types = schema.entity_types if event_type.is_entity else schema.relationship_types
    known = types.get(entry.entity_type)
    return known is None or data is None or not data.keys() <= known.keys()


def what_they_bring(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> Brought:
    """Return types and properties in rows of the log; properties too long for the log are read from the tables."""
    brought: Brought = {}
    places: dict[tuple[Any, ...], None] = {}
    for row in rows:
        _, kind, entity_id, name, source, target, key, _, text, *_ = row
        if not is_of_the_triggers(row):
            if kind != SCHEMA:
                return _everything(connection)
        elif not KINDS[kind].is_deletion:
            is_entity = KINDS[kind].is_entity
            if text is None:
                places[(entity_id,) if is_entity else (source, name, target, key)] = None
            _note(brought, is_entity, name, text)
    for place in places:  # each record once
        is_entity = len(place) == 1
        found = connection.execute(_ENTITY if is_entity else _RELATIONSHIP, place).fetchone()
        if found is not None:
            _note(brought, is_entity, *found)
    return brought


def _everything(connection: sqlite3.Connection) -> Brought:
    """Return all types and properties in the tables: for a rescan, which does not say what has changed."""
    brought: Brought = {}
    for table, is_entity in (("entity", True), ("relationship", False)):
        statement = f"SELECT type, CAST(properties AS BLOB) FROM {table}"  # noqa: S608  (our own text)
        for name, text in connection.execute(statement):
            _note(brought, is_entity, name, text)
    return brought


def _note(brought: Brought, is_entity: bool, name: str, text: bytes | None) -> None:
    known = brought.setdefault((is_entity, name), {})
    for prop, value in _readable(text).items():
        known.setdefault(prop, kind_of(value))


def admit(connection: sqlite3.Connection, schemas: Schemas, brought: Brought) -> None:
    """Extend the schema by what is new to it, inside the open transaction; names are not checked."""
    schema = schemas.current(connection)
    draft = SchemaDraft(schema)
    for (is_entity, name), kinds in brought.items():
        known = (schema.entity_types if is_entity else schema.relationship_types).get(name)
        added = draft.entity_types if is_entity else draft.relationship_types
        new = {prop: kind for prop, kind in kinds.items() if known is None or prop not in known}
        if new or known is None:
            added[name] = new
    if not draft.is_empty:
        begin_version(connection, schema.version + 1, datetime.now(UTC))
        end_version(connection, draft)


def _readable(text: bytes | None) -> dict[str, Any]:
    try:
        return {} if text is None else decode_properties(text, "")
    except PoisonEventError:  # the engine makes its key a dead letter
        return {}
