"""
Errors, classed by what the caller must do about them.

    SlipstreamError
    ├── ConfigError                 stop, fix the configuration or the call
    │   └── InvalidInputError       the input is refused; names the field (also a ValueError)
    ├── QueryLimitError             ask for less, or raise the limit
    ├── UnsupportedError            stop: this adapter can not do it; raised before any side effect
    ├── NotFoundError               the named thing is not there (also a KeyError)
    ├── AlreadyExistsError          the named thing is there already
    ├── TransientError              retry later, the work itself is fine
    │   ├── UnavailableError        the other side is down or locked
    │   │   ├── DiskFullError       there is no room: free some, nothing is lost
    │   │   └── NotRunningError     it is there, but its engine has not been started
    │   └── RateLimitedError        wait `retry_after_s`
    ├── PoisonEventError            dead-letter this key, go on with the others
    ├── NeedsConfirmationError      look at the plan, then confirm it by its id
    │   ├── RepairNeedsConfirmationError  (a repair)
    │   └── ReplacementNeedsConfirmationError  (what a source no longer says)
    ├── StalePlanError              the plan does not fit any more: audit again
    ├── LeaseLostError              another owner took over: yield to it
    ├── PositionLostError           the log no longer reaches back so far: backfill
    ├── IncidentError               graph and index do not belong together: a person decides, it names the ways
    └── CorruptionError             halt, audit
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipstream.domain.incidents import Incident


class SlipstreamError(Exception):
    """Base of every error that Slipstream raises on purpose."""

    model_id: str | None = None
    """The embedding model that failed: only what it embeds has to wait. None when no model did."""


class ConfigError(SlipstreamError):
    """The configuration or the call is wrong; nothing was done."""


class InvalidInputError(ConfigError, ValueError):
    """The input is refused; `field` names the part of it that is wrong."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class QueryLimitError(SlipstreamError):
    """A query took more rows, time or memory than it may, and was ended; nothing else was."""


class UnsupportedError(SlipstreamError):
    """The adapter does not have this ability; raised before any side effect."""


class NotFoundError(SlipstreamError, KeyError):
    """The named thing does not exist."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""


class AlreadyExistsError(SlipstreamError):
    """The named thing exists already."""


class TransientError(SlipstreamError):
    """The work is fine but can not be done now; try again."""


class UnavailableError(TransientError):
    """A database, model or broker is down, locked or not reachable."""


class DiskFullError(UnavailableError):
    """There is no room on the disk; what was asked for was not done."""


class NotRunningError(UnavailableError):
    """The engine does not run, so what is asked of it will not happen."""


class RateLimitedError(TransientError):
    """The other side asks for a pause of `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PoisonEventError(SlipstreamError):
    """
    This one key can never be processed as it is: dead-letter it, go on with the others.

    `texts` names the texts of a batch that are at fault, with the reason of each, where that is known.
    """

    def __init__(self, message: str, *, texts: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.texts = texts or {}


class NeedsConfirmationError(SlipstreamError):
    """More would be done unasked than the brake allows. `plan` says what, with its `id`."""

    def __init__(self, message: str, *, plan: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.plan = plan


class RepairNeedsConfirmationError(NeedsConfirmationError):
    """A repair would delete or embed more than the brake allows; nothing was done."""


class ReplacementNeedsConfirmationError(NeedsConfirmationError):
    """A source no longer states more than the brake lets go; all that is still there."""


class StalePlanError(SlipstreamError):
    """What a plan was made from has changed since; nothing was done."""


class LeaseLostError(SlipstreamError):
    """Another process owns this work now."""


class PositionLostError(SlipstreamError):
    """The log was truncated past the requested position: a backfill is needed."""


class IncidentError(SlipstreamError):
    """
    Graph and index do not belong together (any more): search goes on, everything else waits for a person's decision.

    The message names the ways on; so does `incident`, unless the error came from another process.
    """

    def __init__(self, message: str, incident: Incident | None = None) -> None:
        super().__init__(message)
        self.incident = incident


class CorruptionError(SlipstreamError):
    """Stored data contradicts itself: stop and audit."""
