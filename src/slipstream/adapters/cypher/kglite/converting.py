"""Values between the graph file, kglite and the answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from slipstream.adapters.cypher.kglite.names import RESERVED, stored_name, user_name
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.values import decode_value, encode_value

_DEPTH_MAX = 60  # kglite takes 64
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1
_NODE = frozenset({"id", "labels", "properties"})
_RELATIONSHIP = frozenset({"id", "start", "end", "type", "properties"})
_PATH = frozenset({"nodes", "relationships"})


def stored_properties(text: str) -> dict[str, Any]:
    """
    Return the properties of a row of the graph file in the mirror's form, without a property `id`.

    Values that kglite can not hold are approximated: an integer past 64 bits by a float, deep nesting by JSON text.
    JSON that Python can not read counts as no properties.
    """
    if text == "{}":
        return {}
    try:
        found: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if '"$' in text:
        found = {name: decode_value(value) for name, value in found.items()}
    stored = {
        stored_name(name): value if value.__class__ in _PLAIN else _storable(value, 0)
        for name, value in found.items()
        if value is not None and name != "id"
    }
    return _without_surrogates(stored) if "\\u" in text else stored


_PLAIN = frozenset({bool, float, str})


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if _INTEGER_MIN <= value <= _INTEGER_MAX else float(value)
    if isinstance(value, list | dict) and depth >= _DEPTH_MAX:
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {stored_name(key): _storable(item, depth + 1) for key, item in value.items()}
    return value


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


class Shower:
    """
    Converts values of a result to the user's form, encoded for `decode_value`.

    An entity is a map of `_label`, `id` and its properties, a relationship one of `_label`, `id`, `source_id`,
    `target_id` and its properties, a path one of `nodes` and `relationships`. For the keys of maps see `names.py`.
    kglite gives the start or end of a relationship as the entity's title, which is `marker` and its id; such an id is
    kept in `missing` until `found` has the entity.
    """

    def __init__(self, marker: str) -> None:
        self._marker = marker
        self.found: dict[str, Any] = {}
        self.missing: set[str] = set()

    def shown(self, value: Any) -> Any:
        """Return a value of the result in the user's form; None for an entity that is still missing."""
        if isinstance(value, str):
            return self._entity(value) if value.startswith(self._marker) else value
        if isinstance(value, list):
            return [self.shown(item) for item in value]
        if isinstance(value, dict):
            return self._map(value)
        if isinstance(value, datetime):
            return encode_value(value) if value.utcoffset() is not None else value.isoformat()
        if isinstance(value, date | time):
            return value.isoformat()
        return value

    def _entity(self, title: str) -> Any:
        identity = title.removeprefix(self._marker)
        if identity not in self.found:
            self.missing.add(identity)
        return self.found.get(identity)

    def _map(self, value: Mapping[str, Any]) -> dict[str, Any]:
        keys = value.keys()
        if keys == _NODE:
            return {"_label": value["labels"][0], **self._properties(value["properties"])}
        if keys == _RELATIONSHIP:
            return self._relationship(value)
        if keys == _PATH:
            return {key: self.shown(item) for key, item in value.items()}
        return self._properties(value)

    def _properties(self, value: Mapping[str, Any]) -> dict[str, Any]:
        shown = {user_name(key): self.shown(item) for key, item in value.items() if key not in RESERVED}
        if len(shown) == 1 and (only := next(iter(shown))).startswith("$"):
            return {f"${only}": shown[only]}  # as `encode_value` does
        return {"id": shown.pop("id"), **shown} if "id" in shown else shown

    def _relationship(self, value: Mapping[str, Any]) -> dict[str, Any]:
        properties = self._properties(value["properties"])
        shown = {"_label": value["type"], "id": properties.pop("id", None)}
        try:
            ref = RelationshipRef.parse(str(shown["id"]))
        except InvalidInputError:
            return {**shown, **properties}
        return {**shown, "source_id": ref.source_id, "target_id": ref.target_id, **properties}
