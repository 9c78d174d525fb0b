"""What differs between two schema versions, and which records' text it can change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.schema import GraphSchema, PropertyTypes

_TEXTUAL = ("string", "list")


@dataclass(frozen=True, slots=True)
class PropertyChanges:
    """What became of the properties of one type."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    """Declared with another type than before: values may have been converted."""

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.added, *self.removed, *self.retyped))

    @property
    def silent(self) -> frozenset[str]:
        """Those that change texts although no entity changes; an added value has an event of its own."""
        return frozenset((*self.removed, *self.retyped))

    def __bool__(self) -> bool:
        return bool(self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChanges:
    """
    What differs between two schema versions; names in alphabetical order.

    `views_affected` are the types of records whose text can differ. `views_stale` are those of them that can be stale
    though no entity has changed: something that they show was removed, or was given another type.
    """

    old_version: int
    new_version: int
    new_entity_types: tuple[str, ...] = ()
    removed_entity_types: tuple[str, ...] = ()
    new_relationship_types: tuple[str, ...] = ()
    removed_relationship_types: tuple[str, ...] = ()
    changed_properties: Mapping[str, PropertyChanges] = field(default_factory=dict)
    views_affected: tuple[str, ...] = ()
    views_stale: tuple[str, ...] = ()

    @property
    def removed_types(self) -> tuple[str, ...]:
        """Types whose records have to go."""
        return (*self.removed_entity_types, *self.removed_relationship_types)

    @property
    def requires_reembedding(self) -> bool:
        """Whether any record's text can differ, or any record has to go."""
        return bool(self.views_affected or self.removed_types)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as `ReembeddingService.detect_schema_changes` does."""
        names = (
            *("old_version", "new_version", "new_entity_types", "removed_entity_types"),
            *("new_relationship_types", "removed_relationship_types"),
        )
        found: dict[str, Any] = {name: getattr(self, name) for name in names}
        found["changed_properties"] = {
            name: {"added": list(change.added), "removed": list(change.removed), "retyped": list(change.retyped)}
            for name, change in self.changed_properties.items()
        }
        found["views_affected"], found["views_stale"] = self.views_affected, self.views_stale
        found["requires_reembedding"] = self.requires_reembedding
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


class Shown(Protocol):
    """What the views in force tell about a type."""

    def types_showing(
        self, type_name: str, properties: PropertyTypes | None, *, is_relationship: bool = False
    ) -> frozenset[str]:
        """Return the types of the records whose text can hold one of these properties (None: any) of a type."""
        ...


def schema_changes(old: GraphSchema, new: GraphSchema, views: Shown) -> SchemaChanges:
    """Compare two schema versions, in the light of some views."""
    entities = _differing(old.entity_types, new.entity_types)
    relationships = _differing(old.relationship_types, new.relationship_types)
    new_entities, removed_entities = _gained_and_lost(old.entity_types, new.entity_types)
    new_relationships, removed_relationships = _gained_and_lost(old.relationship_types, new.relationship_types)
    affected: set[str] = set()
    stale: set[str] = set()
    for changes, before, after, is_relationship in (
        (entities, old.entity_types, new.entity_types, False),
        (relationships, old.relationship_types, new.relationship_types, True),
    ):
        for name, change in changes.items():
            for names, found in ((change.names, affected), (change.silent, stale)):
                shown = {prop: _wider(before[name].get(prop), after[name].get(prop)) for prop in names}
                found.update(views.types_showing(name, shown, is_relationship=is_relationship))
    for name in removed_entities:
        stale |= views.types_showing(name, None)
    for name in removed_relationships:
        stale |= views.types_showing(name, None, is_relationship=True)
    for name in new_relationships:
        affected |= views.types_showing(name, None, is_relationship=True)
    # New types have no records yet, and the records of removed types have to go: neither is compared.
    outside = {*new_entities, *removed_entities, *new_relationships, *removed_relationships}
    return SchemaChanges(
        old_version=old.version,
        new_version=new.version,
        new_entity_types=new_entities,
        removed_entity_types=removed_entities,
        new_relationship_types=new_relationships,
        removed_relationship_types=removed_relationships,
        changed_properties=dict(sorted({**entities, **relationships}.items())),
        views_affected=tuple(sorted((affected | stale) - outside)),
        views_stale=tuple(sorted(stale - outside)),
    )


def _wider(before: str | None, after: str | None) -> str:
    """Return the textual one of two property types, if any: what was or becomes text can show in a default text."""
    return next((kind for kind in (before, after) if kind in _TEXTUAL), after or before or "")


def _gained_and_lost(
    old: Mapping[str, PropertyTypes], new: Mapping[str, PropertyTypes]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(sorted(new.keys() - old.keys())), tuple(sorted(old.keys() - new.keys()))


def _differing(old: Mapping[str, PropertyTypes], new: Mapping[str, PropertyTypes]) -> dict[str, PropertyChanges]:
    found = {name: _property_changes(old[name], new[name]) for name in sorted(old.keys() & new.keys())}
    return {name: change for name, change in found.items() if change}


def _property_changes(old: PropertyTypes, new: PropertyTypes) -> PropertyChanges:
    return PropertyChanges(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        retyped=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
    )


def changes_told(event: PKGEvent, schema_at: Callable[[int], GraphSchema | None], views: Shown) -> SchemaChanges:
    """
    Return what a schema evolution changes: by its event, or, where that only tells versions, by `schema_at`.

    Raises `InvalidInputError` when neither knows the types.
    """
    old, new = event.old_data or {}, event.new_data or {}
    newer = _told(new, new.get("new_version", event.schema_version), schema_at, "new_data")
    older = _told(old, old.get("version", new.get("old_version", newer.version - 1)), schema_at, "old_data")
    return schema_changes(older, newer, views)


def _told(
    data: Mapping[str, Any], version: object, schema_at: Callable[[int], GraphSchema | None], field_name: str
) -> GraphSchema:
    if "entity_types" in data or "relationship_types" in data:
        return schema_from_data({"version": version, **data})
    known = schema_at(version) if isinstance(version, int) and version >= 1 else None
    if known is None:
        raise InvalidInputError(
            f"does not tell entity_types, and schema version {version!r} is not known here: tell them",
            field=field_name,
        )
    return known


def schema_from_data(data: Mapping[str, Any]) -> GraphSchema:
    """
    Return the schema that an event's `old_data` or `new_data` tells: `version`, `entity_types`, `relationship_types`.

    Types are mappings of a property's name to its type; a list of names stands for types without known properties.
    Raises `InvalidInputError` that names the field.
    """
    number = data.get("version")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidInputError(f"must be a whole number of at least 1, not {number!r}", field="version")
    return GraphSchema(
        version=number,
        entity_types=_types(data.get("entity_types"), "entity_types"),
        relationship_types=_types(data.get("relationship_types"), "relationship_types"),
        reason=str(data.get("reason") or ""),
    )


def data_of(schema: GraphSchema) -> dict[str, Any]:
    """Return what `schema_from_data` reads."""
    return {
        "version": schema.version,
        "entity_types": {name: dict(properties) for name, properties in schema.entity_types.items()},
        "relationship_types": {name: dict(properties) for name, properties in schema.relationship_types.items()},
        "reason": schema.reason,
    }


def _types(value: object, field_name: str) -> dict[str, dict[str, str]]:
    if value is None:
        return {}
    if isinstance(value, list | tuple):
        value = {name: {} for name in value}
    if not isinstance(value, Mapping):
        raise InvalidInputError("must be a mapping of type names to their properties", field=field_name)
    return {str(name): _properties(properties, f"{field_name}.{name}") for name, properties in value.items()}


def _properties(value: object, field_name: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(kind, str) for kind in value.values()):
        raise InvalidInputError("must be a mapping of property names to type names", field=field_name)
    return {str(name): kind for name, kind in value.items()}
