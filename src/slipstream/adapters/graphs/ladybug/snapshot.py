"""
What one session sees of the graph: entities, relationships and edges by id.

Nodes come in batches through their primary key. Edges are asked for one entity at a time on purpose: measured,
that is 0.06 ms each, while one statement for many ids scans the whole relationship table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipstream.adapters.graphs.ladybug.catalog import RID_COLUMN, Catalog, quoted
from slipstream.adapters.graphs.ladybug.codec import RowDecoder, decode_columns
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.domain.entities import Direction, Entity, Relationship
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.schema import GraphSchema

_SCALAR_BATCH_MAX = 3


@dataclass(frozen=True, slots=True)
class GraphShape:
    """Schema and tables, swapped as one whenever the graph's shape grows."""

    schema: GraphSchema
    catalog: Catalog


class Snapshot:
    """Reads through one session. Inside a read-only transaction all of them see the same state."""

    def __init__(self, session: Session, shape: GraphShape) -> None:
        self._session = session
        self._shape = shape

    def types(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the type of every id that exists."""
        wanted = list(dict.fromkeys(ids))
        if len(wanted) <= _SCALAR_BATCH_MAX:
            one = "MATCH (r:_Registry {_key: $id}) RETURN r._key, r._type"
            rows = [row for entity_id in wanted for row in self._session.run(one, id=entity_id)]
        else:
            rows = self._session.run(
                "UNWIND $ids AS i MATCH (r:_Registry {_key: i}) RETURN r._key, r._type", ids=wanted
            )
        return {row[0]: row[1] for row in rows}

    def find(self, ids: Iterable[str], likely_types: Mapping[str, str]) -> dict[str, Entity]:
        """
        Return the entities of the ids that exist.

        An entity that is not of its likely type is looked up: a wrong guess costs time, and decides nothing.
        """
        known = self._shape.catalog.nodes
        found = self.entities({name: kind for name, kind in likely_types.items() if kind in known})
        others = [entity_id for entity_id in ids if entity_id not in found]
        return found | self.entities(self.types(others)) if others else found

    def entities(self, types: Mapping[str, str]) -> dict[str, Entity]:
        """Return the entities of the given ids and types."""
        by_type: dict[str, list[str]] = {}
        for entity_id, entity_type in types.items():
            by_type.setdefault(entity_type, []).append(entity_id)
        return {entity.id: entity for entity_type, ids in by_type.items() for entity in self._nodes(entity_type, ids)}

    def _nodes(self, entity_type: str, ids: list[str]) -> Iterator[Entity]:
        label, kinds = quoted(entity_type), self._shape.schema.entity_types.get(entity_type, {})
        if len(ids) <= _SCALAR_BATCH_MAX:
            for entity_id in ids:
                for (node,) in self._session.run(f"MATCH (n:{label} {{id: $id}}) RETURN n", id=entity_id):
                    yield Entity(node["id"], entity_type, decode_columns(node, kinds))
            return
        # Column by column: the driver takes twice as long to build a node, with its label and internal id.
        columns = [name for name in self._shape.catalog.nodes[entity_type] if name != "id"]
        returned = ", ".join(f"n.{quoted(column)}" for column in ("id", *columns))
        decoder = RowDecoder(columns, kinds)
        for row in self._session.run(f"UNWIND $ids AS i MATCH (n:{label} {{id: i}}) RETURN {returned}", ids=ids):
            yield Entity(row[0], entity_type, decoder.properties(row[1:]))

    def relationships(self, refs: Sequence[RelationshipRef], types: Mapping[str, str]) -> list[Relationship]:
        """Return those of the relationships that exist, given the types of their endpoints."""
        found = []
        for ref in refs:
            pair = (types.get(ref.source_id, ""), types.get(ref.target_id, ""))
            if pair not in self._shape.catalog.pairs.get(ref.type, ()):
                continue
            statement = (
                f"MATCH (a:{quoted(pair[0])} {{id: $id}})-[r:{quoted(ref.type)}]->(:{quoted(pair[1])}) "
                f"WHERE r.{RID_COLUMN} = $rid RETURN r LIMIT 1"
            )
            rows = self._session.run(statement, id=ref.source_id, rid=ref.id)
            found += [self._relationship(ref, row[0]) for row in rows]
        return found

    def _relationship(self, ref: RelationshipRef, row: Mapping[str, Any]) -> Relationship:
        return Relationship(ref, decode_columns(row, self._shape.schema.relationship_types.get(ref.type, {})))

    def edges(
        self, entity_id: str, entity_type: str, relationship_type: str, direction: Direction
    ) -> list[Relationship]:
        """Return the relationships of one entity with their properties; for BOTH, a self-relationship once."""
        return list(
            {
                edge.ref: edge
                for part in _parts(direction)
                if self._has_edges(entity_type, relationship_type, part)
                for edge in self._edges_one_way(entity_id, entity_type, relationship_type, part)
            }.values()
        )

    def _edges_one_way(
        self, entity_id: str, entity_type: str, relationship_type: str, direction: Direction
    ) -> Iterator[Relationship]:
        pattern = _pattern(entity_type, relationship_type, direction)
        if self._shape.schema.relationship_types.get(relationship_type):
            for row in self._session.run(f"{pattern} RETURN r", id=entity_id):
                yield self._relationship(RelationshipRef.parse(row[0][RID_COLUMN]), row[0])
        else:
            for row in self._session.run(f"{pattern} RETURN r.{RID_COLUMN}", id=entity_id):
                yield Relationship(RelationshipRef.parse(row[0]))

    def edge_refs(
        self, entity_id: str, entity_type: str, relationship_type: str, direction: Direction
    ) -> list[RelationshipRef]:
        """Return the relationships of one entity in one direction, without their properties."""
        if not self._has_edges(entity_type, relationship_type, direction):
            return []
        pattern = _pattern(entity_type, relationship_type, direction)
        rows = self._session.run(f"{pattern} RETURN r.{RID_COLUMN}", id=entity_id)
        return [RelationshipRef.parse(row[0]) for row in rows]

    def _has_edges(self, entity_type: str, relationship_type: str, direction: Direction) -> bool:
        end = 0 if direction is Direction.OUT else 1
        return any(pair[end] == entity_type for pair in self._shape.catalog.pairs.get(relationship_type, ()))


class Committed:
    """The committed state for the one writer; see `staging.CommittedState`."""

    def __init__(self, session: Session, shape: GraphShape) -> None:
        self._session = session
        self._snapshot = Snapshot(session, shape)
        self._relationship_types = tuple(shape.catalog.pairs)

    def entity(self, entity_id: str) -> Entity | None:
        """Return a committed entity."""
        return self._snapshot.entities(self._snapshot.types([entity_id])).get(entity_id)

    def relationship(self, ref: RelationshipRef, types: tuple[str, str]) -> Relationship | None:
        """Return a committed relationship between existing entities of the given types."""
        ends = {ref.source_id: types[0], ref.target_id: types[1]}
        return next(iter(self._snapshot.relationships([ref], ends)), None)

    def relationships_of(self, entity_id: str) -> Sequence[Relationship]:
        """Return the committed relationships of an entity, both directions, each once."""
        entity_type = self._snapshot.types([entity_id]).get(entity_id)
        if entity_type is None:
            return []
        return [
            edge
            for relationship_type in self._relationship_types
            for edge in self._snapshot.edges(entity_id, entity_type, relationship_type, Direction.BOTH)
        ]

    def has_event(self, event_id: str) -> bool:
        """Whether an event id has been recorded."""
        return bool(self._session.run("MATCH (e:_Once {_event: $id}) RETURN e._event", id=event_id))


def _parts(direction: Direction) -> tuple[Direction, ...]:
    return (Direction.OUT, Direction.IN) if direction is Direction.BOTH else (direction,)


def _pattern(entity_type: str, relationship_type: str, direction: Direction) -> str:
    arrow = f"-[r:{quoted(relationship_type)}]-"
    arrow = f"{arrow}>" if direction is Direction.OUT else f"<{arrow}"
    return f"MATCH (n:{quoted(entity_type)} {{id: $id}}){arrow}()"
