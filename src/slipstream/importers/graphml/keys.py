"""Keys of GraphML: which name and type a value has, its default, and what its text stands for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipstream.importers.told import Told

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1
_WHOLE, _FRACTIONS, _TRUTHS = ("int", "integer", "long", "short", "byte"), ("float", "double"), {"true", "false"}
_TEXTS = ("string", "")


@dataclass(frozen=True, slots=True)
class Key:
    """A declaration: `id` is its name within the file, `kind` what it is for (`node`, `edge`, `all`, …)."""

    id: str
    kind: str
    name: str
    type: str
    is_list: bool = False
    default: str | None = None

    @classmethod
    def declared(cls, attributes: Mapping[str, str], default: str | None) -> Key:
        """Return what a `<key>` declares; an empty default is none."""
        identity = attributes.get("id", "")
        return cls(
            id=identity,
            kind=attributes.get("for", "all"),
            # yEd leaves the name out of what it keeps for itself.
            name=attributes.get("attr.name") or identity,
            type=attributes.get("attr.type", "").strip().lower(),
            is_list=bool(attributes.get("attr.list")),
            default=default or None,
        )

    def value(self, text: str, told: Told) -> Any:
        """
        Return what a text stands for; None for an empty one that is no text.

        What the declared type can not hold stays the text that it is, and that is told: nothing is lost.
        """
        if self.is_list:
            return self._list(text, told)
        if self.type in _TEXTS:
            return text
        bare = text.strip()
        if not bare:
            return None
        if self.type not in (*_WHOLE, *_FRACTIONS, "boolean"):
            told.note(f"the type {self.type!r} of {self.name!r} is unknown: its values are kept as text")
            return text
        found = _parsed(self.type, bare)
        if found is None:
            told.note(f"values of {self.name!r} that are no {self.type} of 64 bits are kept as text", bare[:40])
            return text
        return found

    def _list(self, text: str, told: Told) -> Any:
        """Return a list as APOC writes it: JSON."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(_is_plain(item) for item in found):
            told.note(f"values of {self.name!r} that are no list are kept as text", text[:40])
            return text
        return found


def _parsed(name: str, text: str) -> int | float | bool | None:
    if name in _WHOLE:
        if _INTEGER.fullmatch(text) and _INTEGER_MIN <= (whole := int(text)) <= _INTEGER_MAX:
            return whole
        return None
    if name in _FRACTIONS:
        if _FLOAT.fullmatch(text) and math.isfinite(fraction := float(text)):
            return fraction
        return None
    if text.lower() in _TRUTHS:
        return text.lower() == "true"
    return text == "1" if text in ("0", "1") else None


def _is_plain(item: object) -> bool:
    if isinstance(item, bool | str):
        return True
    if isinstance(item, int):
        return _INTEGER_MIN <= item <= _INTEGER_MAX
    return isinstance(item, float) and math.isfinite(item)


class Keys:
    """The declarations of one file."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], Key] = {}
        self._defaults: dict[str, list[Key]] = {}
        self.defaults_size = 0
        """Characters of all defaults, which each node or edge may get."""

    def declare(self, key: Key) -> None:
        """Add a declaration; one id may stand for a key of nodes and for another one of edges."""
        before = self._keys.get((key.kind, key.id))
        self._keys[key.kind, key.id] = key
        self.defaults_size += len(key.default or "") - len((before and before.default) or "")
        if key.default or (before and before.default):
            self._defaults.clear()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kind: str, key_id: str) -> Key | None:
        """Return the key of a value in a node or an edge."""
        return self._keys.get((kind, key_id)) or self._keys.get(("all", key_id))

    def defaults(self, kind: str) -> list[Key]:
        """Return the keys of a kind that have a default."""
        if kind not in self._defaults:
            keys = self._keys.values()
            self._defaults[kind] = [key for key in keys if key.default and key.kind in (kind, "all")]
        return self._defaults[kind]
