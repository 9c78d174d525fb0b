"""How entities and their values are shown, to people and to programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from slipstream.domain.texts import on_one_line

_SHOWN = 160
_NAMES = ("name", "title", "label")


def value_shown(value: Any, size: int = _SHOWN) -> str:
    """Return a value that JSON has told, on one line: a text and a time as they are, anything else as JSON."""
    if isinstance(value, Mapping) and value.keys() == {"$datetime"}:
        value = value["$datetime"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    flat = on_one_line(text)
    return flat if len(flat) <= size else f"{flat[: size - 1]}…"


def name_of(entity_id: str, properties: Mapping[str, Any]) -> str:
    """Return what a person would call an entity."""
    return next((value for key in _NAMES if isinstance(value := properties.get(key), str) and value), entity_id)


def properties_shown(properties: Mapping[str, Any], size: int = _SHOWN) -> str:
    """Return properties on one short line."""
    text = ", ".join(f"{on_one_line(name)}: {value_shown(value, 60)}" for name, value in properties.items())
    return text if len(text) <= size else f"{text[: size - 1]}…"
