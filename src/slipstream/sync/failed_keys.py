"""Keys that are themselves at fault: tried again, each time later, and dead letters in the end."""

from __future__ import annotations

import logging
import random
from datetime import timedelta

from slipstream.domain.errors import PoisonEventError
from slipstream.domain.positions import Position
from slipstream.domain.work import DeadLetter, WorkItem
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
        """Have a key tried again later, or give it up; durable when it returns."""
        attempts = claim.attempts + 1
        final = isinstance(error, PoisonEventError) or attempts >= self._settings.attempts_max
        text = f"{type(error).__name__}: {error}"
        logger.warning("%s failed (attempt %d): %s", claim.key.encode(), attempts, text)
        with self._state.changed:
            position = self._state.ledger.firsts([claim])[claim.key]
        if final:
            self._bury(claim, attempts, text, position)
            return
        delay_s = backoff_s(attempts, self._settings.backoff_base_s, self._settings.backoff_max_s, self._rng)
        due_at = self._clock.now() + timedelta(seconds=delay_s)
        self._journal.put_work(
            [WorkItem(claim.key, retry_lane(claim.lane), position, attempts, due_at, "retry", text, claim.force)]
        )
        with self._state.changed:
            self._state.ledger.defer(claim, attempts, self._clock.monotonic() + delay_s, position)
            self._state.stats.counters["retried"] += 1
            self._state.stats.note_retry(error)

    def _bury(self, claim: Claim, attempts: int, error: str, position: Position | None) -> None:
        letter = DeadLetter(claim.key.encode(), claim.key, error, attempts, self._clock.now(), position)
        with self._journal.transaction():
            self._letters.bury([letter])
            self._journal.remove_work([claim.key])
        with self._state.changed:
            self._state.ledger.drop(claim)
            self._state.pay([claim.key])
            self._state.letter_count = self._letters.letter_count()
            self._state.stats.counters["dead_lettered"] += 1
            self._state.buried += 1
            self._state.advance_frontier()
