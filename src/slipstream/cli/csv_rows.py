"""
Rows as CSV that loses nothing that CSV can tell (RFC 4180, UTF-8, lines end with a line feed).

A text is always in quotes, and nothing else is: so `"1815"` is a text and `1815` a number, `""` an empty text and an
empty field no value at all. Lists, maps and bytes are the exception: they have no form of their own in CSV, and stand
in quotes as JSON and as hexadecimal digits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slipstream.domain.values import encode_cell

_INFINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Yield the header and the rows, each with its line feed."""
    yield ",".join(map(_quoted, columns)) + "\n"
    for row in rows:
        yield ",".join(_field(row[name]) for name in columns) + "\n"


def _field(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return _quoted(value.hex())
    if isinstance(value, list | dict):
        return _quoted(json.dumps(encode_cell(value), ensure_ascii=False))
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else _number(value)


def _number(value: float) -> str:
    """Return a number, true or false as JSON has it, and what JSON has no word for as JavaScript does."""
    return json.dumps(value) if isinstance(value, int) or math.isfinite(value) else _INFINITE.get(value, "NaN")


def _quoted(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"{escaped}"'
