"""Follows hops of several steps breadth first, in the order that every graph adapter shares. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from slipstream.domain.entities import Hop, Relationship
from slipstream.domain.keys import RelationshipRef

EdgesOf = Callable[[Sequence[str]], Iterable[tuple[str, Relationship]]]
"""Returns the relationships that a hop may follow from the entities, each with the entity where it starts."""


def other_end(ref: RelationshipRef, entity_id: str) -> str:
    """Return the id of the other end of a relationship, given one end."""
    return ref.target_id if ref.source_id == entity_id else ref.source_id


def reached(entity_id: str, hop: Hop, edges_of: EdgesOf) -> list[tuple[str, Relationship]]:
    """Return the entities that a hop reaches, nearest first, each once even in cycles, with the last relationship."""
    found: list[tuple[str, Relationship]] = []
    seen, level = {entity_id}, [entity_id]
    for _ in range(hop.depth):
        nearest: dict[str, Relationship] = {}
        for start, edge in edges_of(level):
            other = other_end(edge.ref, start)
            known = nearest.get(other)
            if other not in seen and (known is None or edge.ref.id < known.ref.id):
                nearest[other] = edge
        level = sorted(nearest)[: hop.limit - len(found)]
        found += [(other, nearest[other]) for other in level]
        seen.update(level)
        if not level or len(found) >= hop.limit:
            break
    return found
