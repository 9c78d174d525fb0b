"""
Values as Neo4j's connector for Kafka writes them in its payload mode `EXTENDED`: each under the name of its type.

By the connector's source code, not by recorded events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

_TEXTS_AND_NUMBERS = frozenset({"B", "I64", "F64", "S", "BA", "TLD", "TLDT", "TLT", "TOT"})
_LISTS = frozenset({"LB", "LI64", "LF64", "LS", "LTLD", "LTLDT", "LTLT", "LTOT"})


def plain(value: Any) -> Any:
    """Return the value in a map of types, of which at most one is set; anything else as it is."""
    if not isinstance(value, dict) or not value or not value.keys() <= _TYPES:
        return value
    found = [(name, item) for name, item in value.items() if item is not None]
    if len(found) > 1:
        return value
    for name, item in found:
        decode = _DECODERS.get(name)
        return item if decode is None else decode(item)
    return None


def _moment(value: Any) -> Any:
    """Return the time in a text, which may end with the zone's name; the text itself when it has no time in UTC."""
    try:
        moment = datetime.fromisoformat(value.partition("[")[0].upper())
        return value if moment.utcoffset() is None else moment.astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        return value


def _duration(value: Any) -> Any:
    """Return a duration as ISO 8601; months, days and seconds are not converted into each other."""
    parts = [value.get(name, 0) for name in _PARTS] if isinstance(value, dict) else []
    if not parts or not all(isinstance(part, int) for part in parts):
        return value
    months, days, seconds, nanoseconds = parts
    whole, rest = divmod(abs(seconds * 10**9 + nanoseconds), 10**9)
    sign = "-" if seconds * 10**9 + nanoseconds < 0 else ""
    digits = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"P{months}M{days}DT{sign}{whole}{digits}S"


def _point(value: Any) -> Any:
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value


def _each(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [decode(item) for item in value] if isinstance(value, list) else value


_PARTS = ("months", "days", "seconds", "nanoseconds")
_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "TZDT": _moment,
    "TD": _duration,
    "SP": _point,
    "LZDT": _each(_moment),
    "LTD": _each(_duration),
    "LSP": _each(_point),
}
_TYPES = _TEXTS_AND_NUMBERS | _LISTS | _DECODERS.keys()
