"""Values as `neo4j-admin database import` reads them; what a graph of ours has no type for stays the text it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from slipstream.importers.tables.cells import LIST_SEPARATOR, float_of, integer_of
from slipstream.importers.tables.neo4j_header import ID, NUMBERS, Column, options_of

Parse = Callable[[str], Any]
_BOOLEANS = {"true": True, "false": False}
_NAMED_ZONE = re.compile(r"\[([^\]]+)\]$")
_ZONE = re.compile(r"(?:Z|[+-]\d{2}(?::?\d{2})?(?::?\d{2})?)$|\[[^\]]+\]$", re.IGNORECASE)
_FINE = re.compile(r"\.\d{6}\d*[1-9]")
_ENDLESS = frozenset({"nan", "infinity", "+infinity", "-infinity"})
_TEXTS = frozenset({"string", "char"})


class UnknownZoneError(ValueError):
    """No such time zone is known here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"is in {name!r}, which is no time zone that is known here")


def parser_of(column: Column) -> Parse | None:
    """
    Return what reads the cells of a column, and raises `ValueError` for a bad one; None for texts.

    Raises `UnknownZoneError` for a column that is in one.
    """
    if column.kind == ID:
        return integer_of if column.options.get("id-type", "string").lower() in {*NUMBERS, "integer"} else None
    if column.kind == "vector":
        whole = column.options.get("coordinateType", "double").lower() in NUMBERS
        return _each(integer_of if whole else float_of)
    plain = _plain(column)
    if not column.is_array:
        return plain
    return _each(plain or str)


def is_empty_a_value(column: Column) -> bool:
    """Whether a quoted empty cell is an empty text; of all other types it is no value."""
    return column.kind in _TEXTS and not column.is_array


def _plain(column: Column) -> Parse | None:
    options = column.options
    match column.kind:
        case "datetime":
            zone = _zone(options.get("timezone", "Z"))
            return lambda text: _moment(text.strip(), zone)
        case "time" if "timezone" in options:
            return lambda text: text if _ZONE.search(text.strip()) else f"{text}{_shown(options['timezone'])}"
        case "point":
            return lambda text: _point(text, options)
        case kind:
            return _SIMPLE.get(kind)


def _each(parse: Parse) -> Parse:
    return lambda text: [parse(item) for item in text.split(LIST_SEPARATOR)]


def _float(text: str) -> float | str:
    """Return a number; `NaN` and its like, which a graph of ours has none of, as the text."""
    return text.strip() if text.strip().lower() in _ENDLESS else float_of(text)


def _boolean(text: str) -> bool:
    found = _BOOLEANS.get(text.strip())
    if found is None:
        raise ValueError("is neither true nor false, in lower case; neo4j-admin would take it for false")
    return found


_SIMPLE: Mapping[str, Parse] = {
    **dict.fromkeys(NUMBERS, integer_of),
    **dict.fromkeys(("float", "double"), _float),
    "boolean": _boolean,
}


def _zone(name: str) -> tzinfo:
    if name.upper() == "Z":
        return UTC
    try:
        if name[:1] in "+-":
            return datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo or UTC
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZoneError(name) from error


def _shown(zone: str) -> str:
    return zone if zone.upper() == "Z" or zone[:1] in "+-" else f"[{zone}]"


def _moment(text: str, zone: tzinfo) -> datetime | str:
    """Return a time; as its text when it is finer than a microsecond, or past the years 1 to 9999."""
    if _FINE.search(text):
        return text
    named = _NAMED_ZONE.search(text)
    plain = text if named is None else text[: named.start()]
    try:
        moment = datetime.fromisoformat(plain)
        if moment.utcoffset() is None:
            moment = moment.replace(tzinfo=zone if named is None else _zone(named[1]))
        return moment.astimezone(UTC)
    except UnknownZoneError:
        raise
    except (OverflowError, ValueError):
        return text


def _point(text: str, defaults: Mapping[str, str]) -> dict[str, Any]:
    found = {**defaults, **options_of(text)}
    if not text.strip().startswith("{") or not found:
        raise ValueError("is no map of a point, as {latitude: 1.5, longitude: 2}")
    return {name: _coordinate(name, value) for name, value in found.items()}


def _coordinate(name: str, text: str) -> Any:
    if name == "crs":
        return text
    return integer_of(text) if name == "srid" else float_of(text)
