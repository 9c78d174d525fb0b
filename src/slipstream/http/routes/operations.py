"""The calls of the Python client: a row of the tables of operations, performed at once."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from slipstream.app.remote.failures import told_error
from slipstream.app.remote.jobs import ANSWER_BYTES_MAX
from slipstream.app.remote.operations import Operation
from slipstream.app.remote.serving_operations import operation_served
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import QueryLimitError, SlipstreamError
from slipstream.http.asking import check_scope
from slipstream.http.models import Body
from slipstream.http.problems import problem_of
from slipstream.http.served import Pkg


class Call(Body):
    """The arguments of one call, as the client's `Signature.arguments_as_json` makes them."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    callbacks: list[str] = Field(default_factory=list, description="Ignored: short calls tell no progress")


class Returned(BaseModel):
    """What the call returned, as plain data."""

    result: Any


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operations"])

    @routes.post("/operations/{name}", response_model=Returned)
    def perform_operation(
        request: Request, slipstream: Pkg, call: Call, name: str = Path(max_length=100)
    ) -> Returned | JSONResponse:
        """Perform an operation that takes a moment. A problem has a member `error`, to raise it again from."""
        try:
            operation = operation_served(name)
            check_scope(request, operation)
            return Returned(result=_performed(slipstream, operation, call))
        except SlipstreamError as error:
            return problem_of(error, {"error": told_error(error)})

    return routes


def _performed(slipstream: Slipstream, operation: Operation, call: Call) -> Any:
    if operation.is_value:
        return operation.signature.result_as_data(operation.perform(slipstream))
    arguments = operation.signature.decoded(call.arguments, slipstream.audits)
    result = operation.signature.result_as_data(operation.perform(slipstream, **arguments))
    size_bytes = len(json.dumps(result))
    if size_bytes > ANSWER_BYTES_MAX:
        raise QueryLimitError(
            f"{operation.name}: the answer takes {size_bytes:,} bytes, at most {ANSWER_BYTES_MAX:,} are sent: "
            "ask for less"
        )
    return result
