"""Conditions on metadata as people type them: `NAME=VALUE`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from slipstream.domain.errors import InvalidInputError

Value = str | int | float | bool
_FIELD = "metadata"


def conditions_told(pairs: Iterable[str]) -> dict[str, Value]:
    """
    Return the conditions; a value is JSON, and a bare word is a text.

    Raises `InvalidInputError` for what is no such pair, a name that comes twice, and a value that no record has.
    """
    found: dict[str, Value] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise InvalidInputError(f"{pair!r} is not NAME=VALUE", field=_FIELD)
        if name in found:
            raise InvalidInputError(f"{name} is given twice: every condition has to hold", field=_FIELD)
        found[name] = _value(name, text)
    return found


def _value(name: str, text: str) -> Value:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return text
    if isinstance(value, str | int | float):
        return value
    raise InvalidInputError(f"{name} must be a text, a number, true or false, not {text}", field=_FIELD)
