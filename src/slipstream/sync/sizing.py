"""Adaptive batch sizes: a lone change goes at once, a burst in large batches that still take a bounded time."""

from __future__ import annotations

from slipstream.sync.settings import SyncSettings

_SMOOTHING = 0.2
_CHEAP_S = 1e-5
"""Assumed cost of a key that needs no embedding."""


class BatchSizer:
    """Sizes batches by a moving average of what one embedding costs."""

    def __init__(self, settings: SyncSettings) -> None:
        self._settings = settings
        self._polite_cost_s = settings.polite_target_s
        self._cost_s = settings.batch_target_s / 128  # until the first batch has been measured

    def observe(self, computed: int, duration_s: float) -> None:
        """Note how long a batch took; one in which nothing was computed says little and counts little."""
        cost_s = max(_CHEAP_S, duration_s / computed) if computed else max(_CHEAP_S, self._cost_s * 0.9)
        self._cost_s += _SMOOTHING * (cost_s - self._cost_s)

    def observe_polite(self, keys: int, duration_s: float) -> None:
        """Note how long a batch took from its first read to its last write."""
        self._polite_cost_s += _SMOOTHING * (max(_CHEAP_S, duration_s / keys) - self._polite_cost_s)

    @property
    def live(self) -> int:
        """How many keys a live batch takes at most."""
        return self._size(self._settings.batch_target_s)

    @property
    def background(self) -> int:
        """How many keys a migration, repair or backfill batch takes at most."""
        return self._size(self._settings.background_target_s)

    @property
    def polite(self) -> int:
        """How many keys such a batch takes while live changes flow: one, if need be."""
        return int(min(self._settings.batch_max, max(1, self._settings.polite_target_s / self._polite_cost_s)))

    def _size(self, target_s: float) -> int:
        return int(min(self._settings.batch_max, max(self._settings.batch_min, target_s / self._cost_s)))
