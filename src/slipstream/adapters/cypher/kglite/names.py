"""
Names of properties as users know them, and as the mirror stores them. Pure.

kglite answers some names itself (`n.type` is the label, `n.name` the title, `r.start` an end) and drops others when
they are set. So those are stored under a prefix, wherever a user can write one: then what kglite answers under the
bare name is never a user's, and can be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

PREFIX = "slip__"
"""Also of the names of parameters and variables that a rewritten statement brings along."""

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
"""All that were found by trying 42,000 names on kglite 0.21.2, and the structural ones; `id` is the identity."""


@lru_cache(maxsize=10_000)
def stored_name(name: str) -> str:
    """Return the name under which the mirror holds a user's property or key of a map."""
    return PREFIX + name if name in RESERVED or name.startswith(PREFIX) else name


def user_name(stored: str) -> str:
    """Return the name that `stored_name` was given."""
    return stored.removeprefix(PREFIX)


def stored_value(value: Any) -> Any:
    """Return a value with the keys of all its maps as the mirror holds them."""
    if isinstance(value, Mapping):
        return {stored_name(key): stored_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [stored_value(item) for item in value]
    return value


def user_value(value: Any) -> Any:
    """Return a value of the mirror as its user knows it, without the keys that kglite added."""
    if isinstance(value, dict):
        return {user_name(key): user_value(item) for key, item in value.items() if key not in RESERVED}
    if isinstance(value, list):
        return [user_value(item) for item in value]
    return value
