"""
Errors, classed by what the caller must do about them.

    SlipstreamError
    ├── ConfigError                 stop, fix the configuration or the call
    │   └── InvalidInputError       the input is refused; names the field (also a ValueError)
    ├── UnsupportedError            stop: this adapter can not do it; raised before any side effect
    ├── NotFoundError               the named thing is not there (also a KeyError)
    ├── AlreadyExistsError          the named thing is there already
    ├── TransientError              retry later, the work itself is fine
    │   ├── UnavailableError        the other side is down or locked
    │   └── RateLimitedError        wait `retry_after_s`
    ├── RetriesExhaustedError       pause, alert
    ├── PoisonEventError            dead-letter this key, go on with the others
    ├── StalePositionError          a newer write is there: yield to it
    ├── LeaseLostError              another owner took over: yield to it
    ├── PositionLostError           the log no longer reaches back so far: backfill
    └── CorruptionError             halt, audit
"""

from __future__ import annotations


class SlipstreamError(Exception):
    """Base of every error that Slipstream raises on purpose."""


class ConfigError(SlipstreamError):
    """The configuration or the call is wrong; nothing was done."""


class InvalidInputError(ConfigError, ValueError):
    """The input is refused; `field` names the part of it that is wrong."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


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


class RateLimitedError(TransientError):
    """The other side asks for a pause of `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RetriesExhaustedError(SlipstreamError):
    """A dependency stayed down through every retry: pause and alert."""


class PoisonEventError(SlipstreamError):
    """This one key can never be processed as it is: dead-letter it, go on with the others."""


class StalePositionError(SlipstreamError):
    """A newer position is already stored."""


class LeaseLostError(SlipstreamError):
    """Another process owns this work now."""


class PositionLostError(SlipstreamError):
    """The log was truncated past the requested position: a backfill is needed."""


class CorruptionError(SlipstreamError):
    """Stored data contradicts itself: stop and audit."""
