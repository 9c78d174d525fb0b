"""Adaptive batch sizes: a lone change goes at once, a burst in large batches that still take a bounded time."""

from __future__ import annotations

from slipstream.sync.settings import SyncSettings

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
