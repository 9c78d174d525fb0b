"""Headers as `neo4j-admin database import` reads them: what each column is. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss

ID, LABEL, START, END, TYPE, IGNORE = "ID", "LABEL", "START_ID", "END_ID", "TYPE", "IGNORE"
ROLES = (ID, LABEL, START, END, TYPE, IGNORE)
NUMBERS = ("int", "long", "short", "byte")
TYPES = (
    *("string", "char", "boolean", *NUMBERS, "float", "double"),
    *("date", "localtime", "time", "localdatetime", "datetime", "duration", "point", "vector"),
)
_COLUMN = re.compile(
    r"(?P<name>.*?):(?P<type>[A-Za-z_]+)(?P<array>\[\])?(?:\((?P<space>[^)]*)\))?(?P<options>\{.*\})?", re.DOTALL
)
_UNTYPED_END = re.compile(r"(.*:(?:START_ID|END_ID)(?:\([^)]*\))?):[A-Za-z]+", re.IGNORECASE)
_OPTION = re.compile(r"([\w-]+)\s*:\s*('[^']*'|\"[^\"]*\"|[^,{}]+)")
_HEADER = re.compile(
    r":(?:ID|LABEL|START_ID|END_ID|TYPE)(?:\([^)]*\))?(?:\{[^}]*\})?(?::\w+)?\"?\s*(?:[^\w\s(){}:]|\t|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it is for (a role), or the type of the property that it is."""

    at: int
    name: str
    kind: str
    is_array: bool = False
    space: str | None = None
    """In which ids count; None: in that of all files that name none."""
    options: Mapping[str, str] = field(default_factory=dict)


def looks_like_header(line: str) -> bool:
    """Whether a first line has a column that only such headers have."""
    return _HEADER.search(line.rstrip("\r\n")) is not None


def options_of(text: str) -> dict[str, str]:
    """Return what a map in Cypher's manner says, as texts: `{crs: 'WGS-84', x: 1}`."""
    return {name: value.strip().strip("'\"") for name, value in _OPTION.findall(text)}


def columns_of(names: Sequence[str]) -> list[Column]:
    """Return what the columns of a header are; raises `InvalidInputError` for a type that is none."""
    return [_column(at, name) for at, name in enumerate(names)]


def _column(at: int, text: str) -> Column:
    if (untyped := _UNTYPED_END.fullmatch(text)) is not None:
        text = untyped[1]  # a type there means nothing
    if ":" not in text:
        return Column(at, text, "string" if text else IGNORE)
    found = _COLUMN.fullmatch(text)
    if found is None:
        raise InvalidInputError(f"{text!r} is not name:type", field=f"column {at + 1}")
    role = found["type"].upper()
    kind = role if role in ROLES else found["type"].lower()
    if kind not in ROLES and kind not in TYPES:
        raise InvalidInputError(
            f"{text!r} has no type that neo4j-admin knows{near_miss(found['type'], TYPES)}", field=f"column {at + 1}"
        )
    if not found["name"] and kind not in ROLES:
        raise InvalidInputError(f"{text!r} has no name", field=f"column {at + 1}")
    return Column(at, found["name"], kind, bool(found["array"]), found["space"], options_of(found["options"] or ""))
