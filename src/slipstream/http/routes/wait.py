"""Waiting until the index has what was written."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from slipstream.domain.positions import Position
from slipstream.http.models import Answer, At, Body, example
from slipstream.http.served import Pkg
from slipstream.http.waiting import WAIT_S_MAX, Waits


class Wait(Body):
    """What to wait for."""

    position: At
    timeout_s: float = Field(default=10.0, ge=0, le=WAIT_S_MAX, allow_inf_nan=False)
    model_config = example(position=42, timeout_s=10)


class Waited(Answer):
    """Whether the index has come so far."""

    reached: bool
    frontier: int = Field(description="The position that the index reflects")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["search"])

    @routes.post("/wait")
    async def wait_for_position(slipstream: Pkg, waits: Waits, asked: Wait) -> Waited:
        """
        Wait until searches find all that was committed up to a position.

        `reached` is false when time ran out. 503 when the engine can not come so far: it has halted, or does not run.
        """
        reached = await waits.wait(slipstream, Position(asked.position), asked.timeout_s)
        return Waited(reached=reached, frontier=slipstream.sync.engine.frontier)

    return routes
