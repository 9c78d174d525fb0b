"""Retry delays and the circuit breaker: what an outage or a failing key costs."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    IncidentError,
    InvalidInputError,
    LeaseLostError,
    PoisonEventError,
    RateLimitedError,
    UnsupportedError,
)
from slipstream.domain.events import PKGEvent
from slipstream.domain.work import Claim, DeadLetter, WorkItem, kept_error
from slipstream.engine.ledger import retry_lane
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import EngineState
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DeadLetters, Journal

logger = logging.getLogger(__name__)

RETRY_AFTER_S_MAX = 300.0
"""The longest pause that a server may ask for: it may have named a date, and one of the two clocks may be wrong."""


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
    Makes one incident of an outage: while it is open no work is taken, then a probe decides.

    Keys that wait for a dependency lose no attempt.
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


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for and why, for how long already, and in how long it is tried again."""

    what: str
    for_s: float
    retry_in_s: float

    @classmethod
    def of(cls, breaker: CircuitBreaker, now: float) -> Self:
        """Return the wait for a dependency that is down."""
        began = now if breaker.opened_at is None else breaker.opened_at
        return cls(breaker.error or "", now - began, breaker.wait_s(now))

    def __str__(self) -> str:
        return f"{self.what} (for {self.for_s:.0f} s, next try in {self.retry_in_s:.0f} s)"


class FailedKeys:
    """Keeps failed keys in the journal, so that the checkpoint can pass them and other keys go on."""

    def __init__(
        self,
        state: EngineState,
        journal: Journal,
        letters: DeadLetters,
        clock: Clock,
        settings: SyncSettings,
        rng: random.Random,
    ) -> None:
        self._state, self._journal, self._letters = state, journal, letters
        self._clock, self._settings, self._rng = clock, settings, rng

    def fail(self, claim: Claim, error: Exception) -> None:
        """
        Have a key tried again later, or give it up; durable when it returns.

        A key that was dirtied while in flight is never given up for its former state: it starts afresh.
        """
        attempts = claim.attempts + 1
        final = isinstance(error, PoisonEventError) or attempts >= self._settings.attempts_max
        text = kept_error(f"{type(error).__name__}: {error}")
        logger.warning("%s failed (attempt %d): %s", claim.key.encode(), attempts, text)
        with self._state.writing:
            if not final:
                self._retry(claim, attempts, text, error)
            elif self._is_as_claimed(claim):
                self._bury(claim, attempts, text)
            else:
                with self._state.changed:
                    self._state.ledger.refresh(claim)
                    self._state.changed.notify_all()

    def _is_as_claimed(self, claim: Claim) -> bool:
        with self._state.changed:
            return self._state.ledger.is_as_claimed(claim)

    def _retry(self, claim: Claim, attempts: int, text: str, error: Exception) -> None:
        delay_s = backoff_s(attempts, self._settings.backoff_base_s, self._settings.backoff_max_s, self._rng)
        due_at = self._clock.now() + timedelta(seconds=delay_s)
        with self._state.changed:
            position = self._state.ledger.first(claim)
        self._journal.put_work(
            [WorkItem(claim.key, retry_lane(claim.lane), position, attempts, due_at, "retry", text, claim.force)]
        )
        with self._state.changed:
            self._state.ledger.defer(claim, attempts, self._clock.monotonic() + delay_s, position)
            self._state.stats.counters["retried"] += 1
            self._state.stats.note_retry(error)

    def _bury(self, claim: Claim, attempts: int, error: str) -> None:
        with self._state.changed:
            position = self._state.ledger.first(claim)
        letter = DeadLetter(claim.key.encode(), claim.key, error, attempts, self._clock.now(), position)
        with self._journal.transaction():
            self._letters.bury([letter])
            self._journal.remove_work([claim.key])
        letters = self._letters.letter_count()
        with self._state.changed:
            self._state.ledger.drop(claim)
            self._state.pay([claim.key])
            self._state.letter_count = letters
            self._state.stats.counters["dead_lettered"] += 1
            self._state.buried += 1
            self._state.progress.move()
