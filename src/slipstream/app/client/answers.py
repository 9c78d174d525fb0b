"""What a server has answered: data, or a problem that becomes the error it was there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from slipstream.app.remote.failures import raised_error
from slipstream.domain.errors import (
    ConfigError,
    InvalidInputError,
    NotFoundError,
    QueryLimitError,
    SlipstreamError,
    UnavailableError,
)

_PLAIN: Mapping[int, type[SlipstreamError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: QueryLimitError,
    HTTPStatus.UNAUTHORIZED: ConfigError,
    HTTPStatus.FORBIDDEN: ConfigError,
    HTTPStatus.REQUEST_TIMEOUT: UnavailableError,
    HTTPStatus.TOO_MANY_REQUESTS: UnavailableError,
    HTTPStatus.BAD_GATEWAY: UnavailableError,
    HTTPStatus.SERVICE_UNAVAILABLE: UnavailableError,
    HTTPStatus.GATEWAY_TIMEOUT: UnavailableError,
}
"""Errors of the server itself, or of what stands in front of it: they tell no class of ours."""
_FIX: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "give the server's token (`token=`)",
    HTTPStatus.FORBIDDEN: "give a token of a wider scope (`token=`)",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; `headers` are by lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_refused_for_now(self) -> bool:
        """Whether the server was too busy to begin, so that asking again does nothing twice."""
        return self.status in (429, 503) and "retry-after" in self.headers and "class" not in self._problem()

    @property
    def data(self) -> Any:
        """The answer as data; raises what the server has raised."""
        if self.status >= HTTPStatus.MULTIPLE_CHOICES:  # a redirect, too: the token goes nowhere else
            raise problem_error(self.status, self._problem())
        if not self.body:
            return Members()
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise not_understood(f"an answer that is not JSON (status {self.status})") from error
        if not isinstance(told, dict):
            raise not_understood(f"an answer that is no object (status {self.status})")
        return Members(told)

    def _problem(self) -> Mapping[str, Any]:
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}


class Members(dict[str, Any]):
    """An answer's members; one that it lacks says that it is no answer of our server, rather than `KeyError`."""

    def __missing__(self, name: str) -> Any:
        raise not_understood(f"an answer without {name!r}")


def not_understood(what: str) -> UnavailableError:
    """Return the error for an answer that no server of ours gives."""
    return UnavailableError(f"{what}: is this the address of a Slipstream server?")


def problem_error(status: int, problem: Mapping[str, Any]) -> SlipstreamError:
    """Return the error that a problem tells of, with all that it carries."""
    try:
        return _error_in(status, problem)
    except (AttributeError, LookupError, TypeError, ValueError):
        return not_understood(f"a problem that can not be understood (status {status})")


def _error_in(status: int, problem: Mapping[str, Any]) -> SlipstreamError:
    told_there = problem.get("error")
    if isinstance(told_there, dict):
        return raised_error(told_there)
    name, detail = problem.get("class"), str(problem.get("detail") or f"the server answered with status {status}")
    if not isinstance(name, str):
        fix = _FIX.get(status)
        return _PLAIN.get(status, SlipstreamError)(f"{detail}: {fix}" if fix else detail)
    told: dict[str, Any] = {"class": name, "message": detail}
    if name == InvalidInputError.__name__:
        field = str(problem.get("field") or "input")
        told |= {"field": field, "message": detail.removeprefix(f"{field}: ")}
    incident = problem.get("incident")
    told["incident"] = None if incident is None else json.dumps(incident)
    told["plan"] = problem.get("plan") or {}
    told["retry_after_s"] = problem.get("retry_after_s") or 1.0
    return raised_error(told)
