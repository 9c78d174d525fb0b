"""What an agent is told when a call fails: what, on what, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from slipstream.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    IncidentError,
    InvalidInputError,
    NotFoundError,
    NotRunningError,
    PositionLostError,
    QueryLimitError,
    RateLimitedError,
    SlipstreamError,
    TransientError,
    UnsupportedError,
)
from slipstream.mcp.shortening import shortened

ERROR_MAX = 4_000
UNEXPECTED = "the call failed, and why is in the log of the server: try another way, or tell the person you work for"

_REMEDIES: Mapping[type[SlipstreamError], str] = {
    InvalidInputError: "correct the argument and call again",
    NotFoundError: "`search` finds ids",
    AlreadyExistsError: "`get` shows what is there, `update_entity` changes it",
    QueryLimitError: "ask for less",
    PositionLostError: "changes so long ago are not kept: call it without `after`, and read anew what you need",
    NotRunningError: "what was written is kept; a person has to start the engine",
    RateLimitedError: "wait before you call again",
    TransientError: "wait a few seconds and call again",
    IncidentError: "only a person can decide this: tell them; `search` still answers",
    UnsupportedError: "do without it",
    ConfigError: "a person has to change this",
}


def told(error: SlipstreamError) -> str:
    """Return an error's class, message and remedy, on few lines."""
    text = f"{type(error).__name__}: {shortened(str(error), ERROR_MAX)}"
    if isinstance(error, RateLimitedError):
        text += f" (after {error.retry_after_s:g} s)"
    remedy = next((_REMEDIES[kind] for kind in type(error).__mro__ if kind in _REMEDIES), None)
    return f"{text}\nWhat to do: {remedy}." if remedy else text
