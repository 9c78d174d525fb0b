"""
Graph dumps: rows as `apoc.export.json` writes them, and what an export of ours says beyond that.

A row's field `slipstream` holds what JSON, or APOC's form, can not: which values are times, and a relationship's own
key. A separate row, the head, says at which position everything was read, how much there is, and the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.events.formats.reader import Reader, load_json, shown

DEFAULT_TYPE = "Entity"
"""The type of a node without labels."""
OURS = "slipstream"
"""The type of the head, and the name of the field that only Slipstream reads."""
FORMAT = 1
KINDS = frozenset({"string", "integer", "float", "boolean", "datetime", "list", "map"})
"""Kinds of properties that a schema knows."""

Types = Mapping[str, Mapping[str, str]]
Path = Sequence[str | int]
"""Names and indexes that lead to a value inside of properties."""


@dataclass(frozen=True, slots=True)
class DumpNode:
    """
    One node of a dump; `row_id` is its name in this dump's relationships alone.

    `entity_id` is the property `id`, None for a node without one.
    """

    row_id: str
    entity_id: str | None
    entity_type: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DumpRelationship:
    """
    One relationship of a dump.

    `source_id` and `target_id` are the endpoints' entity ids where the row says them, None where it does not.
    `discriminator` tells it from others between the same endpoints: its key, or its property `id`; else None.
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
    discriminator: str | None = None

    @property
    def said_ends(self) -> tuple[tuple[str, str | None, str], tuple[str, str | None, str]]:
        """Row number, entity id and label of the source, and of the target, as the row says them."""
        return (
            (self.source_row_id, self.source_id, self.source_label),
            (self.target_row_id, self.target_id, self.target_label),
        )


@dataclass(frozen=True, slots=True)
class DumpHead:
    """The head of an export: how much follows, and what each version of the schema added, in order."""

    entities: int
    relationships: int
    schema: Sequence[tuple[Types, Types]] = ()
    """The entity types and relationship types that each version added."""


DumpRow = DumpNode | DumpRelationship


def parse_row(text: str, number: int, unit: str = "line") -> DumpRow | DumpHead:
    """Return the row in line (or row) `number`; raises `InvalidInputError` that names the line and the field."""
    prefix = f"{unit} {number}: "
    data = load_json(text, prefix)
    if not isinstance(data, dict):
        raise InvalidInputError(f"must be an object, got {shown(data)}", field=f"{prefix}row")
    row = Reader(data, prefix)
    match row.text("type"):
        case "node":
            return _node(row)
        case "relationship":
            return _relationship(row)
        case "slipstream":
            return _head(row)
        case other:
            raise row.refused("type", f"must be node or relationship, got {shown(other)}")


def _node(row: Reader) -> DumpNode:
    row_id = row.identity("id")
    return DumpNode(row_id, _own_id(row), _label(row), _properties(row))


def _relationship(row: Reader) -> DumpRelationship:
    row_id = row.identity("id")
    start, end = row.object("start"), row.object("end")
    ours = row.object_or_none(OURS)
    key = None if ours is None else ours.data.get("key")
    if not isinstance(key, str | None):
        raise row.refused(f"{OURS}.key", f"must be a text, got {shown(key)}")
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
        discriminator=_own_id(row) if key is None else key,
    )


def _own_id(row: Reader) -> str | None:
    if row.data.get("properties") is None:
        return None
    properties = row.object("properties")
    return properties.identity("id") if properties.has("id") else None


def _label(row: Reader) -> str:
    labels = row.texts("labels")
    return labels[0] if labels else DEFAULT_TYPE


def _properties(row: Reader) -> dict[str, Any]:
    properties = row.object_or_none("properties")
    if properties is None:
        return {}
    found = {name: value for name, value in properties.data.items() if name != "id" and value is not None}
    ours = row.object_or_none(OURS)
    for path in (ours.data.get("times") or ()) if ours is not None else ():
        _put_time(found, path, row)
    return found


def _put_time(properties: dict[str, Any], path: object, row: Reader) -> None:
    """Replace the text at a path by the time that it stands for."""
    holder: Any = properties
    try:
        if not isinstance(path, list):
            raise TypeError("it is not a list")  # noqa: TRY301  (told below, like what the steps raise)
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = Reader({"time": holder[path[-1]]}, f"{row.prefix}properties.").moment("time")
    except (LookupError, TypeError) as error:
        raise row.refused(f"{OURS}.times", f"{shown(path)} leads to no property") from error


# ---------------------------------------------------------------------- the head


def _head(row: Reader) -> DumpHead:
    if row.data.get("format") != FORMAT:
        raise row.refused("format", f"is {shown(row.data.get('format'))}, this version reads {FORMAT}: upgrade")
    versions = row.data["schema"] if row.has("schema") else []
    if not isinstance(versions, list) or not all(isinstance(version, dict) for version in versions):
        raise row.refused("schema", "must be an array of objects")
    steps = [Reader(version, f"{row.prefix}schema.") for version in versions]
    return DumpHead(
        _count(row, "entities"),
        _count(row, "relationships"),
        [(_types(step, "entity_types"), _types(step, "relationship_types")) for step in steps],
    )


def _count(row: Reader, name: str) -> int:
    count = row.data.get(name)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise row.refused(name, f"must be a count, got {shown(count)}")
    return count


def _types(step: Reader, name: str) -> Types:
    found = step.object_or_none(name)
    types = {} if found is None else found.data
    for kinds in types.values():
        if not isinstance(kinds, dict) or not all(isinstance(kind, str) and kind in KINDS for kind in kinds.values()):
            raise step.refused(name, f"must map types to properties with one of the kinds {', '.join(sorted(KINDS))}")
    return types


# ---------------------------------------------------------------------- writing


def plain_properties(properties: Mapping[str, Any]) -> tuple[dict[str, Any], list[list[str | int]]]:
    """Return properties as plain JSON with times as texts, and the paths to these texts."""
    times: list[list[str | int]] = []
    return {name: _plain(value, [name], times) for name, value in properties.items()}, times


def _plain(value: Any, path: list[str | int], times: list[list[str | int]]) -> Any:
    if isinstance(value, datetime):
        times.append(path)
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item, [*path, at], times) for at, item in enumerate(value)]
    if isinstance(value, dict):
        return {name: _plain(item, [*path, name], times) for name, item in value.items()}
    return value


def node_row(entity_id: str, entity_type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an entity."""
    plain, times = plain_properties(properties)
    row = {"type": "node", "id": entity_id, "labels": [entity_type], "properties": {"id": entity_id, **plain}}
    return {**row, OURS: {"times": times}} if times else row


def relationship_row(ref: RelationshipRef, types: tuple[str, str], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a relationship between entities of two types; its ends are named by their ids."""
    plain, times = plain_properties(properties)
    start, end = types
    return {
        "type": "relationship",
        "id": ref.id,
        "label": ref.type,
        "start": {"id": ref.source_id, "labels": [start]},
        "end": {"id": ref.target_id, "labels": [end]},
        "properties": plain,
        OURS: {"key": ref.discriminator, **({"times": times} if times else {})},
    }


def head_row(head: DumpHead, **also: Any) -> dict[str, Any]:
    """Return the head of an export; `also` is for people, and is never parsed."""
    schema = [{"entity_types": of_entities, "relationship_types": others} for of_entities, others in head.schema]
    return {
        "type": OURS,
        "format": FORMAT,
        **also,
        "entities": head.entities,
        "relationships": head.relationships,
        "schema": schema,
    }
