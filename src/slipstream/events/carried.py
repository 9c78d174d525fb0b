"""A graph made of what events carry, for handlers that have no graph behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from slipstream.domain.entities import (
    Adjacency,
    Entity,
    EntityState,
    GraphSnapshot,
    Hop,
    KeyedType,
    RecordState,
    Relationship,
    RelationshipState,
)
from slipstream.domain.errors import InvalidInputError, UnsupportedError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey, RelationshipRef
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.graph import GraphCapabilities

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def carried_position(event: PKGEvent) -> Position:
    """Return the event's position, or its time in microseconds where no log has numbered it."""
    if event.position is not None:
        return Position(event.position)
    return Position(max(1, (event.timestamp - _EPOCH) // timedelta(microseconds=1)))


class CarriedGraph:
    """
    The state of one key as its event carries it: `new_data` is the whole entity.

    A `GraphReader` without scans, counts and neighbours: views that look across relationships need a real graph.
    """

    def __init__(self, event: PKGEvent, schema: Callable[[], GraphSchema]) -> None:
        self._event = event
        self._schema = schema

    @property
    def capabilities(self) -> GraphCapabilities:
        """Nothing beyond reading."""
        return GraphCapabilities(durable=False)

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Return the carried state of the event's own key."""
        del hops
        event = self._event
        state = None if event.event_type.is_deletion else _state(event)
        key = event.key
        states = {} if state is None or key is None or key not in keys else {key: state}
        return GraphSnapshot(carried_position(event), states)

    def schema(self) -> GraphSchema:
        """Return the schema that the store knows, with the event's version if that is higher."""
        schema = self._schema()
        if schema.version >= self._event.schema_version:
            return schema
        return GraphSchema(self._event.schema_version, schema.entity_types, schema.relationship_types)

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return the current schema when it is the asked one: events carry no history."""
        schema = self.schema()
        return schema if schema.version == version else None

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """Refuse: one event is not a graph."""
        del after, limit, relationship_types
        raise UnsupportedError("an event carries one entity: scanning needs a graph behind the handler")

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return nothing: an event carries no neighbours."""
        del entity_ids, hop_types, after, limit
        return ()

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return nothing: an event carries no neighbours."""
        del entity_ids, limit
        return ()

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """Refuse: one event is not a graph."""
        del relationship_types
        raise UnsupportedError("an event carries one entity: counting needs a graph behind the handler")

    def close(self) -> None:
        """Nothing to release."""


def _state(event: PKGEvent) -> RecordState:
    if event.new_data is None:
        raise InvalidInputError(
            f"is required for {event.event_type.value} when no graph is behind the handler", field="new_data"
        )
    properties = {name: value for name, value in event.new_data.items() if name != "id"}
    # The event's own provenance fields are how a mutation without a graph says where it comes from.
    if event.source_document_id is not None:
        properties.setdefault("source_document_id", event.source_document_id)
    if event.extraction_confidence is not None:
        properties.setdefault("extraction_confidence", event.extraction_confidence)
    if event.event_type.is_entity:
        return EntityState(Entity(event.entity_id, event.entity_type, properties))
    source = Entity(event.source_id or "", event.source_type or "Entity")
    target = Entity(event.target_id or "", event.target_type or "Entity")
    ref = RelationshipRef.parse(event.entity_id)
    return RelationshipState(Relationship(ref, properties), source, target)
