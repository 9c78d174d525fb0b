"""How a graph's schema grows: types and properties that a mutation brings first make a new version. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from slipstream.adapters.graphs.values import check_type_name
from slipstream.domain.entities import PropertyValue
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.schema import GraphSchema, PropertyTypes


def kind_of(value: PropertyValue) -> str:
    """Return the schema's type name for a checked value."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "boolean"),
        (str, "string"),
        (int, "integer"),
        (float, "float"),
        (datetime, "datetime"),
        (list, "list"),
    )
    return next((kind for python_type, kind in kinds if isinstance(value, python_type)), "map")


class SchemaDraft:
    """What a transaction adds to the schema; a refused admission changes nothing."""

    def __init__(self, base: GraphSchema) -> None:
        self.base = base
        self.entity_types: dict[str, dict[str, str]] = {}
        self.relationship_types: dict[str, dict[str, str]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not (self.entity_types or self.relationship_types)

    def knows_entity(self, name: str, properties: Mapping[str, PropertyValue]) -> bool:
        """Whether an entity brings no new type or property."""
        return _knows(self.base.entity_types, self.entity_types, name, properties)

    def knows_relationship(self, name: str, properties: Mapping[str, PropertyValue]) -> bool:
        """Whether a relationship brings no new type or property."""
        return _knows(self.base.relationship_types, self.relationship_types, name, properties)

    def admit_entity(self, name: str, properties: Mapping[str, PropertyValue]) -> bool:
        """Add what an entity brings; return whether any was new, or raise `InvalidInputError` for a bad name."""
        base = self.base
        taken = name in base.relationship_types or name in self.relationship_types
        return self._admit(base.entity_types, self.entity_types, name, properties, "entity_type", taken=taken)

    def admit_relationship(self, name: str, properties: Mapping[str, PropertyValue]) -> bool:
        """Add what a relationship brings; return whether any was new, or raise `InvalidInputError` for a bad name."""
        base = self.base
        taken = name in base.entity_types or name in self.entity_types
        return self._admit(
            base.relationship_types, self.relationship_types, name, properties, "relationship_type", taken=taken
        )

    def extend(
        self, entity_types: Mapping[str, PropertyTypes], relationship_types: Mapping[str, PropertyTypes]
    ) -> bool:
        """Add types and properties, even unused ones; returns whether any is new."""
        entities = (self.base.entity_types, self.entity_types)
        relationships = (self.base.relationship_types, self.relationship_types)
        grew = [self._take_in(*entities, name, kinds, relationships) for name, kinds in entity_types.items()]
        grew += [self._take_in(*relationships, name, kinds, entities) for name, kinds in relationship_types.items()]
        return any(grew)

    @staticmethod
    def _take_in(
        known: Mapping[str, PropertyTypes],
        added: dict[str, dict[str, str]],
        name: str,
        kinds: PropertyTypes,
        others: tuple[Mapping[str, PropertyTypes], Mapping[str, PropertyTypes]],
    ) -> bool:
        is_new = name not in known and name not in added
        if is_new:
            check_type_name(name, "type")
            if any(name in each for each in others):
                raise InvalidInputError(
                    f"{name!r} names both entities and relationships: choose different names", field="type"
                )
        present = known.get(name, {}).keys() | added.get(name, {}).keys()
        new = {prop: kind for prop, kind in kinds.items() if prop not in present}
        if new or is_new:
            added.setdefault(name, {}).update(new)
        return bool(new or is_new)

    @staticmethod
    def _admit(
        known: Mapping[str, PropertyTypes],
        added: dict[str, dict[str, str]],
        name: str,
        properties: Mapping[str, PropertyValue],
        field: str,
        *,
        taken: bool,
    ) -> bool:
        declared, fresh = known.get(name), added.get(name)
        if declared is None and fresh is None:
            check_type_name(name, field)
            if taken:
                raise InvalidInputError(
                    f"{name!r} names both entities and relationships: choose different names", field=field
                )
        new = {
            prop: kind_of(value)
            for prop, value in properties.items()
            if (declared is None or prop not in declared) and (fresh is None or prop not in fresh)
        }
        if not new and (declared is not None or fresh is not None):
            return False
        added.setdefault(name, {}).update(new)
        return True

    def finish(self, created_at: datetime) -> GraphSchema | None:
        """Return the next version, None when nothing was added."""
        if self.is_empty:
            return None
        return extended(self.base, self.entity_types, self.relationship_types, created_at)


def _knows(
    known: Mapping[str, PropertyTypes],
    added: Mapping[str, PropertyTypes],
    name: str,
    properties: Mapping[str, PropertyValue],
) -> bool:
    declared, fresh = known.get(name), added.get(name)
    if declared is None and fresh is None:
        return False
    return all(prop in (declared or ()) or prop in (fresh or ()) for prop in properties)


def extended(
    base: GraphSchema,
    entity_types: Mapping[str, PropertyTypes],
    relationship_types: Mapping[str, PropertyTypes],
    created_at: datetime,
    reason: str | None = None,
) -> GraphSchema:
    """Return the version after `base` that adds these types and properties."""
    version, changed = base.version + 1, [*entity_types, *relationship_types]
    return replace(
        base,
        version=version,
        entity_types=_with(base.entity_types, entity_types),
        relationship_types=_with(base.relationship_types, relationship_types),
        created_at=created_at,
        reason=evolution_reason(changed) if reason is None else reason,
        type_versions={**base.type_versions, **dict.fromkeys(changed, version)},
    )


def evolution_reason(changed: Iterable[str]) -> str:
    """Return why there is a new version, given the types that it changes."""
    return f"new types or properties in {', '.join(sorted(changed))}"


def _with(base: Mapping[str, PropertyTypes], added: Mapping[str, PropertyTypes]) -> dict[str, PropertyTypes]:
    return {**base, **{name: {**base.get(name, {}), **types} for name, types in added.items()}}


def evolution_data(old: GraphSchema, new: GraphSchema) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return old and new data of the schema event between two versions."""
    return _told(old), {**_told(new), "old_version": old.version, "new_version": new.version}


def _told(schema: GraphSchema) -> dict[str, Any]:
    return {
        "version": schema.version,
        "hash": schema.hash,
        "entity_types": _types_as_json(schema.entity_types),
        "relationship_types": _types_as_json(schema.relationship_types),
    }


def _types_as_json(types: Mapping[str, PropertyTypes]) -> dict[str, dict[str, str]]:
    return {name: dict(properties) for name, properties in types.items()}
