"""Keeping answers small: long texts are shown in part, and hidden characters are made visible. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from slipstream.domain.texts import printable
from slipstream.domain.values import encode_value
from slipstream.mcp.results import Result

ANSWER_MAX = 40_000
"""Longest answer, in characters of its JSON: about ten thousand tokens."""
_PROPERTIES_MAX = ANSWER_MAX // 2
_NAMES_MAX = 200
_WHOLE_MAX = 4_000
_SHORTER = (200, 60)
_ELLIPSIS = "…"

# What shows nothing and may say something: zero width, invisible operators, and the plane of tags and selectors.
_HIDDEN = re.compile("[\u200b\u2060-\u2064\ufeff\u180e\U000e0000-\U000e0fff]")

R = TypeVar("R", bound=Result)


def visible(text: str) -> str:
    """Return a text in which nothing is hidden from a reader: controls, tags and the like are shown as escapes."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), printable(text))


def shortened(text: str, length: int) -> str:
    """Return the beginning of a text, made visible; an ellipsis says that it goes on."""
    return visible(text) if len(text) <= length else visible(text[:length]) + _ELLIPSIS


def as_text(value: Any) -> str:
    """Return a property value as the text that `get` reads in parts: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(_plain(encode_value(value)), ensure_ascii=False)


def shown_value(value: Any, length: int) -> tuple[Any, int | None]:
    """Return a value for an answer, and the length of its text if it is shown in part (else None)."""
    if isinstance(value, str):
        return shortened(value, length), len(value) if len(value) > length else None
    plain = _plain(encode_value(value))
    if not isinstance(plain, list | dict):
        return plain, None
    shown, text = _inside(plain, length), json.dumps(plain, ensure_ascii=False)
    if len(json.dumps(shown, ensure_ascii=False)) > max(_WHOLE_MAX, length):
        return shortened(text, length), len(text)
    return shown, len(text) if _inside(plain, len(text)) != shown else None


def shown_properties(properties: Mapping[str, Any], length: int) -> dict[str, Any]:
    """Return the fields of `Shown` for some properties: each shortened, and no more of them than fit."""
    shown: dict[str, Any] = {}
    cut: dict[str, int] = {}
    room = _PROPERTIES_MAX
    for name, value in properties.items():
        found, whole = shown_value(value, length)
        room -= len(name) + len(json.dumps(found, ensure_ascii=False))
        if room < 0 or len(shown) >= _NAMES_MAX:
            break
        shown[name] = found
        if whole is not None:
            cut[name] = whole
    return {"properties": shown, "cut": cut or None, "more_properties": len(properties) - len(shown) or None}


def fitted(make: Callable[[int, int], R], items: int, length: int, told: str) -> R:
    """
    Return what `make` makes of so many items and so many characters of each text, with less of both until it fits.

    Shorter texts are tried before fewer items. `told` says how to get what is left out.
    """
    lengths = [length, *(shorter for shorter in _SHORTER if shorter < length)]
    while True:
        for shown in lengths:
            made = make(items, shown)
            if len(made.model_dump_json(by_alias=True, exclude_none=True)) <= ANSWER_MAX or (
                items == 1 and shown == lengths[-1]
            ):
                if shown != length:
                    less = f"texts are shown up to {shown} characters, for the answer would be too long"
                    made.left_out = f"{made.left_out}; {less}" if made.left_out else f"{less}: {told}"
                return made
        items = max(1, items // 2)


def _plain(value: Any) -> Any:
    """Return what JSON can hold: other values as their text, no infinite numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _inside(value: Any, length: int) -> Any:
    """Return a plain value with each text in it shortened."""
    if isinstance(value, str):
        return shortened(value, length)
    if isinstance(value, list):
        return [_inside(item, length) for item in value]
    if isinstance(value, dict):
        return {visible(name): _inside(item, length) for name, item in value.items()}
    return value
