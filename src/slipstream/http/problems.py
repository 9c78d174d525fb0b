"""Errors as problem details (RFC 9457): what failed, its class, the field, and what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from slipstream.domain import errors
from slipstream.domain.errors import (
    IncidentError,
    InvalidInputError,
    NeedsConfirmationError,
    RateLimitedError,
    SlipstreamError,
    TransientError,
)

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
"""What is asked of a client when an error does not say how long to wait."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_STATUS: Mapping[type[SlipstreamError], HTTPStatus] = {
    errors.InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QueryLimitError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PoisonEventError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.AlreadyExistsError: HTTPStatus.CONFLICT,
    errors.StalePlanError: HTTPStatus.CONFLICT,
    errors.NeedsConfirmationError: HTTPStatus.CONFLICT,
    errors.PositionLostError: HTTPStatus.GONE,
    errors.RateLimitedError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.UnsupportedError: HTTPStatus.NOT_IMPLEMENTED,
    errors.DiskFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.LeaseLostError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.IncidentError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CorruptionError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.SlipstreamError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_REMEDY: Mapping[type[SlipstreamError], str] = {
    errors.ConfigError: "correct the call, and send it again",
    errors.QueryLimitError: "ask for less, or raise the limit",
    errors.PoisonEventError: "look at the dead letters",
    errors.NotFoundError: "look at what there is, and name one of those",
    errors.AlreadyExistsError: "update it, or choose another id",
    errors.StalePlanError: "audit again, and plan anew",
    errors.NeedsConfirmationError: "look at the plan, then confirm it by its id",
    errors.PositionLostError: "read everything anew, then go on from the head",
    errors.UnsupportedError: "do it another way: this PKG can not",
    errors.DiskFullError: "free some room on the server's disk; nothing is lost",
    errors.TransientError: "try again; nothing is lost",
    errors.LeaseLostError: "ask the process that runs the engine now",
    errors.IncidentError: "decide what graph and index are to be: the incident names the ways on",
    errors.CorruptionError: "stop, and audit",
    errors.SlipstreamError: "see the log of the server",
}
"""By the nearest class of an error; the message itself says more."""


class RefusedError(HTTPException):
    """A refusal that only HTTP knows, a precondition say, told as our errors are: with a class and a remedy."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        error_class: str,
        remedy: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.error_class, self.remedy = error_class, remedy


class Problem(BaseModel):
    """A problem as RFC 9457 tells it; some classes add `plan`, `incident` or `retry_after_s`."""

    model_config = ConfigDict(extra="allow", serialize_by_alias=True)

    type: str = Field(description="urn:slipstream:error:CLASS, or about:blank for a plain HTTP error")
    title: str
    status: int
    detail: str = Field(description="What failed, on what, and what to do")
    error_class: str | None = Field(default=None, alias="class", description="The class of the error in Python")
    field: str | None = Field(default=None, description="The part of the input that is wrong")
    remedy: str | None = None


def told_errors() -> list[tuple[str, int, str]]:
    """Return each class of error that is told by itself, with its status and remedy."""
    return [(kind.__name__, int(status), _nearest(kind)) for kind, status in _STATUS.items()]


def problem_of(error: SlipstreamError, members: Mapping[str, Any] | None = None) -> JSONResponse:
    """Return the answer that tells one of our errors, with other members beside it."""
    kind = type(error)
    told = next(known for known in kind.__mro__ if known in _STATUS)
    status = _STATUS[told]
    more: dict[str, Any] = {"class": kind.__name__, "remedy": _nearest(kind), **(members or {})}
    headers: dict[str, str] = {}
    if isinstance(error, InvalidInputError):
        more["field"] = error.field
    if isinstance(error, NeedsConfirmationError):
        more["plan"] = dict(error.plan)
    if isinstance(error, IncidentError) and error.incident is not None:
        more["incident"] = error.incident.as_dict()
    if isinstance(error, RateLimitedError):
        more["retry_after_s"] = error.retry_after_s
    if isinstance(error, TransientError | IncidentError):
        headers["Retry-After"] = str(max(1, round(more.get("retry_after_s", RETRY_AFTER_S))))
    return problem(status, str(error), kind=f"urn:slipstream:error:{kind.__name__}", headers=headers, **more)


def _nearest(kind: type[SlipstreamError]) -> str:
    return next(_REMEDY[known] for known in kind.__mro__ if known in _REMEDY)


def problem(
    status: int, detail: str, *, kind: str = "about:blank", headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return a problem as an answer."""
    body = {"type": kind, "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail, **more}
    return _Told(body, int(status), dict(headers or {}), media_type=CONTENT_TYPE)


class _Told(JSONResponse):
    """JSON in ASCII: a detail may repeat any text that was sent to us, half a surrogate pair too."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def _allowed(request: Request) -> list[str]:
    """Return the methods that the path of a request has."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    routes = request.app.routes
    return [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]


def add_problems(app: FastAPI) -> None:
    """Have an app answer every error with a problem."""

    @app.exception_handler(SlipstreamError)
    def _ours(request: Request, error: SlipstreamError) -> JSONResponse:
        del request
        return problem_of(error)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed(request))  # the framework names those of one route only
        if not isinstance(error, RefusedError):
            return problem(error.status_code, str(error.detail), headers=headers)
        kind = f"urn:slipstream:error:{error.error_class}"
        more = {"class": error.error_class, "remedy": error.remedy}
        return problem(error.status_code, str(error.detail), kind=kind, headers=headers, **more)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        del request
        first = error.errors()[0]  # its input is not repeated: it may hold a secret
        field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem_of(InvalidInputError(str(first["msg"]), field=field))

    @app.exception_handler(Exception)
    def _fault(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the server: see its log", remedy="see the log of the server"
        )
