"""Looking around in the graph: one entity, those of a type, its neighbours, what has changed."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from slipstream.app.pkg import PKG
from slipstream.domain.entities import (
    Adjacency,
    Direction,
    Entity,
    EntityPage,
    EntityState,
    Properties,
    Relationship,
    RelationshipState,
)
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.domain.log import LogEntry, position_of
from slipstream.domain.positions import Position
from slipstream.search.hits import entity_name

PAGE_MAX = 1_000
_LAST_NAME = "\U0010ffff"
"""Behind the name of every type."""


@dataclass(frozen=True, slots=True)
class NeighbourRow:
    """One relationship of an entity, and what is at its other end."""

    relationship_id: str
    relationship_type: str
    direction: Direction
    entity_id: str
    entity_type: str
    name: str
    properties: Properties
    """Of the relationship."""


@dataclass(frozen=True, slots=True)
class NeighbourPage:
    """Some neighbours of an entity; `next` is where they go on, None at the end."""

    items: tuple[NeighbourRow, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the graph's log; `kind` is a `PKGEventType`, or `rescan`: its effect is not known."""

    position: Position
    kind: str
    id: str = ""
    type: str = ""
    source_id: str | None = None
    target_id: str | None = None
    changed: tuple[str, ...] | None = None
    """The properties that differ; None where the entry does not say."""
    committed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some entries of the log, in their order; `next` is the position to go on behind."""

    items: tuple[Change, ...]
    next: Position
    head: Position


class Browsing(ABC):
    """The calls of a PKG that look around in its graph; `pkg` is that graph."""

    @property
    @abstractmethod
    def pkg(self) -> PKG:
        """The graph: mutations, transactions, Cypher and SQL."""

    def get(self, entity_id: str) -> Entity:
        """Return an entity; raises `NotFoundError`."""
        found = self.find([entity_id])
        if not found:
            raise NotFoundError(f"there is no entity {entity_id!r}: search, or list the entities of a type")
        return found[0]

    def find(self, entity_ids: Sequence[str]) -> list[Entity]:
        """Return those of the entities that exist, in their order."""
        keys = [entity_key(name) for name in entity_ids]
        states = self.pkg.read(keys, {}).states
        return [state.entity for key in keys if isinstance(state := states.get(key), EntityState)]

    def relationship(self, relationship_id: str) -> Relationship:
        """Return a relationship; raises `NotFoundError`."""
        key = relationship_key(relationship_id)
        state = self.pkg.read([key], {}).states.get(key)
        if not isinstance(state, RelationshipState):
            raise NotFoundError(
                f"there is no relationship {relationship_id!r}: an id is type:source:target[:discriminator]"
            )
        return state.relationship

    def entities(self, entity_type: str | None = None, *, after: str | None = None, limit: int = 100) -> EntityPage:
        """
        Return the next entities, of a type if one is given.

        `after` is a page's `next`. Raises `InvalidInputError` for another cursor, or a limit beyond 1 to 1,000.
        """
        _check(limit)
        if entity_type is not None:
            return self.pkg.of_type(entity_type, after, limit)
        rows = self.pkg.scan(None if after is None else entity_key(after), limit + 1, ())
        items = self.find([row.key.id for row in rows[:limit]])
        return EntityPage(tuple(items), rows[limit - 1].key.id if len(rows) > limit else None)

    def neighbours(
        self,
        entity_id: str,
        *,
        relationship_type: str | None = None,
        direction: Direction | str = Direction.BOTH,
        after: str | None = None,
        limit: int = 100,
    ) -> NeighbourPage:
        """
        Return the next neighbours of an entity: incoming ones first, by relationship type and id.

        `after` is a page's `next`. Raises `NotFoundError`, and `InvalidInputError` for a wrong argument.
        """
        _check(limit)
        side = _side(direction)
        if after is None:
            self.get(entity_id)
        types = None if relationship_type is None else frozenset((relationship_type,))
        start = _beginning(entity_id, side) if after is None else _behind(entity_id, after)
        rows = list(self.pkg.adjacent([entity_id], types, start, limit + 1))
        if side is Direction.IN:
            rows = [row for row in rows if row.direction is Direction.IN]
        has_more, rows = len(rows) > limit, rows[:limit]
        return NeighbourPage(tuple(self._rows(rows)), json.dumps(rows[-1].order[1:]) if has_more else None)

    def _rows(self, rows: Sequence[Adjacency]) -> list[NeighbourRow]:
        """Return what is there of the adjacencies; what has gone since they were listed is left out."""
        states = self.pkg.read(list(dict.fromkeys(_key(row) for row in rows)), {}).states
        found: list[NeighbourRow] = []
        for row in rows:
            state = states.get(_key(row))
            if isinstance(state, RelationshipState):
                other = state.target if row.direction is Direction.OUT else state.source
                found.append(_neighbour(row, other, state.relationship.properties))
        return found

    def changes(self, after: Position, *, limit: int = 100) -> ChangePage:
        """
        Return the next entries of the log behind a position.

        Raises `PositionLostError` when some of them are gone, and `InvalidInputError` for a wrong limit.
        """
        _check(limit)
        head = self.pkg.feed.head()
        items = tuple(change_of(entry) for entry in self.pkg.feed.read(after, limit))
        return ChangePage(items, items[-1].position if items else max(after, head), head)


def _check(limit: int) -> None:
    if not 1 <= limit <= PAGE_MAX:
        raise InvalidInputError(f"must be 1 to {PAGE_MAX:,}, not {limit}", field="limit")


def _side(direction: Direction | str) -> Direction:
    try:
        return Direction(direction)
    except ValueError as error:
        raise InvalidInputError(f"must be out, in or both, not {direction!r}", field="direction") from error


def _key(row: Adjacency) -> RecordKey:
    return relationship_key(row.ref.id)


def _neighbour(row: Adjacency, other: Entity, properties: Properties) -> NeighbourRow:
    return NeighbourRow(row.ref.id, row.ref.type, row.direction, other.id, other.type, entity_name(other), properties)


def _beginning(entity_id: str, direction: Direction) -> Adjacency | None:
    """Return what the first adjacency of a direction is behind; incoming ones come first."""
    if direction is not Direction.OUT:
        return None
    last = RelationshipRef(_LAST_NAME, _LAST_NAME, entity_id)
    return Adjacency(entity_id, last, Direction.IN, _LAST_NAME, "")


def _behind(entity_id: str, cursor: str) -> Adjacency:
    """Return the adjacency that a page ended with."""
    try:
        side, name, other, discriminator = json.loads(cursor)
        direction = Direction(side)
        ends = (entity_id, other) if direction is Direction.OUT else (other, entity_id)
        ref = RelationshipRef(str(name), str(ends[0]), str(ends[1]), str(discriminator))
        return Adjacency(entity_id, ref, direction, str(other), "")
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError("is not what a page gave as `next`: leave it out to begin", field="after") from error


def change_of(entry: LogEntry) -> Change:
    """Return what an entry of the log says, for those who look on."""
    if not isinstance(entry, PKGEvent):
        return Change(position=position_of(entry), kind="rescan")
    changed = entry.changed_properties
    return Change(
        position=position_of(entry),
        kind=entry.event_type.value,
        id=entry.entity_id,
        type=entry.entity_type,
        source_id=entry.source_id,
        target_id=entry.target_id,
        changed=None if changed is None else tuple(sorted(changed)),
        committed_at=entry.timestamp,
    )
