"""All entities or relationships of a PKG, page by page, as bridges out of it read them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Entity, EntityState, RecordState, Relationship, RelationshipState
from slipstream.domain.keys import RecordKey, relationship_key

_PAGE = 1_000
_BEFORE_RELATIONSHIPS = relationship_key("")


def all_entities(slip: Slipstream, types: Collection[str] | None = None) -> Iterator[Entity]:
    """
    Yield entities, of some types or all.

    Each page is of one moment; what is written meanwhile may be seen or not.
    """
    if types is None:
        yield from (state.entity for state in _states(slip, None, ()) if isinstance(state, EntityState))
        return
    for name in dict.fromkeys(types):
        page = slip.pkg.of_type(name, None, _PAGE)
        yield from page.items
        while page.next is not None:
            page = slip.pkg.of_type(name, page.next, _PAGE)
            yield from page.items


def all_relationships(slip: Slipstream, types: Collection[str] | None = None) -> Iterator[Relationship]:
    """Yield relationships by id, of some types or all; pages are as those of `all_entities`."""
    for state in _states(slip, _BEFORE_RELATIONSHIPS, types):
        if isinstance(state, RelationshipState):
            yield state.relationship


def _states(slip: Slipstream, after: RecordKey | None, types: Collection[str] | None) -> Iterator[RecordState]:
    """Yield what stands behind a key; of relationships those of some types, or all."""
    while rows := slip.pkg.scan(after, _PAGE, types):
        keys = [row.key for row in rows]
        states = slip.pkg.read(keys, {}).states
        yield from (states[key] for key in keys if key in states)
        after = keys[-1]
