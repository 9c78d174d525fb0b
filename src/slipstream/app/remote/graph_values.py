"""What a read of the graph returns, as JSON: its mappings have keys that JSON has not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from slipstream.domain.entities import (
    Entity,
    EntityState,
    GraphSnapshot,
    Hop,
    Neighbour,
    RecordState,
    Relationship,
    RelationshipState,
)
from slipstream.domain.incidents import Incident
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.values import decode_cell, encode_cell

_ENTITY, _RELATIONSHIP, _HOP = TypeAdapter(Entity), TypeAdapter(Relationship), TypeAdapter(Hop)


def _entity_as_data(entity: Entity) -> Any:
    return _ENTITY.dump_python(entity, mode="json")


def _relationship_as_data(relationship: Relationship) -> Any:
    return _RELATIONSHIP.dump_python(relationship, mode="json")


def _state_as_data(state: RecordState) -> dict[str, Any]:
    if isinstance(state, RelationshipState):
        ends = {"source": _entity_as_data(state.source), "target": _entity_as_data(state.target)}
        return {"relationship": _relationship_as_data(state.relationship), **ends}
    neighbours = [
        [
            _HOP.dump_python(hop, mode="json"),
            [[_entity_as_data(found.entity), _relationship_as_data(found.relationship)] for found in row],
        ]
        for hop, row in state.neighbours.items()
    ]
    return {"entity": _entity_as_data(state.entity), "neighbours": neighbours}


def _state_from(data: Mapping[str, Any]) -> RecordState:
    entity, relationship = _ENTITY.validate_python, _RELATIONSHIP.validate_python
    if "relationship" in data:
        return RelationshipState(relationship(data["relationship"]), entity(data["source"]), entity(data["target"]))
    neighbours = {
        _HOP.validate_python(hop): tuple(Neighbour(entity(one), relationship(by)) for one, by in row)
        for hop, row in data["neighbours"]
    }
    return EntityState(entity(data["entity"]), neighbours)


def _key_of(state: RecordState) -> RecordKey:
    return state.relationship.key if isinstance(state, RelationshipState) else state.entity.key


def _snapshot_as_data(snapshot: GraphSnapshot) -> dict[str, Any]:
    return {"position": snapshot.position, "states": [_state_as_data(state) for state in snapshot.states.values()]}


def _snapshot_from(data: Any) -> GraphSnapshot:
    if isinstance(data, GraphSnapshot):
        return data
    states = [_state_from(row) for row in data["states"]]
    return GraphSnapshot(Position(int(data["position"])), {_key_of(state): state for state in states})


def _incident_from(data: Any) -> Incident | None:
    return data if data is None or isinstance(data, Incident) else Incident.load(data)


Cell = Annotated[Any, PlainSerializer(encode_cell, when_used="json"), PlainValidator(decode_cell)]
"""A value in a row that a query returns: SQL knows bytes and infinite numbers."""
SentSnapshot = Annotated[GraphSnapshot, PlainSerializer(_snapshot_as_data), PlainValidator(_snapshot_from)]
SentIncident = Annotated[
    Incident | None,
    PlainSerializer(lambda found: None if found is None else found.dump()),
    PlainValidator(_incident_from),
]
