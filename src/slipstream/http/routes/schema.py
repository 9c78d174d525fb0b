"""The schema of the graph, version by version."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from slipstream.domain.errors import NotFoundError
from slipstream.domain.schema import GraphSchema
from slipstream.http.models import Answer
from slipstream.http.served import Pkg

Types = Annotated[
    dict[str, dict[str, str]],
    Field(description="By name: its properties, each string, integer, float, boolean, datetime, list or map"),
]


class Schema(Answer):
    """One version of a graph's schema."""

    version: int
    hash: str = Field(description="Of the types and properties, independent of number and time")
    created_at: datetime | None
    reason: str
    entity_types: Types
    relationship_types: Types
    type_versions: dict[str, int] = Field(description="The version in which each type last changed")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["schema"])

    @routes.get("/schema")
    def get_schema(slipstream: Pkg) -> Schema:
        """Return the types and properties of everything in the graph."""
        return _answer(slipstream.pkg.schema())

    @routes.get("/schema/{version}")
    def get_schema_version(
        slipstream: Pkg, version: Annotated[int, Path(ge=1, le=2**62, description="From 1 on")]
    ) -> Schema:
        """Return an older version of the schema."""
        found = slipstream.pkg.schema_at(version)
        if found is None:
            raise NotFoundError(f"there is no schema version {version}: the current one has the highest number")
        return _answer(found)

    return routes


def _answer(schema: GraphSchema) -> Schema:
    return Schema(
        version=schema.version,
        hash=schema.hash,
        created_at=schema.created_at,
        reason=schema.reason,
        entity_types={name: dict(properties) for name, properties in schema.entity_types.items()},
        relationship_types={name: dict(properties) for name, properties in schema.relationship_types.items()},
        type_versions=dict(schema.type_versions),
    )
