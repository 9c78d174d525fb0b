"""Keys that are themselves at fault: tried again, each time later, and dead letters in the end."""

from __future__ import annotations

import logging
import random
from datetime import timedelta

from slipstream.domain.errors import PoisonEventError
from slipstream.domain.work import DeadLetter, WorkItem, kept_error
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.sync.failures import backoff_s
from slipstream.sync.ledger import Claim, retry_lane
from slipstream.sync.settings import SyncSettings
from slipstream.sync.state import EngineState

logger = logging.getLogger(__name__)


class FailedKeys:
    """Keeps them in the journal, so that the log can be passed; the others go on."""

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

        A key that was dirtied while it was in flight is another one by now: it is never given up for what it was.
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
