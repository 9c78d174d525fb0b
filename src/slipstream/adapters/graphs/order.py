"""The identities that every graph adapter shares. Pure."""

from __future__ import annotations

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef


def parsed_ref(relationship_id: str) -> RelationshipRef | None:
    """Return the relationship that an id names, None when it is not the one canonical form of any."""
    try:
        ref = RelationshipRef.parse(relationship_id)
    except InvalidInputError:
        return None
    return ref if ref.id == relationship_id else None
