"""The views in force: which text stands for what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Direction
from slipstream.domain.errors import ConfigError
from slipstream.http.models import Answer
from slipstream.http.served import Pkg
from slipstream.views.declaration import Chain, Via, View


class Step(Answer):
    """What leads from a record to others that its text shows."""

    name: str = Field(description="The template's name for them")
    relationship_type: str
    direction: Direction
    depth: int
    limit: int
    properties: list[str] = Field(description="Of the others, those that the text can show")


class ViewAnswer(Answer):
    """The rule for one type."""

    type: str
    kind: Literal["entity", "relationship"]
    is_declared: bool = Field(description="Whether slipstream.toml declares it; else it is the default view")
    template: str | None = Field(description="Null for the default text")
    template_version: str
    model: str | None = Field(description="The model that embeds it; null when that is not known")
    generation: int | None
    properties: list[str] = Field(description="The record's own properties that its text depends on")
    all_text: bool = Field(description="Whether every property that is text shows too")
    all_properties: bool
    steps: list[Step]
    metadata: list[str] = Field(description="Properties that are kept with the vector for filtering")
    is_temporal: bool = Field(description="Whether time and causes are embedded with the text")


class Views(Answer):
    """The views of the live generation."""

    items: list[ViewAnswer]


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["schema"])

    @routes.get("/views")
    def list_views(slipstream: Pkg) -> Views:
        """List the views in force, declared ones and those of the types that the graph has."""
        return Views(items=list(_views(slipstream)))

    return routes


def _views(slipstream: Slipstream) -> Iterator[ViewAnswer]:
    views = slipstream.views
    declared = {(view.type, view.is_relationship) for view in views.views}
    known = {(name, False) for name in slipstream.pkg.schema().entity_types}
    for name, is_relationship in sorted(declared | known):
        view = views.view_for(name, is_relationship=is_relationship)
        reads = views.dependencies(name, is_relationship=is_relationship)
        if view is None or reads is None:
            continue
        yield ViewAnswer(
            type=name,
            kind="relationship" if is_relationship else "entity",
            is_declared=(name, is_relationship) in declared,
            template=view.template,
            template_version=reads.template_version,
            **_place(slipstream, name),
            properties=list(reads.properties),
            all_text=reads.all_text,
            all_properties=reads.all_properties,
            steps=list(_steps(view)),
            metadata=list(view.metadata),
            is_temporal=reads.is_temporal,
        )


def _place(slipstream: Slipstream, type_name: str) -> dict[str, Any]:
    try:
        space = slipstream.recipes.pair.live.space_of(type_name)
    except ConfigError:  # its model is not set up here; everything else of the view can be told
        return {"model": None, "generation": None}
    return {"model": space.model_id, "generation": space.generation}


def _steps(view: View) -> Iterator[Step]:
    chains = {"causes": view.causes, "sequence": view.sequence}
    named: dict[str, Via | Chain] = {**view.via, **{name: chain for name, chain in chains.items() if chain}}
    for name, step in named.items():
        yield Step(
            name=name,
            relationship_type=step.relationship_type,
            direction=step.direction,
            depth=step.hop.depth,
            limit=step.limit,
            properties=list(step.properties),
        )
