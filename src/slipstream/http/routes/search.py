"""Search by meaning."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Response
from pydantic import Field

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Direction
from slipstream.domain.positions import Position
from slipstream.http.freshness import Freshness, freshness_of, tells_it_itself
from slipstream.http.models import Answer, At, Body, TypeName, example, told
from slipstream.http.served import Pkg
from slipstream.http.waiting import WAIT_S_MAX, Waits
from slipstream.search.hits import SearchHit, SearchResults
from slipstream.search.options import HOPS_MAX, K_MAX

TEXT_SIZE_MAX = 10_000
"""Characters of a text to search for."""
METADATA_MAX = 20
"""Conditions on metadata in one search."""
_INTEGER_MAX = 2**63 - 1

MetadataValue = (
    Annotated[str, Field(max_length=TEXT_SIZE_MAX)]
    | bool
    | Annotated[int, Field(ge=-_INTEGER_MAX, le=_INTEGER_MAX)]
    | Annotated[float, Field(allow_inf_nan=False)]
)


class Search(Body):
    """What to search for."""

    model_config = example(text="who works on compilers", k=5, entity_type="Person")

    text: str = Field(min_length=1, max_length=TEXT_SIZE_MAX, description="What to look for, in words")
    k: int = Field(default=10, ge=1, le=K_MAX, description="How many hits at most")
    entity_type: TypeName | None = Field(default=None, description="Only entities, or relationships, of this type")
    mode: Literal["vector"] = Field(default="vector", description="How to search; by vectors is the one way yet")
    after: At | None = Field(
        default=None, description="A position that the answer must reflect: it is waited for, up to `timeout_s`"
    )
    min_schema_version: int | None = Field(
        default=None,
        ge=1,
        le=_INTEGER_MAX,
        description="Only what was embedded by this schema version or a newer one",
    )
    expand: int = Field(default=0, ge=0, le=HOPS_MAX, description="Add the neighbours within so many hops")
    metadata: dict[TypeName, MetadataValue] | None = Field(
        default=None, max_length=METADATA_MAX, description="Values that the metadata of a hit must have"
    )
    timeout_s: float = Field(
        default=10.0, ge=0, le=WAIT_S_MAX, allow_inf_nan=False, description="For how long to wait for `after`"
    )


class NeighbourOfHit(Answer):
    """An entity reached from a hit."""

    entity_id: str
    entity_type: str
    name: str
    relationship_type: str
    direction: Direction
    hops: int


class Hit(Answer):
    """A live entity or relationship."""

    entity_id: str
    entity_type: str
    score: float = Field(description="Cosine similarity; scores of different models do not compare, the order does")
    name: str
    text: str = Field(description="What stands for it, and was embedded")
    model_id: str
    position: int = Field(description="The position of the graph at which its text was read")
    properties: dict[str, Any]
    neighbours: list[NeighbourOfHit]


class UnaskedModel(Answer):
    """A model that was not asked: what it embeds is not among the hits."""

    model_id: str
    types: list[str] = Field(description="The types that it embeds; empty for all that was asked for")
    reason: str


class Found(Answer):
    """Hits, best first, and how fresh they are."""

    hits: list[Hit]
    frontier: int = Field(description="The position of the graph that the answer reflects at least")
    lag_s: float = Field(description="The age of the oldest change that is not searchable yet, in seconds")
    degraded: list[str] = Field(
        description="What the answer lacks: `graph` (hits are not joined with it), `engine`, `vector:MODEL`"
    )
    unasked: list[UnaskedModel]


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["search"])

    @routes.post("/search")
    @tells_it_itself
    async def search(slipstream: Pkg, waits: Waits, asked: Search, response: Response) -> Found:
        """
        Return the live records nearest in meaning to a text.

        A record that is gone from the graph is never returned, however far the index lags. With `after`, the position
        that a write returned, the answer has that write, or is 503.
        """
        is_waiting = asked.after is not None and slipstream.sync.engine.frontier < asked.after
        found, freshness = await anyio.to_thread.run_sync(
            _answer, slipstream, asked, limiter=waits.limiter if is_waiting else waits.searching
        )
        response.headers.update(freshness.headers())
        return found

    return routes


def _answer(slipstream: Slipstream, asked: Search) -> tuple[Found, Freshness]:
    results = slipstream.search(
        asked.text,
        asked.k,
        entity_type=asked.entity_type,
        after=None if asked.after is None else Position(asked.after),
        min_schema_version=asked.min_schema_version,
        expand=asked.expand,
        metadata=asked.metadata,
        timeout_s=asked.timeout_s,
    )
    freshness = _freshness(slipstream, results)
    found = Found.model_construct(
        hits=[_hit(hit) for hit in results.hits],
        frontier=results.frontier,
        lag_s=freshness.lag_s,
        degraded=list(freshness.degraded),
        unasked=[
            UnaskedModel(model_id=model.model_id, types=list(model.types), reason=model.reason)
            for model in results.unasked
        ],
    )
    return found, freshness


def _freshness(slipstream: Slipstream, results: SearchResults) -> Freshness:
    now = freshness_of(slipstream)
    lacks = (*results.degraded, *now.degraded)
    return replace(now, frontier=results.frontier, degraded=tuple(dict.fromkeys(lacks)))


def _hit(hit: SearchHit) -> Hit:
    return Hit.model_construct(  # it comes from our own search: checking it again costs more than sending it
        entity_id=hit.entity_id,
        entity_type=hit.entity_type,
        score=hit.score,
        name=hit.name,
        text=hit.text,
        model_id=hit.model_id,
        position=hit.position,
        properties=told(hit.properties),
        neighbours=[
            NeighbourOfHit.model_construct(
                entity_id=near.entity_id,
                entity_type=near.entity_type,
                name=near.name,
                relationship_type=near.relationship_type,
                direction=near.direction,
                hops=near.hops,
            )
            for near in hit.neighbours
        ],
    )
