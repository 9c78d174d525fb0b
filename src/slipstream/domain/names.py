"""Which names of types and properties a graph can keep. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

NAME_SIZE_MAX = 128
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def name_fault(name: object) -> str | None:
    """Return why no type and no property can have this name; None when it can."""
    if not isinstance(name, str) or not name:
        return f"a name must be a non-empty text, got {name!r}"
    if len(name) > NAME_SIZE_MAX:
        return f"has {len(name)} characters, a name has at most {NAME_SIZE_MAX}"
    if name.startswith("_"):
        return f"{name!r} starts with an underscore, which is reserved"
    if not _is_printable(name):
        return f"{name!r} contains a backtick, a control or a surrogate character"
    return None


@lru_cache(maxsize=10_000, typed=True)  # the same few names come with every row
def property_fault(name: object) -> str | None:
    """Return why no property can have this name; `id` is no property but the identity."""
    fault = name_fault(name)
    if fault is None and isinstance(name, str) and name != "id" and name.casefold() == "id":
        return "differs from the reserved property id only in case: rename it"
    return fault


@lru_cache(maxsize=10_000)  # the same few names come with every row
def _is_printable(name: str) -> bool:
    return "`" not in name and not any(unicodedata.category(character) in _UNPRINTABLE for character in name)


def without_unkept(properties: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return the properties whose names can be kept, and the other names, each with what is wrong with it."""
    faults = {name: fault for name in properties if (fault := property_fault(name)) is not None}
    if not faults:
        return properties, faults
    return {name: value for name, value in properties.items() if name not in faults}, faults
