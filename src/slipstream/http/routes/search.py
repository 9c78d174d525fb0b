"""Search by name, words and meaning."""

from __future__ import annotations

from dataclasses import replace

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Response

from slipstream.app.slipstream import Slipstream
from slipstream.http.freshness import Freshness, freshness_of, tells_it_itself
from slipstream.http.searching import (
    AskedWhyNot,
    Found,
    Narrowed,
    Search,
    UnaskedModel,
    WhyNotFound,
    hit_told,
    search_explained,
    why_not_told,
)
from slipstream.http.served import Pkg
from slipstream.http.waiting import Waiting, Waits
from slipstream.search.hits import SearchResults


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["search"])

    @routes.post("/search")
    @tells_it_itself
    async def search(slipstream: Pkg, waits: Waits, asked: Search, response: Response) -> Found:
        """
        Return the live records that fit a text best, by name, words and meaning.

        A record that is gone from the graph is never returned, however far the index lags. With `after`, the position
        that a write returned, the answer has that write, or is 503. A model that is down costs what only it finds:
        names and words still answer, and `degraded` says `vector`.
        """
        found, freshness = await anyio.to_thread.run_sync(
            _answer, slipstream, asked, limiter=_room(slipstream, waits, asked)
        )
        response.headers.update(freshness.headers())
        return found

    @routes.post("/why-not")
    async def why_not(slipstream: Pkg, waits: Waits, asked: AskedWhyNot) -> WhyNotFound:
        """
        Tell why a record is not among the hits of a search, or that it is.

        It is deleted, or was never there; a filter leaves it out; its rank is behind the last hit; its newest text is
        not embedded yet, or its words not searchable; it has none of the words; or it is a dead letter.
        """
        return await anyio.to_thread.run_sync(_why_not, slipstream, asked, limiter=_room(slipstream, waits, asked))

    return routes


def _room(slipstream: Slipstream, waits: Waiting, asked: Narrowed) -> CapacityLimiter:
    """Return where a search runs: one that waits for its position must not hold up those that compute."""
    is_waiting = asked.after is not None and slipstream.sync.engine.frontier < asked.after
    return waits.limiter if is_waiting else waits.searching


def _answer(slipstream: Slipstream, asked: Search) -> tuple[Found, Freshness]:
    results = slipstream.search(asked.text, asked.k, **asked.arguments())
    freshness = _freshness(slipstream, results)
    found = Found.model_construct(
        hits=[hit_told(hit) for hit in results.hits],
        frontier=results.frontier,
        frontiers={arm: int(frontier) for arm, frontier in results.frontiers.items()},
        lag_s=freshness.lag_s,
        degraded=list(freshness.degraded),
        unasked=[
            UnaskedModel(model_id=model.model_id, types=list(model.types), reason=model.reason)
            for model in results.unasked
        ],
        explanation=search_explained(results.explanation),
    )
    return found, freshness


def _freshness(slipstream: Slipstream, results: SearchResults) -> Freshness:
    now = freshness_of(slipstream)
    lacks = (*results.degraded, *now.degraded)
    return replace(now, frontier=results.frontier, degraded=tuple(dict.fromkeys(lacks)))


def _why_not(slipstream: Slipstream, asked: AskedWhyNot) -> WhyNotFound:
    return why_not_told(slipstream.why_not(asked.text, asked.entity_id, asked.k, **asked.arguments()))
