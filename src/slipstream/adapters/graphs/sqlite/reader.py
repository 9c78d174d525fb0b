"""Reading keys, neighbours and adjacencies out of one read transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter

from slipstream.adapters.graphs.chains import other_end, reached
from slipstream.adapters.graphs.order import parsed_ref
from slipstream.adapters.graphs.sqlite.codec import readable_properties
from slipstream.domain.entities import (
    Adjacency,
    Direction,
    Entity,
    EntityPage,
    EntityState,
    Hop,
    KeyedType,
    Neighbour,
    Properties,
    RecordState,
    Relationship,
    RelationshipState,
)
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import KeyKind, RecordKey, RelationshipRef, entity_key, relationship_key

_ENTITIES = """SELECT e.id, e.type, CAST(e.properties AS BLOB)
    FROM json_each(?) AS wanted JOIN entity AS e ON e.id = wanted.value"""
_OF_TYPE = """SELECT key, id, CAST(properties AS BLOB) FROM entity INDEXED BY entity_type
    WHERE type = ? AND key > ? ORDER BY key LIMIT ?"""
_CURSOR_SIZE_MAX = 19
_RELATIONSHIPS = """SELECT w.key, CAST(r.properties AS BLOB) FROM json_each(?) AS w CROSS JOIN relationship AS r
    ON r.source = json_extract(w.value, '$[1]') AND r.type = json_extract(w.value, '$[0]')
    AND r.target = json_extract(w.value, '$[2]') AND r.key = json_extract(w.value, '$[3]')"""
_EDGES = """SELECT wanted.value, r.source, r.target, r.key, CAST(r.properties AS BLOB)
    FROM json_each(:wanted) AS wanted CROSS JOIN relationship AS r {index}
    ON r.{this} = wanted.value AND r.type = :type {bound}"""
# A hub is read only up to its neighbour number `behind` + 1. (A blob is greater than any text.)
_BOUND = """AND r.{other} <= coalesce((SELECT b.{other} FROM relationship AS b {index}
    WHERE b.{this} = wanted.value AND b.type = :type ORDER BY b.{other}, b.key LIMIT 1 OFFSET :behind), x'')"""
_ENDS = {
    Direction.OUT: {"index": "", "this": "source", "other": "target"},
    Direction.IN: {"index": "INDEXED BY relationship_in", "this": "target", "other": "source"},
}
_ALL = {direction: _EDGES.format(**ends, bound="") for direction, ends in _ENDS.items()}
_FIRST = {direction: _EDGES.format(**ends, bound=_BOUND.format(**ends)) for direction, ends in _ENDS.items()}
_SIDES = {
    Direction.OUT: ("relationship AS r", "source", "target"),
    Direction.IN: ("relationship AS r INDEXED BY relationship_in", "target", "source"),
}
"""Where the relationships of a direction are: table, column of this end, column of the other end."""
_DIRECTIONS = {direction.value: direction for direction in _SIDES}
_TOGETHER = 250
"""How many entities' adjacencies are looked up at once."""
_NO_PROPERTIES: Properties = {}
_NONE: Mapping[Hop, Sequence[Neighbour]] = {}
_LAST = "\U0010ffff" * 129  # ids begin with a type, of 128 characters at most
"""A bound above every relationship id."""


def read_states(
    connection: sqlite3.Connection, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]
) -> dict[RecordKey, RecordState]:
    """Return the state of every key that exists."""
    wanted = {key.id: key for key in keys if key.kind is KeyKind.ENTITY}
    refs = [ref for key in dict.fromkeys(keys) if key.kind is KeyKind.RELATIONSHIP and (ref := parsed_ref(key.id))]
    relationships = find_relationships(connection, refs)
    ends = (end for found in relationships for end in (found.ref.source_id, found.ref.target_id))
    entities = find_entities(connection, dict.fromkeys([*wanted, *ends]))
    asked = [entities[entity_id] for entity_id in wanted if entity_id in entities]
    states: dict[RecordKey, RecordState] = {
        wanted[entity.id]: state for entity, state in zip(asked, entity_states(connection, asked, hops), strict=True)
    }
    return {**states, **relationship_states(relationships, entities)}


def entity_states(
    connection: sqlite3.Connection, entities: Sequence[Entity], hops: Mapping[str, Sequence[Hop]]
) -> list[EntityState]:
    """Return the states of entities, in their order, with the neighbours that the hops lead to."""
    neighbours = _neighbours(connection, [entity for entity in entities if entity.type in hops], hops)
    return [EntityState(entity, neighbours.get(entity.id, _NONE)) for entity in entities]


