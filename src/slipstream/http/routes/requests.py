"""Durable requests: what takes long is asked for, looked at, and given up."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from slipstream.app.remote.operations import OPERATIONS, SERVER, operation_named
from slipstream.app.remote.serving_operations import SERVED
from slipstream.domain.errors import InvalidInputError
from slipstream.http.asking import Accepted, Asks, Order, RequestState, WaitS, check_scope, looked_at, state_of
from slipstream.http.served import Pkg

RequestId = Annotated[int, Path(ge=1, le=2**62)]


_ASKED: list[Any] = sorted(row.name for row in OPERATIONS.values() if row.scope != SERVER and row.name not in SERVED)
"""What is asked for directly is bounded there, in rows and in time."""


class NewRequest(Order):
    """An operation to be done, with what `Signature.arguments_as_json` makes of its arguments."""

    operation: str = Field(max_length=100, json_schema_extra={"enum": _ASKED})
    arguments: dict[str, Any] = Field(default_factory=dict)
    callbacks: list[Annotated[str, Field(max_length=100)]] = Field(
        default_factory=list, max_length=10, description="Callbacks whose progress is told"
    )


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["requests"])

    @routes.post("/requests", status_code=202)
    def make_request(request: Request, response: Response, slipstream: Pkg, asks: Asks, body: NewRequest) -> Accepted:
        """Ask for an operation. It is done even if the server is killed before: then after its next start."""
        if body.operation not in _ASKED:
            raise InvalidInputError(
                "is nothing that a client can ask for like this: see POST /v1/operations", field="operation"
            )
        operation = OPERATIONS[body.operation]
        check_scope(request, operation)
        operation.signature.decoded(body.arguments, slipstream.audits)  # wrong ones are told now
        text = json.dumps({"arguments": body.arguments, "callbacks": sorted(body.callbacks)})
        made = slipstream.opened.requests.submit(operation.name, text, slipstream.clock.now())
        response.headers["Location"] = asks.place(made)
        return Accepted(id=made, state="waiting", progress={})

    @routes.get("/requests/{request_id}")
    async def read_request(
        request: Request, slipstream: Pkg, asks: Asks, request_id: RequestId, wait_s: WaitS = 0.0
    ) -> RequestState:
        """
        Tell how a request stands; with `wait_s`, wait for its answer. Answers are kept for an hour.

        It needs the scope that asking for it needs: its result may hold what others may not see.
        """
        asked = await asks.aside(looked_at, slipstream, request_id)
        check_scope(request, operation_named(asked.operation))
        return state_of(await asks.settled(request_id, wait_s))

    @routes.delete("/requests/{request_id}")
    def cancel_request(request: Request, slipstream: Pkg, request_id: RequestId) -> RequestState:
        """Give up a request: it ends where it next tells progress, and what it did until then stays done."""
        operation = operation_named(looked_at(slipstream, request_id).operation)
        check_scope(request, operation)
        slipstream.opened.requests.cancel(request_id)
        return state_of(looked_at(slipstream, request_id))

    return routes
