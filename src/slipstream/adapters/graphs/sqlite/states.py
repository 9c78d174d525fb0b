"""Scans states page by page: whole rows in the order of their keys, then neighbours and ends by one more read."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from slipstream.adapters.graphs.sqlite.codec import readable_properties
from slipstream.adapters.graphs.sqlite.reader import entity_states, find_entities, ranges_of, relationship_states
from slipstream.domain.entities import Entity, Hop, RecordState, Relationship
from slipstream.domain.keys import KeyKind, RecordKey, RelationshipRef, entity_key

_ENTITIES = """SELECT id, type, CAST(properties AS BLOB) FROM entity WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"""
_RELATIONSHIPS = """SELECT id, source, target, type, key, CAST(properties AS BLOB) FROM relationship
    WHERE id > ? AND id < ? AND id <= ? ORDER BY id LIMIT ?"""
_ENTITY, _RELATIONSHIP = f"{KeyKind.ENTITY.value}:", f"{KeyKind.RELATIONSHIP.value}:"
_BEHIND_TEXT = b""
"""An upper bound above every key: to SQLite, any blob is greater than any text."""


def scan_states(
    connection: sqlite3.Connection,
    after: str,
    through: str | None,
    limit: int,
    hops: Mapping[str, Sequence[Hop]],
    relationship_types: Collection[str] | None,
) -> tuple[dict[RecordKey, RecordState], str | None]:
    """Return the states of the next keys, and the last key read if more may follow, else None."""
    entities: list[Entity] = []
    if not after.startswith(_RELATIONSHIP):
        entities = _entities(connection, after.removeprefix(_ENTITY), through, limit)
    found_states = entity_states(connection, entities, hops)
    states: dict[RecordKey, RecordState] = {entity_key(state.entity.id): state for state in found_states}
    if len(entities) >= limit:
        return states, entities[-1].key.encode()
    if through is not None and through.startswith(_ENTITY):
        return states, None
    found = _relationships(connection, after, through, limit - len(entities), relationship_types)
    ends = (end for each in found for end in (each.ref.source_id, each.ref.target_id))
    states.update(relationship_states(found, find_entities(connection, dict.fromkeys(ends)) if found else {}))
    return states, found[-1].key.encode() if len(entities) + len(found) >= limit else None


def _entities(connection: sqlite3.Connection, after: str, through: str | None, limit: int) -> list[Entity]:
    is_bound = through is not None and through.startswith(_ENTITY)
    last = through.removeprefix(_ENTITY) if is_bound and through is not None else _BEHIND_TEXT
    rows = connection.execute(_ENTITIES, (after, last, limit)).fetchall()
    return [Entity(identity, name, readable_properties(text, identity)) for identity, name, text in rows]


def _relationships(
    connection: sqlite3.Connection, after: str, through: str | None, limit: int, types: Collection[str] | None
) -> list[Relationship]:
    behind = after.removeprefix(_RELATIONSHIP) if after.startswith(_RELATIONSHIP) else ""
    end = _BEHIND_TEXT if through is None else through.removeprefix(_RELATIONSHIP)
    found: list[Relationship] = []
    for first, last in ranges_of(types):
        if len(found) < limit and behind < last:
            bounds = (max(first, behind), last, end, limit - len(found))
            found += [
                Relationship(RelationshipRef(name, source, target, key), readable_properties(text, identity))
                for identity, source, target, name, key, text in connection.execute(_RELATIONSHIPS, bounds)
            ]
    return found