def relationship_states(
    relationships: Iterable[Relationship], entities: Mapping[str, Entity]
) -> dict[RecordKey, RecordState]:
    """Return the states of the relationships whose ends are both among the entities."""
    states: dict[RecordKey, RecordState] = {}
    for found in relationships:
        source, target = entities.get(found.ref.source_id), entities.get(found.ref.target_id)
        if source is not None and target is not None:
            states[found.key] = RelationshipState(found, source, target)
    return states


def find_entities(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Entity]:
    """Return those of the entities that exist, by id."""
    rows = connection.execute(_ENTITIES, (json.dumps(list(ids)),)).fetchall()
    return {
        entity_id: Entity(entity_id, name, readable_properties(text, entity_id)) for entity_id, name, text in rows
    }


def find_relationships(connection: sqlite3.Connection, refs: Sequence[RelationshipRef]) -> list[Relationship]:
    """Return those of the relationships that exist, in their order."""
    if not refs:
        return []
    rows = dict(connection.execute(_RELATIONSHIPS, (json.dumps(refs),)))
    return [Relationship(ref, readable_properties(rows[at], ref.id)) for at, ref in enumerate(refs) if at in rows]


def _neighbours(
    connection: sqlite3.Connection, entities: Sequence[Entity], hops: Mapping[str, Sequence[Hop]]
) -> dict[str, dict[Hop, Sequence[Neighbour]]]:
    """Follow the hops of every entity, and fetch at once all neighbours within the limits."""
    if not entities:
        return {}
    by_hop: dict[Hop, list[str]] = {}
    for entity in entities:
        for hop in hops.get(entity.type, ()):
            by_hop.setdefault(hop, []).append(entity.id)
    chosen = {hop: _nearest(connection, ids, hop) for hop, ids in by_hop.items()}
    known = {entity.id: entity for entity in entities}
    ends = {other for nearest in chosen.values() for edges in nearest.values() for other, _ in edges}
    known |= find_entities(connection, ends - known.keys())
    return {
        entity.id: {
            hop: tuple(
                Neighbour(known[other], edge) for other, edge in chosen[hop].get(entity.id, ()) if other in known
            )
            for hop in hops.get(entity.type, ())
        }
        for entity in entities
    }


_Nearest = dict[str, list[tuple[str, Relationship]]]
"""By entity: the ids that a hop leads to, each with the relationship that leads there."""


def _nearest(connection: sqlite3.Connection, entity_ids: Sequence[str], hop: Hop) -> _Nearest:
    if hop.depth > 1:
        edges_of = partial(_edges, connection, hop)
        return {each: reached(each, hop, edges_of) for each in entity_ids}
    found: _Nearest = {}
    # A relationship of an entity with itself comes twice, from both sides: `_edges` reads one more than the limit.
    for entity_id, edge in _edges(connection, hop, entity_ids, hop.limit):
        found.setdefault(entity_id, []).append((other_end(edge.ref, entity_id), edge))
    for entity_id, edges in found.items():
        if len(edges) > 1:
            each = {edge.ref: (other, edge) for other, edge in edges}
            found[entity_id] = sorted(each.values())[: hop.limit]
    return found


def _edges(
    connection: sqlite3.Connection, hop: Hop, entity_ids: Iterable[str], behind: int | None = None
) -> Iterator[tuple[str, Relationship]]:
    """Yield the relationships of entities: all, or of each those up to the neighbour after the first `behind`."""
    name, wanted = hop.relationship_type, json.dumps(list(entity_ids))
    statements = _ALL if behind is None else _FIRST
    for direction in (Direction.OUT, Direction.IN):
        if hop.direction in (Direction.BOTH, direction):
            given = {"wanted": wanted, "type": name, "behind": behind}
            for entity_id, source, target, key, text in connection.execute(statements[direction], given):
                ref = RelationshipRef(name, source, target, key)
                properties = _NO_PROPERTIES if text == b"{}" else readable_properties(text, ref.id)
                yield entity_id, Relationship(ref, properties)


