"""What a view may declare, whether it comes from Python or from a file."""

from __future__ import annotations

import difflib

from slipstream.domain.errors import InvalidInputError
from slipstream.views.declaration import Chain, Via, View
from slipstream.views.reads import Reads

LIMIT_MAX = 1_000
"""Most neighbours under one name."""
DEPTH_MAX = 5
"""Most steps of a chain."""
_TAKEN = ("id", "type", "properties", "loop", "self", "true", "false", "none")
_OF_NEIGHBOUR = ("id", "type", "via")


def check_view(view: View, field: str, reads: Reads) -> None:
    """Raise `InvalidInputError` that names the wrong field; `reads` is what the template reads."""
    if view.is_relationship:
        _check_relationship_view(view, field)
    for alias, via in view.via.items():
        check_via(alias, via, f"{field}.via.{alias}")
        if alias not in reads.names:
            close = difflib.get_close_matches(alias, reads.names, n=1)
            hint = f"it reads {close[0]!r}: did you mean that?" if close else "use it there, or leave it out"
            raise InvalidInputError(f"is never read by the template; {hint}", field=f"{field}.via.{alias}")
        missing = reads.of_items.get(alias, frozenset()).difference(via.properties, _OF_NEIGHBOUR)
        if missing:
            raise InvalidInputError(
                f"lacks {', '.join(map(repr, sorted(missing)))}, which the template reads",
                field=f"{field}.via.{alias}.properties",
            )

    for role, chain in (("causes", view.causes), ("sequence", view.sequence)):
        if chain is not None:
            check_chain(chain, f"{field}.{role}")
    if view.chains and view.temporal is False:
        raise InvalidInputError("must not be false: a chain is a part of it", field=f"{field}.temporal")


def _check_relationship_view(view: View, field: str) -> None:
    if view.template is None:
        raise InvalidInputError("is required for a relationship", field=f"{field}.template")
    if view.via:
        raise InvalidInputError("is for entities; a relationship has source and target", field=f"{field}.via")
    if view.chains:
        role = "causes" if view.causes is not None else "sequence"
        raise InvalidInputError("is for entities; a relationship has no chain", field=f"{field}.{role}")
    if view.temporal:
        raise InvalidInputError("is for entities; a relationship has no temporal context", field=f"{field}.temporal")


def check_via(alias: str, via: Via, field: str) -> None:
    """Raise `InvalidInputError` that names the wrong field of one step to the neighbours."""
    if not alias.isidentifier() or alias.startswith("_") or alias.lower() in _TAKEN:
        raise InvalidInputError(f"{alias!r} can not be used in a template, or means something else", field=field)
    _check_step(via, field)


def check_chain(chain: Chain, field: str) -> None:
    """Raise `InvalidInputError` that names the wrong field of a chain."""
    _check_step(chain, field)
    _check_number(chain.depth, DEPTH_MAX, f"{field}.depth")
    if not chain.properties:
        raise InvalidInputError("needs a property to tell each event by", field=f"{field}.properties")


def _check_step(step: Via | Chain, field: str) -> None:
    if not step.relationship_type:
        raise InvalidInputError("is required: the relationship type to look across", field=f"{field}.relationship")
    _check_number(step.limit, LIMIT_MAX, f"{field}.limit")


def _check_number(value: object, most: int, field: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInputError(f"is {value!r}, not a whole number in 1..{most}", field=field)
