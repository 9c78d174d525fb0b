"""All entities or relationships of a PKG, page by page, as bridges out of it read them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Entity, EntityState, Relationship, RelationshipState
from slipstream.domain.keys import RecordKey, relationship_key

_PAGE = 1_000
_BEFORE_RELATIONSHIPS = relationship_key("")


def all_entities(slip: Slipstream, types: Collection[str] | None = None) -> Iterator[Entity]:
    """
    Yield entities, of some types or all.

    Each page is of one moment; what is written meanwhile may be seen or not.
    """
    if types is None:
        yield from _any_entities(slip)
        return
    for name in dict.fromkeys(types):
        after: str | None = None
        while page := slip.pkg.of_type(name, after, _PAGE):
            yield from page.items
            after = page.next
            if after is None:
                break


def _any_entities(slip: Slipstream) -> Iterator[Entity]:
    for keys in _pages(slip, None, ()):
        states = slip.pkg.read(keys, {}).states
        for key in keys:
            state = states.get(key)
            if isinstance(state, EntityState):
                yield state.entity


def all_relationships(slip: Slipstream, types: Collection[str] | None = None) -> Iterator[Relationship]:
    """Yield relationships by id, of some types or all; pages are as those of `all_entities`."""
    for keys in _pages(slip, _BEFORE_RELATIONSHIPS, types):
        states = slip.pkg.read(keys, {}).states
        for key in keys:
            state = states.get(key)
            if isinstance(state, RelationshipState):
                yield state.relationship


def _pages(slip: Slipstream, after: RecordKey | None, types: Collection[str] | None) -> Iterator[list[RecordKey]]:
    while rows := slip.pkg.scan(after, _PAGE, types):
        after = rows[-1].key
        yield [row.key for row in rows]
