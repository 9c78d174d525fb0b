"""Reading keys, neighbours and adjacencies out of one read transaction."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from slipstream.adapters.graphs.chains import other_end, reached
from slipstream.adapters.graphs.ladybug.catalog import quoted
from slipstream.adapters.graphs.ladybug.snapshot import GraphShape, Snapshot
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.adapters.graphs.order import adjacency_order, parsed_ref
from slipstream.domain.entities import (
    Adjacency,
    Direction,
    Entity,
    EntityState,
    Hop,
    Neighbour,
    RecordState,
    Relationship,
    RelationshipState,
)
from slipstream.domain.keys import KeyKind, RecordKey

_ADJACENT_ENTITIES_PER_STEP = 200


def read_states(
    snapshot: Snapshot,
    keys: Sequence[RecordKey],
    hops: Mapping[str, Sequence[Hop]],
    likely_types: Callable[[Iterable[str]], Mapping[str, str]],
) -> dict[RecordKey, RecordState]:
    """Return the state of every key that exists; `likely_types` as `Snapshot.find` takes them."""
    entity_ids = dict.fromkeys(key.id for key in keys if key.kind is KeyKind.ENTITY)
    refs = [ref for key in dict.fromkeys(keys) if key.kind is KeyKind.RELATIONSHIP and (ref := parsed_ref(key.id))]
    wanted = dict.fromkeys([*entity_ids, *(end for ref in refs for end in (ref.source_id, ref.target_id))])
    entities = snapshot.find(wanted, likely_types(wanted))
    found = [entities[entity_id] for entity_id in entity_ids if entity_id in entities]
    neighbours = _neighbours(snapshot, found, hops)
    states: dict[RecordKey, RecordState] = {
        entity.key: EntityState(entity, neighbours.get(entity.id, {})) for entity in found
    }
    for relationship in snapshot.relationships(refs, {entity.id: entity.type for entity in entities.values()}):
        ref = relationship.ref
        states[relationship.key] = RelationshipState(relationship, entities[ref.source_id], entities[ref.target_id])
    return states


def _neighbours(
    snapshot: Snapshot, entities: Sequence[Entity], hops: Mapping[str, Sequence[Hop]]
) -> dict[str, dict[Hop, Sequence[Neighbour]]]:
    """Follow the hops of every entity, and fetch all neighbours that were not cut off at once."""
    chosen = {
        entity.id: {hop: _nearest(snapshot, entity, hop) for hop in hops.get(entity.type, ())} for entity in entities
    }
    ends = {other for by_hop in chosen.values() for edges in by_hop.values() for other, _ in edges}
    others = snapshot.entities(snapshot.types(ends)) if ends else {}
    return {
        entity_id: {
            hop: tuple(Neighbour(others[other], edge) for other, edge in edges) for hop, edges in by_hop.items()
        }
        for entity_id, by_hop in chosen.items()
    }


def _nearest(snapshot: Snapshot, entity: Entity, hop: Hop) -> list[tuple[str, Relationship]]:
    """Return what a hop leads to, each with the relationship that leads there."""
    if hop.depth > 1:
        return reached(entity.id, hop, lambda ids: _edges_of(snapshot, ids, hop))
    edges = snapshot.edges(entity.id, entity.type, hop.relationship_type, hop.direction)
    nearest = heapq.nsmallest(hop.limit, edges, key=lambda edge: (other_end(edge.ref, entity.id), edge.ref.id))
    return [(other_end(edge.ref, entity.id), edge) for edge in nearest]


def _edges_of(snapshot: Snapshot, ids: Sequence[str], hop: Hop) -> Iterator[tuple[str, Relationship]]:
    for entity_id, entity_type in snapshot.types(ids).items():
        for edge in snapshot.edges(entity_id, entity_type, hop.relationship_type, hop.direction):
            yield entity_id, edge


def read_adjacent(
    snapshot: Snapshot,
    shape: GraphShape,
    entity_ids: Sequence[str],
    hop_types: frozenset[str] | None,
    after: Adjacency | None,
    limit: int,
) -> list[Adjacency]:
    """Return the next adjacencies in order, looking at no more entities than it takes to fill the limit."""
    start = None if after is None else adjacency_order(after)
    wanted = sorted({entity_id for entity_id in entity_ids if start is None or entity_id >= start[0]})
    relationship_types = [name for name in shape.catalog.pairs if hop_types is None or name in hop_types]
    found: list[Adjacency] = []
    for first in range(0, len(wanted), _ADJACENT_ENTITIES_PER_STEP):
        if len(found) >= limit:
            break
        step = wanted[first : first + _ADJACENT_ENTITIES_PER_STEP]
        seen = _adjacent_of(snapshot, step, relationship_types)
        behind = [item for item in seen if start is None or adjacency_order(item) > start]
        found += sorted(behind, key=adjacency_order)
    return found[: max(limit, 0)]


def _adjacent_of(snapshot: Snapshot, entity_ids: Sequence[str], relationship_types: Sequence[str]) -> list[Adjacency]:
    types = snapshot.types(entity_ids)
    edges = [
        (entity_id, ref, direction)
        for entity_id, entity_type in types.items()
        for relationship_type in relationship_types
        for direction in (Direction.OUT, Direction.IN)
        for ref in snapshot.edge_refs(entity_id, entity_type, relationship_type, direction)
    ]
    other_types = snapshot.types(other_end(ref, entity_id) for entity_id, ref, _ in edges) if edges else {}
    return [
        Adjacency(entity_id, ref, direction, other, other_types[other])
        for entity_id, ref, direction in edges
        for other in (other_end(ref, entity_id),)
    ]


def count_by_type(session: Session, shape: GraphShape) -> Iterator[tuple[str, int]]:
    """Yield every type that has entities or relationships, and how many."""
    for name in shape.catalog.nodes:
        yield name, session.run(f"MATCH (n:{quoted(name)}) RETURN count(*)")[0][0]
    for name in shape.catalog.relationships:
        yield name, session.run(f"MATCH ()-[r:{quoted(name)}]->() RETURN count(*)")[0][0]
