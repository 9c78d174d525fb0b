"""How a graph's schema grows: new types and properties, seen first in a mutation, become a new version. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from slipstream.adapters.graphs.values import check_type_name
from slipstream.domain.entities import PropertyValue
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.schema import GraphSchema, PropertyTypes
from slipstream.ports.sync_states import SYNC_VIEW

_EXACT_IN_FLOAT = 2**53


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
    """The schema that a transaction will leave behind; a refused admission changes nothing."""

    def __init__(self, base: GraphSchema) -> None:
        self.base = base
        self._entities = {name: dict(types) for name, types in base.entity_types.items()}
        self._relationships = {name: dict(types) for name, types in base.relationship_types.items()}
        self._folded = {name.casefold(): name for name in (*self._entities, *self._relationships)}
        self._changed: set[str] = set()

    def admit_entity(self, name: str, properties: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
        """Make room for an entity and return its properties as they will be read back."""
        return self._admit(self._entities, name, properties, "entity_type")

    def admit_relationship(self, name: str, properties: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
        """Make room for a relationship and return its properties as they will be read back."""
        return self._admit(self._relationships, name, properties, "relationship_type")

    def _admit(
        self, types: dict[str, dict[str, str]], name: str, properties: Mapping[str, PropertyValue], field: str
    ) -> dict[str, PropertyValue]:
        known = types.get(name)
        if known is None:
            self._check_new_type(name, field)
        declared = known or {}
        added = {prop: kind_of(value) for prop, value in properties.items() if prop not in declared}
        if added:
            _check_new_properties(name, declared, added)
        if known is None or added:
            types.setdefault(name, {}).update(added)
            self._folded[name.casefold()] = name
            self._changed.add(name)
        declared = types[name]
        return {prop: _widened(declared[prop], value) for prop, value in properties.items()}

    def _check_new_type(self, name: str, field: str) -> None:
        check_type_name(name, field)
        if name.casefold() == SYNC_VIEW.casefold():
            raise InvalidInputError(f"{name!r} is the name of the engine's sync view: choose another", field=field)
        taken = self._folded.get(name.casefold())
        if taken == name:
            raise InvalidInputError(
                f"{name!r} names both entities and relationships: choose different names", field=field
            )
        if taken is not None:
            raise InvalidInputError(
                f"{name!r} differs from the type {taken!r} only in case: use one form", field=field
            )

    def finish(self, created_at: datetime) -> GraphSchema | None:
        """Return the next version, None when nothing was added."""
        if not self._changed:
            return None
        version = self.base.version + 1
        return replace(
            self.base,
            version=version,
            entity_types=self._entities,
            relationship_types=self._relationships,
            created_at=created_at,
            reason=f"new types or properties in {', '.join(sorted(self._changed))}",
            type_versions={**self.base.type_versions, **dict.fromkeys(self._changed, version)},
        )


def _check_new_properties(type_name: str, declared: Mapping[str, str], added: Iterable[str]) -> None:
    folded = {prop.casefold(): prop for prop in declared}
    for prop in added:
        taken = folded.setdefault(prop.casefold(), prop)
        if taken != prop:
            raise InvalidInputError(
                f"differs from the property {taken!r} of {type_name!r} only in case: use one form", field=prop
            )


def _widened(kind: str, value: PropertyValue) -> PropertyValue:
    """Return an integer as float where the schema says float and nothing is lost by it."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind == "float" and whole and abs(value) <= _EXACT_IN_FLOAT:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    return value


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


def schema_to_json(schema: GraphSchema) -> str:
    """Return a schema version as JSON text."""
    return json.dumps(
        {
            "version": schema.version,
            "entity_types": _types_as_json(schema.entity_types),
            "relationship_types": _types_as_json(schema.relationship_types),
            "created_at": schema.created_at.isoformat() if schema.created_at else None,
            "reason": schema.reason,
            "type_versions": dict(schema.type_versions),
        }
    )


def schema_from_json(text: str) -> GraphSchema:
    """Return the schema version that `schema_to_json` was given."""
    data = json.loads(text)
    created_at = data.pop("created_at")
    return GraphSchema(**data, created_at=datetime.fromisoformat(created_at) if created_at else None)
