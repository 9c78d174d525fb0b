"""Values of cells, by the kind that a column is said to have. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slipstream.events.formats.reader import INTEGER_MAX, INTEGER_MIN

LIST_SEPARATOR = ";"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FINE = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")
"""Parts of a second that no time of ours can hold."""
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def integer_of(text: str) -> int:
    """Return a whole number of 64 bits; raises `ValueError` that says what is wrong."""
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError("is no whole number")
    number = int(text) if len(text) < 64 else INTEGER_MAX + 1
    if not INTEGER_MIN <= number <= INTEGER_MAX:
        raise ValueError("is past what 64 bits hold")
    return number


def float_of(text: str) -> float:
    """Return a finite number; raises `ValueError` that says what is wrong."""
    if not _FLOAT.fullmatch(text.strip()):
        raise ValueError("is no number")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("is past the range of a number")
    return number


def boolean_of(text: str) -> bool:
    """Return whether it is so; raises `ValueError` for anything else than true, false, yes, no, 1 and 0."""
    found = _BOOLEANS.get(text.strip().lower())
    if found is None:
        raise ValueError(f"is none of {', '.join(_BOOLEANS)}")
    return found


def datetime_of(text: str) -> datetime:
    """Return a time with its zone; raises `ValueError` that says what is wrong."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError("is no time as ISO 8601 writes it") from error
    if moment.utcoffset() is None:
        raise ValueError("has no zone, as the Z in 2026-01-02T03:04:05Z: write one, or let the column be text")
    if _FINE.search(text):
        raise ValueError("is finer than a microsecond: let the column be text")
    return moment


def list_of(text: str) -> list[Any]:
    """Return the texts between semicolons; or, of a cell that is a JSON array, what is in it."""
    if text.startswith("["):
        try:
            found = json.loads(text, parse_constant=_refused)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return found
    return text.split(LIST_SEPARATOR) if text else []


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "integer": integer_of,
    "float": float_of,
    "boolean": boolean_of,
    "datetime": datetime_of,
    "list": list_of,
}
"""By kind; text needs none."""
TEXTUAL = frozenset({"string", "list"})
"""Kinds whose empty text, if it is quoted, is a value."""


def cell_of(value: Any) -> str | None:
    """Return the cell that stands for a property: its text, a list as `list_of` reads it, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list) and _is_plain(value):
        return LIST_SEPARATOR.join(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_of)


def _is_plain(items: Sequence[Any]) -> bool:
    """Whether the texts between semicolons are read back as these items."""
    if not all(isinstance(item, str) for item in items):
        return False
    return list_of(LIST_SEPARATOR.join(items)) == items


def _json_of(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no cell can hold a {type(value).__name__}")
