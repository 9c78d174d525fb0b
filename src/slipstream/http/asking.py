"""
What takes long, over HTTP: a durable request, waited for a little, then looked at by its number.

A server that is killed in the middle goes on with it at its next start.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from slipstream.app.remote.failures import raised_error
from slipstream.app.remote.operations import SERVER, Operation, operation_named
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import NotFoundError
from slipstream.http.models import Body
from slipstream.http.problems import Problem, problem_of
from slipstream.http.scopes import Scope, demand
from slipstream.http.served import PKG_NAME, Pkg
from slipstream.ports.requests import Request as Asked

T = TypeVar("T")

WAIT_MAX_S = 30.0
_PAUSE_S, _PAUSE_MAX_S = 0.01, 0.2


class Order(Body):
    """A body that says what is to be done: a number is a number in it, and a flag is a flag."""

    model_config = ConfigDict(strict=True)


WaitFor = Annotated[
    float, Field(ge=0, le=WAIT_MAX_S, allow_inf_nan=False, description="How long to wait before 202 is answered")
]
"""In a body, as `WaitS` is in a query."""
State = Literal["waiting", "working", "done", "failed"]
WaitS = Annotated[
    float, Query(ge=0, le=WAIT_MAX_S, allow_inf_nan=False, description="How long to wait before 202 is answered")
]


class RequestState(BaseModel):
    """How a request stands."""

    id: int
    operation: str
    state: State
    is_cancelled: bool = Field(description="Nobody waits for it any more: it ends as soon as it can")
    attempts: int = Field(description="How often it was begun: more than once when a process ended in the middle")
    asked_at: datetime
    progress: dict[str, Any] = Field(description="By callback how often it was called, and with what the last time")
    result: Any = Field(default=None, description="As the operation returns it")
    error: Problem | None = None


class Accepted(BaseModel):
    """Something was begun, and goes on: look at it under `Location`."""

    id: int = Field(description="Of the request: GET /v1/requests/{id}")
    state: State
    progress: dict[str, Any]


ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": Accepted, "description": "It goes on: GET /v1/requests/{id}, see `Location`"}
}
"""Documents what `Asking.answer` may return."""


def state_of(asked: Asked) -> RequestState:
    """Return how a request stands, as it is told."""
    answer: Mapping[str, Any] = {} if asked.answer is None else json.loads(asked.answer)
    state: State = "working" if asked.attempts else "waiting"
    if answer:
        state = "failed" if "error" in answer else "done"
    return RequestState(
        id=asked.id,
        operation=asked.operation,
        state=state,
        is_cancelled=asked.is_cancelled,
        attempts=asked.attempts,
        asked_at=asked.asked_at,
        progress=json.loads(asked.progress or "{}"),
        result=answer.get("result"),
        error=_problem_in(answer),
    )


def _problem_in(answer: Mapping[str, Any]) -> Problem | None:
    if "error" not in answer:
        return None
    return Problem.model_validate_json(
        bytes(problem_of(raised_error(answer["error"]), {"error": answer["error"]}).body)
    )


def looked_at(slipstream: Slipstream, request_id: int) -> Asked:
    """Return a request as it stands; raises `NotFoundError` for one that was never made, or is forgotten."""
    found = slipstream.opened.requests.look(request_id)
    if found is None:
        raise NotFoundError(f"there is no request {request_id}: answered ones are kept for an hour")
    return found


def check_scope(request: Request, operation: Operation) -> None:
    """Refuse a bearer who may not ask for an operation; what only the server asks for needs admin to be given up."""
    name = Scope.ADMIN.name if operation.scope == SERVER else operation.scope.upper()
    demand(request, Scope[name])


class Asking:
    """Makes requests to the engine of a PKG, and answers with what becomes of them."""

    def __init__(self, request: Request, response: Response, slipstream: Pkg) -> None:
        self._request, self._response, self._slipstream = request, response, slipstream
        self._last: Asked | None = None

    async def result(self, name: str, wait_s: float, **arguments: object) -> Any:
        """
        Ask for an operation, and return its result; or, after `wait_s`, the answer 202 with the request's number.

        Tell them apart by `isinstance(…, JSONResponse)`. Raises what the operation raises.
        """
        return await self.answered(await self.asked(name, **arguments), wait_s)

    async def asked(self, name: str, **arguments: object) -> int:
        """Ask for an operation, and return the number of the request."""
        return await run_sync(self._submit, operation_named(name), arguments)

    async def answered(self, request_id: int, wait_s: float) -> Any:
        """Return what `result` does, of a request that was made."""
        asked = self._last = await self.settled(request_id, wait_s)
        if asked.answer is None:
            return self.accepted(asked)
        answer = json.loads(asked.answer)
        if "error" in answer:
            raise raised_error(answer["error"])
        signature = operation_named(asked.operation).signature
        return await run_sync(signature.result, answer["result"], self._slipstream.audits)

    async def aside(self, call: Callable[..., T], *arguments: object) -> T:
        """Return what a blocking call returns, made in a thread."""
        return await run_sync(call, *arguments)

    def heard(self, callback: str) -> list[Any] | None:
        """Return what a callback of the last operation was called with the last time, None when it never was."""
        if self._last is None or self._last.progress is None:
            return None
        _, told = json.loads(self._last.progress).get(callback, (0, None))
        signature = operation_named(self._last.operation).signature
        return None if told is None else signature.heard(callback, told, self._slipstream.audits)

    def _submit(self, operation: Operation, arguments: Mapping[str, object]) -> int:
        listening = dict.fromkeys(operation.signature.callbacks, _heard)
        text, _ = operation.signature.arguments_as_json((), {**arguments, **listening})
        return self._slipstream.opened.requests.submit(operation.name, text, self._slipstream.clock.now())

    async def settled(self, request_id: int, wait_s: float) -> Asked:
        """Return a request once it is answered, or as it stands after `wait_s`, or when the server ends."""
        deadline, pause_s = anyio.current_time() + wait_s, _PAUSE_S
        while True:
            found = await run_sync(looked_at, self._slipstream, request_id)
            left_s = deadline - anyio.current_time()
            if found.answer is not None or left_s <= 0 or self._is_stopping:
                return found
            await anyio.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * math.sqrt(2), _PAUSE_MAX_S)

    @property
    def _is_stopping(self) -> bool:
        return bool(self._request.app.state.stopping.is_set)

    def accepted(self, asked: Asked) -> JSONResponse:
        """Return the answer that a request goes on, with its place."""
        state = state_of(asked)
        body = Accepted(id=state.id, state=state.state, progress=state.progress)
        headers = {**self._response.headers, "Location": self.place(asked.id)}
        return JSONResponse(body.model_dump(mode="json"), 202, headers)

    def place(self, request_id: int) -> str:
        """Return where a request is looked at."""
        scope = self._request.scope
        named = f"/pkgs/{scope[PKG_NAME]}" if PKG_NAME in scope else ""
        return f"{scope.get('root_path') or named}/v1/requests/{request_id}"


def _heard(*args: object) -> None:
    """Never called: its name alone is sent, so that progress is told."""


Asks = Annotated[Asking, Depends(Asking)]
"""In a handler: what asks the engine of its PKG for something that takes long."""
