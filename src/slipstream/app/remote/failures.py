"""Errors on their way from the owner of the engine to whoever asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.domain import errors
from slipstream.domain.errors import (
    IncidentError,
    InvalidInputError,
    NeedsConfirmationError,
    RateLimitedError,
    SlipstreamError,
)
from slipstream.domain.incidents import Incident

_KNOWN: Mapping[str, type[SlipstreamError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SlipstreamError)
}
"""The only classes that are raised from received text."""


class CancelledCallError(SlipstreamError):
    """Nobody waits for the answer any more."""


class LeavingError(Exception):
    """The owner ends: its requests stay unanswered, for the next owner."""


def told_error(error: BaseException) -> dict[str, Any]:
    """Return an error as plain data: its nearest class among our own, its message and its fields."""
    if isinstance(error, InvalidInputError):
        message = str(error.args[0]).removeprefix(f"{error.field}: ")
        return {"class": InvalidInputError.__name__, "message": message, "field": error.field}
    if isinstance(error, RateLimitedError):
        return {"class": RateLimitedError.__name__, "message": str(error), "retry_after_s": error.retry_after_s}
    if isinstance(error, IncidentError):
        told = None if error.incident is None else error.incident.dump()
        return {"class": IncidentError.__name__, "message": str(error), "incident": told}
    if isinstance(error, SlipstreamError):
        name = next(kind.__name__ for kind in type(error).__mro__ if _KNOWN.get(kind.__name__) is kind)
        plan = {"plan": dict(error.plan)} if isinstance(error, NeedsConfirmationError) else {}
        return {"class": name, "message": str(error), **plan}
    return {
        "class": SlipstreamError.__name__,
        "message": f"the process that runs the engine failed: {type(error).__name__}: {error}",
    }


def raised_error(told: Mapping[str, Any]) -> SlipstreamError:
    """Return the error that `told_error` was given; as `SlipstreamError` when its class is unknown here."""
    name, message = str(told["class"]), str(told["message"])
    if name == InvalidInputError.__name__:
        return InvalidInputError(message, field=str(told["field"]))
    if name == RateLimitedError.__name__:
        return RateLimitedError(message, retry_after_s=float(told["retry_after_s"]))
    if name == IncidentError.__name__:
        return IncidentError(message, None if told["incident"] is None else Incident.load(told["incident"]))
    kind = _KNOWN.get(name)
    if kind is not None and issubclass(kind, NeedsConfirmationError):
        return kind(message, plan=dict(told["plan"]))
    return SlipstreamError(f"{name}: {message}") if kind is None else kind(message)
