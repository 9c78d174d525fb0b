"""What is around an entity."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from slipstream.app.browsing import NeighbourRow
from slipstream.domain.entities import Direction
from slipstream.http.models import Answer, Id, TypeName, told
from slipstream.http.paging import After, Limit
from slipstream.http.served import Pkg


class Neighbour(Answer):
    """One relationship of an entity, and what is at its other end."""

    relationship_id: str
    relationship_type: str
    direction: Direction = Field(description="`out`: the entity that was asked about is its source")
    entity_id: str
    entity_type: str
    name: str
    properties: dict[str, Any] = Field(description="Of the relationship")


class NeighboursPage(Answer):
    """Some neighbours."""

    items: list[Neighbour]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["relationships"])

    @routes.get("/neighbours")
    def list_neighbours(
        slipstream: Pkg,
        entity_id: Annotated[Id, Query(alias="id", description="The entity in the middle")],
        relationship_type: Annotated[
            TypeName | None, Query(alias="type", description="Only relationships of this type")
        ] = None,
        direction: Annotated[Direction, Query(description="Only relationships of this direction")] = Direction.BOTH,
        after: After = None,
        limit: Limit = 100,
    ) -> NeighboursPage:
        """List the neighbours of an entity, incoming relationships first, by type and id."""
        page = slipstream.neighbours(
            entity_id, relationship_type=relationship_type, direction=direction, after=after, limit=limit
        )
        return NeighboursPage(items=[_answer(row) for row in page.items], next=page.next)

    return routes


def _answer(row: NeighbourRow) -> Neighbour:
    return Neighbour(
        relationship_id=row.relationship_id,
        relationship_type=row.relationship_type,
        direction=row.direction,
        entity_id=row.entity_id,
        entity_type=row.entity_type,
        name=row.name,
        properties=told(row.properties),
    )
