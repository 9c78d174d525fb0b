"""
Names of properties in the user's form, and in the mirror's. Pure.

kglite answers some names itself (`n.type` is the label, `n.name` the title, `r.start` an end) and drops others when
they are set. So a user's properties of these names are stored under a prefix; a value that kglite returns under the
bare name is then never a user's, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

PREFIX = "slip__"
"""Also the prefix of parameters and variables that rewriting adds to a statement."""

RESERVED = frozenset({
    # of a node
    "title", "name", "type", "label", "node_type",
    # of a relationship
    "connection_type", "start", "start_id", "end", "end_id",
    # not stored by SET
    "git_sha", "modified_by", "updated_at",
    # keys of the maps that stand for a node, a relationship and a path in a result
    "labels", "properties", "nodes", "relationships",
})  # fmt: skip
"""Found by trying 42,000 names on kglite 0.21.2, plus the structural ones; `id` is the identity."""


@lru_cache(maxsize=10_000)
def stored_name(name: str) -> str:
    """Return the name under which the mirror holds a user's property or key of a map."""
    return PREFIX + name if name in RESERVED or name.startswith(PREFIX) else name


def user_name(stored: str) -> str:
    """Return the user's name of a stored one: the inverse of `stored_name`."""
    return stored.removeprefix(PREFIX)


def stored_value(value: Any) -> Any:
    """Return a value with the keys of all its maps in the mirror's form."""
    if isinstance(value, Mapping):
        return {stored_name(key): stored_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [stored_value(item) for item in value]
    return value


def user_value(value: Any) -> Any:
    """Return a value of the mirror in the user's form, without keys that kglite added."""
    if isinstance(value, dict):
        return {user_name(key): user_value(item) for key, item in value.items() if key not in RESERVED}
    if isinstance(value, list):
        return [user_value(item) for item in value]
    return value
