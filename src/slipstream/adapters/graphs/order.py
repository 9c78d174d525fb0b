"""Identities as every graph adapter parses them. Pure."""

from __future__ import annotations

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef


def parsed_ref(relationship_id: str) -> RelationshipRef | None:
    """Return the relationship that an id names; None when the id is not in its canonical form."""
    try:
        ref = RelationshipRef.parse(relationship_id)
    except InvalidInputError:
        return None
    return ref if ref.id == relationship_id else None
