"""Ids that questions and queries expect: the graph has to have them, as nothing else can be found."""

from __future__ import annotations

from collections.abc import Iterable

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.ports.graph import GraphReader

_PAGE = 500
_UNKNOWN_SHOWN = 5


def check_ids(graph: GraphReader, identities: Iterable[str], field: str) -> None:
    """Raise `InvalidInputError`, which names `field` and the first of them, for ids that the graph does not have."""
    wanted = list(dict.fromkeys(identities))
    unknown: list[str] = []
    for start in range(0, len(wanted), _PAGE):
        keys = {identity: keys_of(identity) for identity in wanted[start : start + _PAGE]}
        states = graph.read([key for both in keys.values() for key in both], {}).states
        unknown += [identity for identity, both in keys.items() if not any(key in states for key in both)]
    if unknown:
        shown = ", ".join(map(repr, unknown[:_UNKNOWN_SHOWN])) + (", …" if len(unknown) > _UNKNOWN_SHOWN else "")
        raise InvalidInputError(
            f"{len(unknown):,} expected ids are not in the graph ({shown}): correct them or leave them out",
            field=field,
        )


def keys_of(identity: str) -> list[RecordKey]:
    """Return the keys of the records that an id may stand for."""
    try:
        RelationshipRef.parse(identity)
    except InvalidInputError:
        return [entity_key(identity)]
    return [entity_key(identity), relationship_key(identity)]
