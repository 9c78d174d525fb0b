"""How fresh an answer is: its frontier, how far that is behind, and what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakSet

import anyio.to_thread
from fastapi import Depends, Request, Response

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.positions import Position
from slipstream.http.served import Pkg

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_BY_THEMSELVES: WeakSet[Callable[..., Any]] = WeakSet()

GRAPH = "graph"
"""Degraded so: hits are not joined with the graph, which does not belong to the index."""
ENGINE = "engine"
"""Degraded so: the engine has halted, or does not run."""
OUTAGE = "outage"
"""Degraded so: the engine waits for a store or a model that does not answer, and the frontier with it."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the index reflected the graph at one moment."""

    frontier: Position
    lag_s: float
    degraded: tuple[str, ...] = ()

    def headers(self) -> dict[str, str]:
        """Return it as headers of an answer."""
        return {
            "Slipstream-Frontier": str(self.frontier),
            "Slipstream-Lag": f"{self.lag_s:.4f}",
            "Slipstream-Degraded": ", ".join(self.degraded),
        }


def freshness_of(slipstream: Slipstream) -> Freshness:
    """Return how fresh an answer of a PKG is now; the log is asked for its head, and nothing else is read."""
    sync, incident = slipstream.sync, slipstream.incident
    degraded = [GRAPH] if incident is not None else []
    if sync.engine.halted is not None or sync.dead is not None:
        degraded.append(ENGINE)
    elif sync.engine.outage is not None:
        degraded.append(OUTAGE)
    return Freshness(sync.engine.frontier, 0.0 if incident is not None else sync.lag_s(), tuple(degraded))


def tells_it_itself(endpoint: _Endpoint) -> _Endpoint:
    """Mark a handler that puts the freshness into its answer by itself, so that it is not asked for twice."""
    _BY_THEMSELVES.add(endpoint)
    return endpoint


async def _tell(request: Request, slipstream: Pkg, response: Response) -> None:
    if request.scope["route"].endpoint not in _BY_THEMSELVES:
        response.headers.update(await anyio.to_thread.run_sync(_headers, slipstream))


def _headers(slipstream: Slipstream) -> dict[str, str]:
    try:
        return freshness_of(slipstream).headers()
    except SlipstreamError:  # the log does not answer now; the answer itself may be had all the same
        return {"Slipstream-Degraded": ENGINE}


TELLS_FRESHNESS = Depends(_tell)
"""A dependency that puts the freshness into the headers of an answer."""
