"""Taking: which keys are worked on next, how many at once, and what is left alone while a dependency is down."""

from __future__ import annotations

import random
from collections.abc import Sequence

from slipstream.domain.work import URGENT, Claim, Lane
from slipstream.engine.failures import CircuitBreaker
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import EngineState
from slipstream.ports.clock import Clock

_BACKGROUND = (Lane.REPAIR, Lane.BACKFILL)
_SEARCHING_S = 0.1
"""How long after a search work in the background still stands back: the next one may be coming."""
SHARE_EVERY_S = 0.1
"""How long live changes that never end keep work in the background waiting before a batch of it is done."""
_SMOOTHING = 0.2
_CHEAP_S = 1e-5
"""Assumed cost of a key that needs no embedding."""
_ALLOWED = 1.5
_DRIFT = 1.2
"""By how much a single key may count as dearer than the last time: machines and models change."""
_SINGLE_EVERY = 64


class BatchSizer:
    """Sizes batches by a moving average of what one embedding costs."""

    def __init__(self, settings: SyncSettings) -> None:
        self._settings = settings
        self._cost_s = settings.batch_target_s / 128  # until the first batch has been measured

    def observe(self, computed: int, duration_s: float) -> None:
        """Note how long a batch took; one in which nothing was computed says little and counts little."""
        cost_s = max(_CHEAP_S, duration_s / computed) if computed else max(_CHEAP_S, self._cost_s * 0.9)
        self._cost_s += _SMOOTHING * (cost_s - self._cost_s)

    @property
    def live(self) -> int:
        """How many keys a live batch takes at most."""
        return self._size(self._settings.batch_target_s)

    @property
    def background(self) -> int:
        """How many keys a migration, repair or backfill batch takes at most."""
        return self._size(self._settings.background_target_s)

    def _size(self, target_s: float) -> int:
        return int(min(self._settings.batch_max, max(self._settings.batch_min, target_s / self._cost_s)))


class PoliteSizer:
    """
    Sizes background batches while live changes flow: as small as can be, but not smaller than pays.

    Where a write costs the same for one key and for many, single keys would only waste what live changes need. So a
    batch may take half as long again as one of a single key, or the target, if that is more.
    """

    def __init__(self, settings: SyncSettings) -> None:
        self._settings = settings
        self._size = 1.0
        self._single_s: float | None = None
        self._batches = 0

    @property
    def size(self) -> int:
        """How many keys the next batch takes; now and then a single one, to see what that costs."""
        return 1 if self._batches % _SINGLE_EVERY == 0 else int(self._size)

    def observe(self, keys: int, duration_s: float) -> None:
        """Note how long a batch took from its first read to its last write."""
        is_full = keys >= self.size
        self._batches += 1
        if keys == 1:
            self._single_s = duration_s if self._single_s is None else min(duration_s, self._single_s * _DRIFT)
        if duration_s > max(self._settings.polite_target_s, _ALLOWED * (self._single_s or 0.0)):
            self._size = max(1.0, self._size * 0.6)
        elif is_full and keys >= int(self._size):
            self._size = min(float(self._settings.batch_max), self._size * 1.2 + 0.1)


class Taking:
    """
    Takes live changes first, in large batches; background work in small ones, and in tiny ones while live changes
    flow or somebody searches. Where live changes never end, a tiny batch is taken between them now and then.

    The migration lane never shares a batch with another lane, and has a breaker of its own: what nobody searches yet
    must not stop what somebody searches.
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
        self._standing_back_since: float | None = None
        """When live changes first went before work in the background, since a batch of that was last asked for."""

    @property
    def is_busy(self) -> bool:
        """Whether live changes flow, or somebody searches: work in the background then keeps out of their way."""
        now = self._clock.monotonic()
        flows = now - self._state.live_at < self._settings.quiet_after_s
        return flows or now - self._state.searched_at < _SEARCHING_S

    def take(self, *, background: bool) -> list[Claim]:
        """Claim the next batch; empty when nothing is due or a dependency is down. The engine's lock is held."""
        now, ledger = self._clock.monotonic(), self._state.ledger
        if self._breaker.wait_s(now) > 0:
            return []
        is_probing = bool(self._breaker.failures)
        limit = 1 if is_probing else self._live_sizer.live
        if self._state.is_draining and (owed := self._owed(now)):
            return owed
        since = self._standing_back_since
        is_due = not is_probing and since is not None and now - since >= SHARE_EVERY_S
        if not is_due:
            if claims := ledger.take(limit, now, URGENT):
                self._standing_back_since = now if since is None else since
                return claims
            if not background:
                return []
        # A batch after so long even where live changes never end: what is never done is not behind, but lost.
        self._standing_back_since = None
        return self._in_background(now, is_probing=is_probing) or ledger.take(limit, now, URGENT)

    def _in_background(self, now: float, *, is_probing: bool) -> list[Claim]:
        ledger, claims = self._state.ledger, list[Claim]()
        size = 1 if is_probing else self._polite.size if self.is_busy else self._sizer.background
        if self._migration_breaker.wait_s(now) <= 0:
            claims = ledger.take(1 if self._migration_breaker.failures else size, now, (Lane.MIGRATION,))
        return claims or ledger.take(size, now, _BACKGROUND)

    def _owed(self, now: float) -> list[Claim]:
        """
        Claim what the generation beside the live one lacks, before a live change, but never twice in a row.

        After such a batch nothing is owed until the next live one is written: a moment for the swap.
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
        """Open the breaker of the claims' lane after a failure."""
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
        """`breaker`, and that of the migration lane."""
        return (self._breaker, self._migration_breaker)

    @property
    def migration_outage(self) -> str | None:
        """The error of what keeps a migration from going on, while everything else does."""
        return self._migration_breaker.error


def is_migration(claims: Sequence[Claim]) -> bool:
    """Whether a batch is of the migration lane."""
    return bool(claims) and claims[0].lane is Lane.MIGRATION
