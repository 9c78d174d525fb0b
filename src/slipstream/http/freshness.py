"""How fresh an answer is: its frontier, how far that is behind, and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Depends, Response

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.positions import Position
from slipstream.http.served import Pkg

GRAPH = "graph"
"""Degraded so: hits are not joined with the graph, which does not belong to the index."""
ENGINE = "engine"
"""Degraded so: the engine has halted, or does not run."""


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
    return Freshness(sync.engine.frontier, 0.0 if incident is not None else sync.lag_s(), tuple(degraded))


def degraded_models(models: Sequence[str]) -> tuple[str, ...]:
    """Return how an answer tells that some models were not asked."""
    return tuple(f"vector:{model_id}" for model_id in models)


def _tell(slipstream: Pkg, response: Response) -> None:
    try:
        response.headers.update(freshness_of(slipstream).headers())
    except SlipstreamError:  # the log does not answer now; the answer itself may be had all the same
        response.headers["Slipstream-Degraded"] = ENGINE


TELLS_FRESHNESS = Depends(_tell)
"""A dependency that puts the freshness into the headers of an answer."""
