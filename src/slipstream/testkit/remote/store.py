"""What the remote database holds: each method is one query of what is visible at that moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from slipstream.domain.entities import Adjacency, Direction, Entity, KeyedType, Relationship
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.log import LogEntry, Rescan, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.schema import GraphSchema


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log. `previous` is the position before it, which tells a hole from a gap in the numbers."""

    entry: LogEntry
    previous: Position

    @property
    def position(self) -> Position:
        """Where it is in the log."""
        return position_of(self.entry)

    @property
    def size_bytes(self) -> int:
        """About how much room it takes."""
        entry = self.entry
        return 100 if isinstance(entry, Rescan) else 100 + len(repr((entry.old_data, entry.new_data)))


class Store:
    """Everything that is visible; the database adds the pieces of a commit one by one."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}
        self.relationships: dict[RelationshipRef, Relationship] = {}
        self.incident: dict[str, dict[RelationshipRef, None]] = {}
        self.schemas = {1: GraphSchema()}
        self.event_ids: set[str] = set()
        self.fences: dict[RowName, Fence] = {}
        self.rows: dict[Position, LogRow] = {}
        self.trimmed = ORIGIN
        self.consumers: dict[str, Position] = {}
        self.identity = "remote"
        self.timeline: str | None = None

    # -- pieces --

    def put_entity(self, entity_id: str, entity: Entity | None) -> None:
        """Make an entity what it is now; None removes it."""
        if entity is None:
            self.entities.pop(entity_id, None)
        else:
            self.entities[entity_id] = entity

    def put_relationship(self, ref: RelationshipRef, relationship: Relationship | None) -> None:
        """Make a relationship what it is now; None removes it."""
        for end in {ref.source_id, ref.target_id}:
            if relationship is None:
                self.incident.get(end, {}).pop(ref, None)
            else:
                self.incident.setdefault(end, {})[ref] = None
        if relationship is None:
            self.relationships.pop(ref, None)
        else:
            self.relationships[ref] = relationship

    # -- queries --

    def links_behind(self, position: Position) -> tuple[Position, Mapping[Position, Position]]:
        """Return how far the log was trimmed, and by each position behind `position` the one that follows it."""
        return self.trimmed, {row.previous: row.position for row in self.rows.values() if row.position > position}

    def rows_between(self, after: Position, through: Position, limit: int) -> tuple[Position, list[LogRow]]:
        """Return how far the log was trimmed, and rows of a stretch in the order of their positions."""
        found = sorted((row for row in self.rows.values() if after < row.position <= through), key=_by_position)
        return self.trimmed, found[:limit]

    def forget_rows(self, through: Position) -> int:
        """Trim the log; returns how many rows there were."""
        gone = [position for position in self.rows if position <= through]
        for position in gone:
            del self.rows[position]
        if gone:
            self.trimmed = max(self.trimmed, *gone)
        return len(gone)

    def entities_of(self, ids: Iterable[str]) -> dict[str, Entity]:
        """Return those of the entities that are visible."""
        return {entity_id: found for entity_id in ids if (found := self.entities.get(entity_id)) is not None}

    def relationships_of(self, refs: Iterable[RelationshipRef]) -> dict[RelationshipRef, Relationship]:
        """Return those of the relationships that are visible."""
        return {ref: found for ref in refs if (found := self.relationships.get(ref)) is not None}

    def edges(self, ids: Sequence[str], name: str, direction: Direction) -> list[tuple[str, Relationship]]:
        """Return the relationships of a type with the ends that they were found from, in no order."""
        return [
            (entity_id, self.relationships[ref])
            for entity_id in ids
            for ref in self.incident.get(entity_id, ())
            if ref.type == name and any(direction in (Direction.BOTH, way) for way, _ in _ways(entity_id, ref))
        ]

    def adjacencies(self, ids: Collection[str], types: frozenset[str] | None) -> Iterator[Adjacency]:
        """Yield every relationship of the entities whose other end is visible."""
        for entity_id in set(ids):
            for ref in self.incident.get(entity_id, ()):
                for way, other in _ways(entity_id, ref):
                    if (types is None or ref.type in types) and other in self.entities:
                        yield Adjacency(entity_id, ref, way, other, self.entities[other].type)

    def keys(self, types: Collection[str] | None) -> Iterator[KeyedType]:
        """Yield the key of every entity, and of the relationships of some types."""
        for entity in self.entities.values():
            yield KeyedType(entity.key, entity.type)
        for ref, relationship in self.relationships.items():
            if types is None or ref.type in types:
                yield KeyedType(relationship.key, ref.type)


def _ways(entity_id: str, ref: RelationshipRef) -> Iterator[tuple[Direction, str]]:
    if ref.source_id == entity_id:
        yield Direction.OUT, ref.target_id
    if ref.target_id == entity_id:
        yield Direction.IN, ref.source_id


def _by_position(row: LogRow) -> Position:
    return row.position
