"""What is near the hits of a search in the graph: one read for each hop of all hits, and one for the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from slipstream.domain.entities import Adjacency, Direction, EntityState, RecordState
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.ports.graph import GraphReader
from slipstream.search.hits import NeighbourHit, SearchHit, entity_name

NEIGHBOURS_MAX = 100
"""Most neighbours of one hit."""

_Found = dict[str, tuple[str, Direction, int]]


def with_neighbours(graph: GraphReader, hits: Sequence[SearchHit], hops: int) -> list[SearchHit]:
    """Return the hits with the entities within `hops` relationships of each, nearest first."""
    reached: dict[str, _Found] = {hit.entity_id: {} for hit in hits}
    edges: dict[str, list[str]] = {entity_id: [entity_id] for entity_id in reached}
    for hop in range(1, hops + 1):
        ends = sorted({end for edge in edges.values() for end in edge})
        by_end: dict[str, list[Adjacency]] = {}
        for row in graph.nearby(ends, NEIGHBOURS_MAX) if ends else ():
            by_end.setdefault(row.entity_id, []).append(row)
        edges = {
            entity_id: _step(entity_id, edges[entity_id], found, by_end, hop) for entity_id, found in reached.items()
        }
    keys = {neighbour: entity_key(neighbour) for found in reached.values() for neighbour in found}
    states = graph.read(list(keys.values()), {}).states if keys else {}
    return [replace(hit, neighbours=_named(reached[hit.entity_id], keys, states)) for hit in hits]


def _step(
    entity_id: str, edge: Sequence[str], found: _Found, by_end: Mapping[str, Sequence[Adjacency]], hop: int
) -> list[str]:
    """Add the entities one hop beyond the edge to `found`, and return them as the new edge."""
    new: list[str] = []
    for row in (row for end in sorted(edge) for row in by_end.get(end, ())):
        if len(found) == NEIGHBOURS_MAX:
            break
        if row.neighbour_id != entity_id and row.neighbour_id not in found:
            found[row.neighbour_id] = (row.ref.type, row.direction, hop)
            new.append(row.neighbour_id)
    return new if len(found) < NEIGHBOURS_MAX else []


def _named(
    found: _Found, keys: Mapping[str, RecordKey], states: Mapping[RecordKey, RecordState]
) -> tuple[NeighbourHit, ...]:
    return tuple(
        NeighbourHit(neighbour, state.entity.type, entity_name(state.entity), *how)
        for neighbour, how in found.items()
        if isinstance(state := states.get(keys[neighbour]), EntityState)
    )
