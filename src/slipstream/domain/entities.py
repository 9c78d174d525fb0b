"""Entities and relationships as the graph holds them, and what a view sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, TypeAlias

from pydantic import PlainSerializer, PlainValidator

from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.domain.positions import Position
from slipstream.domain.values import decode_value, encode_value

PropertyValue: TypeAlias = Annotated[
    str | int | float | bool | datetime | list[Any] | dict[str, Any] | None,
    PlainSerializer(encode_value, when_used="json"),  # a time on its way stays a time
    PlainValidator(decode_value),
]
Properties: TypeAlias = Mapping[str, PropertyValue]
_NOTHING: Mapping[Any, Any] = {}


class Direction(StrEnum):
    """From which end a relationship is looked at."""

    OUT = "out"
    IN = "in"
    BOTH = "both"


class Entity(NamedTuple):
    """One node: an id that is unique in its graph, one type, and properties (without the id)."""

    id: str
    type: str
    properties: Properties = _NOTHING

    @property
    def key(self) -> RecordKey:
        """The key of this entity's vector record."""
        return entity_key(self.id)


class EntityPage(NamedTuple):
    """Some entities of a listing."""

    items: tuple[Entity, ...]
    next: str | None
    """Where the listing goes on, opaque; None at its end."""


class Relationship(NamedTuple):
    """One directed relationship between two entities."""

    ref: RelationshipRef
    properties: Properties = _NOTHING

    @property
    def key(self) -> RecordKey:
        """The key of this relationship's vector record."""
        return relationship_key(self.ref.id)


class Hop(NamedTuple):
    """
    From an entity to its neighbours: along which type, in which direction, how many of them, and how many steps.

    With a `depth` above 1 every entity within so many steps counts, each once, and the first entity never.
    """

    relationship_type: str
    direction: Direction = Direction.OUT
    limit: int = 10
    depth: int = 1


class Neighbour(NamedTuple):
    """An entity at the other end of a relationship, and that relationship's own properties."""

    entity: Entity
    relationship: Relationship


class EntityState(NamedTuple):
    """What one read saw of an entity: itself and the neighbours that were asked for, by hop."""

    entity: Entity
    neighbours: Mapping[Hop, Sequence[Neighbour]] = _NOTHING


class RelationshipState(NamedTuple):
    """What one read saw of a relationship: itself and both endpoints."""

    relationship: Relationship
    source: Entity
    target: Entity


RecordState: TypeAlias = "EntityState | RelationshipState"


@dataclass(frozen=True, slots=True)
class GraphSnapshot:
    """
    The state of some keys, none of it older than `position`.

    Where the store has read transactions, all is read in one, and `position` is the head that it saw.
    A key that is not in `states` does not exist.
    """

    position: Position
    states: Mapping[RecordKey, RecordState]


class StatePage(NamedTuple):
    """The states of the next keys of a range, in key order."""

    snapshot: GraphSnapshot
    through: str | None
    """The last key that was looked at, encoded; None when nothing is left of the range."""


class Adjacency(NamedTuple):
    """One relationship of an entity, seen from that entity (`direction` is OUT when it is the source)."""

    entity_id: str
    ref: RelationshipRef
    direction: Direction
    neighbour_id: str
    neighbour_type: str

    @property
    def order(self) -> tuple[str, str, str, str, str]:
        """What adjacencies are ordered by: entity, direction, type, neighbour, discriminator."""
        return self.entity_id, self.direction.value, self.ref.type, self.neighbour_id, self.ref.discriminator


@dataclass(frozen=True, slots=True)
class KeyedType:
    """A key and the entity or relationship type behind it, as an ordered scan returns them."""

    key: RecordKey
    type: str
