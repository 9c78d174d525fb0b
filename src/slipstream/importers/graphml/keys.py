"""Keys of GraphML: which name and type a value has, its default, and what its text stands for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slipstream.events.formats.reader import INTEGER_MAX, INTEGER_MIN
from slipstream.importers.tables.cells import float_of, integer_of
from slipstream.importers.told import Told

_TEXTS = ("string", "")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_PARSERS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("int", "integer", "long", "short", "byte"), integer_of),
    **dict.fromkeys(("float", "double"), float_of),
    "boolean": lambda text: _TRUTHS[text.lower()],
}


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
        parse = _PARSERS.get(self.type)
        if parse is None:
            told.note(f"the type {self.type!r} of {self.name!r} is unknown: its values are kept as text")
            return text
        try:
            return parse(bare)
        except (ValueError, KeyError):
            told.note(f"values of {self.name!r} that are no {self.type} of 64 bits are kept as text", bare[:40])
            return text

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


def _is_plain(item: object) -> bool:
    if isinstance(item, bool | str):
        return True
    if isinstance(item, int):
        return INTEGER_MIN <= item <= INTEGER_MAX
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
