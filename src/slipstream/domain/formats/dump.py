"""Graph dumps: JSON lines as `apoc.export.json` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.formats.reader import Reader, load_json, shown

DEFAULT_TYPE = "Entity"
"""The type of a node without labels."""


@dataclass(frozen=True, slots=True)
class DumpNode:
    """One node of a dump; `row_id` is what the dump's relationships call it."""

    row_id: str
    entity_id: str
    entity_type: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DumpRelationship:
    """
    One relationship of a dump.

    `source_id` and `target_id` are the endpoints' entity ids where the row says them, None where it does not.
    `discriminator` tells it from others between the same endpoints.
    """

    row_id: str
    type: str
    source_row_id: str
    target_row_id: str
    source_id: str | None
    target_id: str | None
    source_label: str
    target_label: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    discriminator: str = ""


def parse_row(line: str, line_number: int) -> DumpNode | DumpRelationship:
    """Return the row of one line; raises `InvalidInputError` that names the line and the field."""
    prefix = f"line {line_number}: "
    data = load_json(line, prefix)
    if not isinstance(data, dict):
        raise InvalidInputError(f"must be an object, got {shown(data)}", field=f"{prefix}row")
    row = Reader(data, prefix)
    match row.text("type"):
        case "node":
            return _node(row)
        case "relationship":
            return _relationship(row)
        case other:
            raise row.refused("type", f"must be node or relationship, got {shown(other)}")


def _node(row: Reader) -> DumpNode:
    row_id = row.identity("id")
    return DumpNode(row_id, _own_id(row) or row_id, _label(row), _properties(row))


def _relationship(row: Reader) -> DumpRelationship:
    row_id = row.identity("id")
    start, end = row.object("start"), row.object("end")
    return DumpRelationship(
        row_id=row_id,
        type=row.text("label"),
        source_row_id=start.identity("id"),
        target_row_id=end.identity("id"),
        source_id=_own_id(start),
        target_id=_own_id(end),
        source_label=_label(start),
        target_label=_label(end),
        properties=_properties(row),
        discriminator=_own_id(row) or row_id,
    )


def _own_id(row: Reader) -> str | None:
    properties = row.object_or_none("properties")
    return properties.identity("id") if properties is not None and properties.has("id") else None


def _label(row: Reader) -> str:
    return next(iter(row.texts("labels")), DEFAULT_TYPE)


def _properties(row: Reader) -> dict[str, Any]:
    properties = row.object_or_none("properties")
    if properties is None:
        return {}
    return {name: value for name, value in properties.data.items() if name != "id" and value is not None}
