"""Taking: which keys are worked on next, how many at once, and what is left alone while a dependency is down."""

from __future__ import annotations

import random
from collections.abc import Sequence

from slipstream.domain.work import URGENT, Lane
from slipstream.ports.clock import Clock
from slipstream.sync.failures import CircuitBreaker
from slipstream.sync.ledger import Claim
from slipstream.sync.settings import SyncSettings
from slipstream.sync.sizing import BatchSizer, PoliteSizer
from slipstream.sync.state import EngineState

_BACKGROUND = (Lane.REPAIR, Lane.BACKFILL)


class Taking:
    """
    Live changes first, in large batches; in the background small ones, and while live changes flow tiny ones.

    The migration lane never shares a batch with another one, and has a breaker of its own: what nobody searches yet
    must not stop what somebody does.
    """

    def __init__(self, settings: SyncSettings, state: EngineState, clock: Clock, rng: random.Random) -> None:
        self._settings, self._state, self._clock = settings, state, clock
        self._breaker = CircuitBreaker(settings.backoff_base_s, settings.backoff_max_s, rng)
        self._migration_breaker = CircuitBreaker(settings.backoff_base_s, settings.backoff_max_s, rng)
        self._live_sizer, self._sizer, self._polite = (
            BatchSizer(settings),
            BatchSizer(settings),
            PoliteSizer(settings),
        )
        self._owed_last = False

    @property
    def is_busy(self) -> bool:
        """Whether live changes flow: work in the background then keeps out of their way."""
        return self._clock.monotonic() - self._state.live_at < self._settings.quiet_after_s

    def take(self, *, background: bool) -> list[Claim]:
        """Claim the next batch; empty when nothing is due or a dependency is down. The engine's lock is held."""
        now, ledger = self._clock.monotonic(), self._state.ledger
        if self._breaker.wait_s(now) > 0:
            return []
        is_probing = bool(self._breaker.failures)
        limit = 1 if is_probing else self._live_sizer.live
        if self._state.is_draining and (owed := self._owed(now)):
            return owed
        claims = ledger.take(limit, now, URGENT)
        if claims or not background:
            return claims
        size = 1 if is_probing else self._polite.size if self.is_busy else self._sizer.background
        if self._migration_breaker.wait_s(now) <= 0:
            claims = ledger.take(1 if self._migration_breaker.failures else size, now, (Lane.MIGRATION,))
        return claims or ledger.take(size, now, _BACKGROUND)

    def _owed(self, now: float) -> list[Claim]:
        """
        Claim what the generation beside the live one lacks, before a live change, but never twice in a row.

        Behind such a batch nothing is owed until the next live one is written: a moment for the swap.
        """
        if self._owed_last or self._migration_breaker.wait_s(now) > 0:
            self._owed_last = False
            return []
        size = 1 if self._migration_breaker.failures else self._sizer.background
        owed = self._state.ledger.take(size, now, (Lane.MIGRATION,))
        self._owed_last = bool(owed)
        return owed

    # ------------------------------------------------------------------ sizes

    def note_embedded(self, computed: int, duration_s: float, *, urgent: bool) -> None:
        """Note how long embeddings took."""
        (self._live_sizer if urgent else self._sizer).observe(computed, duration_s)

    def note_background(self, keys: int, duration_s: float) -> None:
        """Note how long a batch in the background took, from its first read to its last write."""
        self._polite.observe(keys, duration_s)

    # ------------------------------------------------------------------ outages

    def trip(self, claims: Sequence[Claim], error: Exception) -> None:
        """Take no more of what has failed for a while."""
        self._breaker_of(claims).trip(error, self._clock.monotonic())

    def close(self, claims: Sequence[Claim]) -> None:
        """Note a batch that went through."""
        self._breaker_of(claims).close()

    def _breaker_of(self, claims: Sequence[Claim]) -> CircuitBreaker:
        return self._migration_breaker if is_migration(claims) else self._breaker

    @property
    def breaker(self) -> CircuitBreaker:
        """The breaker of everything but the migration lane."""
        return self._breaker

    @property
    def breakers(self) -> Sequence[CircuitBreaker]:
        """This one, and that of the migration lane."""
        return (self._breaker, self._migration_breaker)

    @property
    def migration_outage(self) -> str | None:
        """The error of what keeps a migration from going on, while everything else does."""
        return self._migration_breaker.error


def is_migration(claims: Sequence[Claim]) -> bool:
    """Whether a batch is of the migration lane."""
    return bool(claims) and claims[0].lane is Lane.MIGRATION
