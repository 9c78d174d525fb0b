"""Retry delays and the circuit breaker: what an outage or a failing key costs."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    IncidentError,
    InvalidInputError,
    LeaseLostError,
    RateLimitedError,
    UnsupportedError,
)
from slipstream.domain.events import PKGEvent
from slipstream.domain.work import DeadLetter

RETRY_AFTER_S_MAX = 300.0
"""What a server may ask for is bounded: it may have told a date, and one of the two clocks may be wrong."""


def halts(error: Exception) -> bool:
    """
    Return whether no retry and no bisection can help.

    A person must mend a store or the configuration first, or another process is the engine now.
    """
    if isinstance(error, InvalidInputError):  # of one record, though it is a ConfigError
        return False
    return isinstance(error, CorruptionError | ConfigError | UnsupportedError | LeaseLostError | IncidentError)


def event_letters(poisoned: Iterable[tuple[PKGEvent, Exception]], now: datetime) -> list[DeadLetter]:
    """Return the dead letters of events that can not be planned; each keeps its event for a replay."""
    return [
        DeadLetter(
            event.event_id, event.key, f"{type(error).__name__}: {error}", 1, now, None, event.model_dump_json()
        )
        for event, error in poisoned
    ]


def backoff_s(attempt: int, base_s: float, max_s: float, rng: random.Random) -> float:
    """
    Return the delay before retry number `attempt` (from 1): exponential, with full jitter over its upper half.

    Jitter keeps many clients from returning in step (Brooker, "Exponential Backoff And Jitter", AWS 2015).
    """
    ceiling = min(max_s, base_s * 2.0 ** min(attempt - 1, 32))
    return ceiling * (0.5 + 0.5 * rng.random())


@dataclass(slots=True)
class CircuitBreaker:
    """
    One outage is one incident: while it is open no work is taken, then a probe decides.

    It never counts against a key: nothing that waits for a dependency loses an attempt.
    """

    base_s: float
    max_s: float
    rng: random.Random
    failures: int = 0
    open_until: float = 0.0
    opened_at: float | None = None
    error: str | None = field(default=None)

    def trip(self, error: Exception, now: float) -> None:
        """Open (again) after a failed call."""
        self.failures += 1
        self.opened_at = now if self.opened_at is None else self.opened_at
        wait_s = backoff_s(self.failures, self.base_s, self.max_s, self.rng)
        if isinstance(error, RateLimitedError):
            wait_s = max(wait_s, min(error.retry_after_s, RETRY_AFTER_S_MAX))
        self.open_until = now + wait_s
        self.error = f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Note a call that went through."""
        self.failures, self.open_until, self.opened_at, self.error = 0, 0.0, None, None

    def wait_s(self, now: float) -> float:
        """Return how long to wait before the next probe, 0 when closed or due."""
        return max(0.0, self.open_until - now)