def read_adjacent(
    connection: sqlite3.Connection,
    entity_ids: Iterable[str],
    hop_types: frozenset[str] | None,
    after: Adjacency | None,
    limit: int,
) -> list[Adjacency]:
    """Return the next adjacencies in order; rows are read only as needed, so a hub costs no more than a page."""
    start = None if after is None else after.order
    wanted = sorted({entity_id for entity_id in entity_ids if start is None or entity_id >= start[0]})
    found: list[Adjacency] = []
    if start is not None and wanted[:1] == [start[0]]:
        found = list(islice(_adjacent_to(connection, wanted.pop(0), hop_types, start), max(limit, 0)))
    for at in range(0, len(wanted), _TOGETHER):
        if len(found) >= limit:
            break
        found += _adjacent_to_all(connection, wanted[at : at + _TOGETHER], hop_types, limit - len(found))
    return found


def _adjacent_to_all(
    connection: sqlite3.Connection, entity_ids: Sequence[str], hop_types: frozenset[str] | None, limit: int
) -> list[Adjacency]:
    """Return the first adjacencies of entities, in order: by two statements, or row by row when a limit cuts them."""
    if len(entity_ids) > 1:
        types = json.dumps([] if hop_types is None else list(hop_types))
        given = {"wanted": json.dumps(entity_ids), "types": types, "limit": limit + 1}
        statement = _ADJACENT if hop_types is None else _ADJACENT_OF_TYPES
        rows = [row for direction in _SIDES for row in connection.execute(statement[direction], given)]
        if len(rows) <= limit:
            return [_adjacency(*row) for row in sorted(rows)]
    each = (_adjacent_to(connection, entity_id, hop_types, None) for entity_id in entity_ids)
    return list(islice(chain.from_iterable(each), limit))


def _adjacent_to(
    connection: sqlite3.Connection,
    entity_id: str,
    hop_types: frozenset[str] | None,
    start: tuple[str, str, str, str, str] | None,
) -> Iterator[Adjacency]:
    """Yield the relationships of one entity, after `start` if that is one of them."""
    for direction in (Direction.IN, Direction.OUT):
        if start is None or (entity_id, direction.value) >= start[:2]:
            yield from _adjacent(connection, entity_id, direction, hop_types, start)


def _adjacency(entity_id: str, side: str, name: str, other: str, key: str, other_type: str) -> Adjacency:
    direction = _DIRECTIONS[side]
    source, target = (other, entity_id) if direction is Direction.IN else (entity_id, other)
    return Adjacency(entity_id, RelationshipRef(name, source, target, key), direction, other, other_type)


def _adjacent(
    connection: sqlite3.Connection,
    entity_id: str,
    direction: Direction,
    hop_types: frozenset[str] | None,
    start: tuple[str, str, str, str, str] | None,
) -> Iterator[Adjacency]:
    """Yield the relationships of one entity in one direction, after `start` if that is one of them."""
    name, *place = start[2:] if start is not None and start[:2] == (entity_id, direction.value) else ("", "", "")
    for each in [None] if hop_types is None else sorted(hop_types):
        if each is None:
            rows = _behind(connection, direction, "(r.type, r.{other}, r.key) > (?, ?, ?)", (entity_id, name, *place))
        elif each >= name:
            rest = place if each == name else ("", "")
            rows = _behind(
                connection, direction, "r.type = ? AND (r.{other}, r.key) > (?, ?)", (entity_id, each, *rest)
            )
        else:
            continue
        for found, other, key, other_type in rows:
            source, target = (other, entity_id) if direction is Direction.IN else (entity_id, other)
            yield Adjacency(entity_id, RelationshipRef(found, source, target, key), direction, other, other_type)


def _behind(
    connection: sqlite3.Connection, direction: Direction, condition: str, parameters: Sequence[str]
) -> sqlite3.Cursor:
    """Read the relationships of one end in index order; each row is read only when it is fetched."""
    table, this, other = _SIDES[direction]
    return connection.execute(
        f"SELECT r.type, r.{other}, r.key, e.type FROM {table} JOIN entity AS e ON e.id = r.{other} "  # noqa: S608
        f"WHERE r.{this} = ? AND {condition.format(other=other)} ORDER BY r.type, r.{other}, r.key",
        parameters,
    )


