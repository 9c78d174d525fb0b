"""Literals as property values: typed where nothing of the lexical form is lost, else the lexical form. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from slipstream.importers.rdf.vocabulary import XSD

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z")
_INTEGERS = (
    *("integer", "long", "int", "short", "byte", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte"),
    *("nonNegativeInteger", "positiveInteger", "nonPositiveInteger", "negativeInteger"),
)


def literal_value(lexical: str, datatype: str) -> Any:
    """Return the value of a literal; its lexical form where that is not the canonical one of a type the graph has."""
    convert = _CONVERTERS.get(datatype)
    return lexical if convert is None else convert(lexical)


def _boolean(lexical: str) -> bool | str:
    return {"true": True, "false": False}.get(lexical, lexical)


def _integer(lexical: str) -> int | str:
    if not lexical.isascii() or not lexical.removeprefix("-").isdigit() or len(lexical) > 20:
        return lexical
    number = int(lexical)
    return number if str(number) == lexical and _INT_MIN <= number <= _INT_MAX else lexical


def _number(lexical: str) -> int | float | str:
    whole = _integer(lexical)
    if isinstance(whole, int):
        return whole
    try:
        number = float(lexical)
    except ValueError:
        return lexical
    if not math.isfinite(number) or lexical not in (repr(number), _scientific(number)):
        return lexical
    return number


def _scientific(number: float) -> str:
    """Return the canonical form of XML Schema: `1.5E0`."""
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    text = "".join(map(str, digits))
    rest = text[1:].rstrip("0") or "0"
    return f"{'-' if sign else ''}{text[0]}.{rest}E{int(exponent) + len(text) - 1}"


def _moment(lexical: str) -> datetime | str:
    if not lexical.isascii() or not _MOMENT.fullmatch(lexical):
        return lexical
    try:
        return datetime.fromisoformat(lexical).astimezone(UTC)
    except ValueError:  # the 30th of February, or hour 24
        return lexical


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    f"{XSD}boolean": _boolean,
    **{f"{XSD}{name}": _integer for name in _INTEGERS},
    **{f"{XSD}{name}": _number for name in ("decimal", "double", "float")},
    **{f"{XSD}{name}": _moment for name in ("dateTime", "dateTimeStamp")},
}


def one_or_list(values: Iterable[Any]) -> Any:
    """Return the only value, or all of them, each once, in an order that does not depend on the file's."""
    ordered = sorted({_order(value): value for value in values}.items(), key=lambda item: item[0])
    return ordered[0][1] if len(ordered) == 1 else [value for _, value in ordered]


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, str):
        return 3, 0.0, value
    if isinstance(value, bool):
        return 0, float(value), ""
    if isinstance(value, int | float):
        return 1, float(value), repr(value)
    return (2, 0.0, value.isoformat()) if isinstance(value, datetime) else (4, 0.0, json.dumps(value, sort_keys=True))


def main_language(tags: Iterable[str]) -> str:
    """Return the language whose values stand for all: English, what is nearest to it, then the first by its tag."""
    return min(tags, key=lambda tag: (tag != "en", not tag.startswith("en-"), tag))
