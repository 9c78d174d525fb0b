"""The calls of the Python client: a row of the tables of operations, performed at once."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from slipstream.app.remote.failures import told_error
from slipstream.app.remote.jobs import ANSWER_BYTES_MAX
from slipstream.app.remote.operations import OPERATIONS, Operation
from slipstream.app.remote.serving_operations import SERVED
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError, NotFoundError, QueryLimitError, SlipstreamError
from slipstream.http.asking import Order, check_scope
from slipstream.http.problems import problem_of
from slipstream.http.served import Pkg

_NAMES: list[Any] = sorted({*SERVED, *(row.name for row in OPERATIONS.values() if not row.is_long)})
OperationName = Annotated[str, Path(max_length=100, json_schema_extra={"enum": _NAMES})]


class Call(Order):
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
        request: Request, slipstream: Pkg, call: Call, name: OperationName
    ) -> Returned | JSONResponse:
        """Perform an operation that takes a moment. A problem has a member `error`, to raise it again from."""
        try:
            operation = _named(name)
            check_scope(request, operation)
            return Returned(result=_performed(slipstream, operation, call))
        except SlipstreamError as error:
            return problem_of(error, {"error": told_error(error)})

    return routes


def _named(name: str) -> Operation:
    found = SERVED.get(name) or OPERATIONS.get(name)
    if found is None:
        raise NotFoundError(f"{name} is nothing that a client can ask for: it may be of another version")
    if found.is_long:
        raise InvalidInputError(f"{name} may take long: ask for it as a request (POST /v1/requests)", field="name")
    return found


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