# Entities are the outer loop, and a hub's rows are limited to those asked for.
_ADJACENT = {
    direction: f"SELECT w.value, '{direction.value}', r.type, r.{other}, r.key, e.type FROM json_each(:wanted) AS w "  # noqa: S608
    f"CROSS JOIN {table} ON r.{this} = w.value CROSS JOIN entity AS e ON e.id = r.{other} LIMIT :limit"
    for direction, (table, this, other) in _SIDES.items()
}
_ADJACENT_OF_TYPES = {
    direction: f"SELECT w.value, '{direction.value}', r.type, r.{other}, r.key, e.type FROM json_each(:wanted) AS w "  # noqa: S608
    f"CROSS JOIN json_each(:types) AS t CROSS JOIN {table} ON r.{this} = w.value AND r.type = t.value "
    f"CROSS JOIN entity AS e ON e.id = r.{other} LIMIT :limit"
    for direction, (table, this, other) in _SIDES.items()
}
_NEARBY = " UNION ALL ".join(
    f"SELECT w.value, '{direction.value}', r.type, r.{other}, r.key, e.type FROM json_each(:wanted) AS w "  # noqa: S608
    f"JOIN {table} ON r.{this} = w.value AND (r.type, r.{other}, r.key) IN (SELECT type, {other}, key "
    f"FROM {table.replace(' AS r', '')} WHERE {this} = w.value ORDER BY type, {other}, key LIMIT :limit) "
    f"JOIN entity AS e ON e.id = r.{other}"
    for direction, (table, this, other) in _SIDES.items()
)


def read_nearby(connection: sqlite3.Connection, entity_ids: Iterable[str], limit: int) -> list[Adjacency]:
    """Return the first adjacencies of each entity, in order, by one statement."""
    wanted = json.dumps(list(dict.fromkeys(entity_ids)))
    rows = sorted(connection.execute(_NEARBY, {"wanted": wanted, "limit": max(limit, 0)}))
    return [
        _adjacency(*row) for _, of_one in groupby(rows, key=itemgetter(0)) for row in islice(of_one, max(limit, 0))
    ]


def scan_keys(
    connection: sqlite3.Connection, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None
) -> list[KeyedType]:
    """Return the next keys with their types, ordered by their encoded text: entities first."""
    found: list[KeyedType] = []
    if after is None or after.kind is KeyKind.ENTITY:
        rows = connection.execute(
            "SELECT id, type FROM entity WHERE id > ? ORDER BY id LIMIT ?", (after.id if after else "", limit)
        )
        found = [KeyedType(entity_key(row[0]), row[1]) for row in rows]
        after = None
    for first, last in ranges_of(relationship_types):
        if len(found) >= limit:
            break
        if after is None or after.id < last:
            found += _scanned(connection, max(first, after.id if after else ""), last, limit - len(found))
    return found


def list_of_type(connection: sqlite3.Connection, entity_type: str, after: str | None, limit: int) -> EntityPage:
    """Return the next entities of a type, in the order in which they came."""
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < _CURSOR_SIZE_MAX):
        raise InvalidInputError("is not what a page gave as `next`: leave it out to begin", field="after")
    rows = connection.execute(_OF_TYPE, (entity_type, int(after or 0), limit + 1)).fetchall()
    items = tuple(Entity(found, entity_type, readable_properties(text, found)) for _, found, text in rows[:limit])
    return EntityPage(items, str(rows[limit - 1][0]) if len(rows) > limit else None)


def ranges_of(relationship_types: Collection[str] | None) -> list[tuple[str, str]]:
    """Return the ranges of ids that hold the relationships of the types, in order."""
    if relationship_types is None:
        return [("", _LAST)]
    prefixes = sorted(RelationshipRef(name, "", "").id[:-1] for name in set(relationship_types))  # `type:`
    return [(prefix, f"{prefix[:-1]};") for prefix in prefixes]  # `;` comes next after `:`


def _scanned(connection: sqlite3.Connection, after: str, before: str, limit: int) -> Iterator[KeyedType]:
    rows = connection.execute(
        "SELECT id, type FROM relationship WHERE id > ? AND id < ? ORDER BY id LIMIT ?", (after, before, limit)
    )
    return (KeyedType(relationship_key(row[0]), row[1]) for row in rows)


_COUNTED = "SELECT type, count(*) FROM relationship INDEXED BY relationship_id WHERE id > ? AND id < ?"


def count_by_type(connection: sqlite3.Connection, relationship_types: Collection[str] | None) -> dict[str, int]:
    """Return how many entities and relationships there are, by type; relationships of other types are not read."""
    counts: Counter[str] = Counter(dict(connection.execute("SELECT type, count(*) FROM entity GROUP BY type")))
    if relationship_types is None:
        counts.update(dict(connection.execute("SELECT type, count(*) FROM relationship GROUP BY type")))
        return dict(counts)  # another program may have used one name for both
    for first, last in ranges_of(relationship_types):
        bounds = (first, last)
        counts.update(dict(connection.execute(f"{_COUNTED} GROUP BY type", bounds)))
    return dict(counts)
