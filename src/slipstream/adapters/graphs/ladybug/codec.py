"""Property values as typed columns, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from slipstream.adapters.graphs.evolution import kind_of
from slipstream.adapters.graphs.values import decode_json, encode_json
from slipstream.domain.entities import Properties, PropertyValue
from slipstream.domain.schema import PropertyTypes

PHYSICAL: Mapping[str, str] = {
    "string": "STRING",
    "integer": "INT64",
    "float": "DOUBLE",
    "boolean": "BOOL",
    "datetime": "TIMESTAMP",
    "list": "STRING[]",
    "map": "STRING",  # JSON text
}
MIXED_COLUMN = "_mixed"
"""JSON map of the values that do not fit the declared column of their property."""

_KINDS_BY_PREFIX = (
    ("STRING", "string"),
    ("BOOL", "boolean"),
    ("TIMESTAMP", "datetime"),
    ("INT", "integer"),
    ("UINT", "integer"),
    ("DOUBLE", "float"),
    ("FLOAT", "float"),
    ("DECIMAL", "float"),
    ("STRUCT", "map"),
    ("MAP", "map"),
)


def kind_of_column(physical: str) -> str:
    """Return the schema's type name for a column that somebody else declared."""
    if physical.endswith("]"):
        return "list"
    return next((kind for prefix, kind in _KINDS_BY_PREFIX if physical.startswith(prefix)), "string")


def encode_columns(
    properties: Properties, kinds: PropertyTypes, columns: Mapping[str, str]
) -> tuple[dict[str, Any], str | None]:
    """Return column values for what fits its column, and JSON text for all the rest (None when all fits)."""
    fitting: dict[str, Any] = {}
    mixed: dict[str, Any] = {}
    for name, value in properties.items():
        kind = kinds[name]
        if columns.get(name) == PHYSICAL[kind] and _fits(kind, value):
            fitting[name] = _to_column(kind, value)
        else:
            mixed[name] = value
    return fitting, encode_json(mixed) if mixed else None


def _fits(kind: str, value: PropertyValue) -> bool:
    if kind == "list":
        # An empty list has no element type, and the driver would reuse a plan made for another one.
        return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
    return kind_of(value) == kind


def _to_column(kind: str, value: Any) -> Any:
    if kind == "datetime":
        return value.astimezone(UTC).replace(tzinfo=None)
    return encode_json(value) if kind == "map" else value


_PLAIN = frozenset((str, int, float, bool))


class RowDecoder:
    """Decodes many rows of the same columns: what a column's name and type say is found out once."""

    def __init__(self, columns: Iterable[str], kinds: PropertyTypes) -> None:
        places = {name: at for at, name in enumerate(columns)}
        self._mixed = places.get(MIXED_COLUMN)
        self._shown = [
            (name, at, kinds.get(name) == "map")
            for name, at in places.items()
            if name != "id" and not name.startswith("_")
        ]

    def properties(self, row: Sequence[Any]) -> dict[str, PropertyValue]:
        """Return the properties of a node or relationship; a set column wins over mixed values."""
        properties: dict[str, PropertyValue] = {}
        if self._mixed is not None and row[self._mixed] is not None:
            decoded = _decoded_map(row[self._mixed])
            properties.update(decoded if isinstance(decoded, dict) else {})
        for name, at, is_map in self._shown:
            value = row[at]
            if value is None:
                continue
            if is_map:
                properties[name] = _decoded_map(value)
            else:
                properties[name] = value if type(value) in _PLAIN else plain(value)
        return properties


def decode_columns(row: Mapping[str, Any], kinds: PropertyTypes) -> dict[str, PropertyValue]:
    """Return the properties of a node or relationship as ladybug gives it."""
    return RowDecoder(row, kinds).properties(list(row.values()))


def _decoded_map(value: Any) -> Any:
    """Decode JSON text to a map; what foreign Cypher has put there and is none stays as it is."""
    if not isinstance(value, str):
        return plain(value)
    try:
        decoded = decode_json(value)
    except ValueError:
        return value
    return decoded if isinstance(decoded, dict) else value


def plain(value: Any) -> Any:  # noqa: PLR0911 - one case a type
    """Return any value that ladybug can give as plain Python, datetimes aware in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def as_parameter(value: Any) -> Any:
    """Return a query parameter as ladybug wants it: datetimes naive in UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, list | tuple):
        return [as_parameter(item) for item in value]
    if isinstance(value, dict):
        return {key: as_parameter(item) for key, item in value.items()}
    return value


def rescan_to_json(types: frozenset[str] | None) -> str:
    """Return the outbox text of a rescan."""
    return json.dumps({"rescan": None if types is None else sorted(types)})


RESCAN_PREFIX = '{"rescan":'
"""No change event starts so: its first field is the event id."""
