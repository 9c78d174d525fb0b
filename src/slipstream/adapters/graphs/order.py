"""The orders and identities that every graph adapter shares. Pure."""

from __future__ import annotations

from slipstream.domain.entities import Adjacency
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef


def adjacency_order(item: Adjacency) -> tuple[str, str, str]:
    """Return what adjacencies are ordered by: entity id, relationship id, direction."""
    return item.entity_id, item.ref.id, item.direction.value


def parsed_ref(relationship_id: str) -> RelationshipRef | None:
    """Return the relationship that an id names, None when it is not the one canonical form of any."""
    try:
        ref = RelationshipRef.parse(relationship_id)
    except InvalidInputError:
        return None
    return ref if ref.id == relationship_id else None
