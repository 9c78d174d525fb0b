"""Counters and latencies of the engine."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

RECENT_MAX = 10_000
"""Latencies kept for the percentiles."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Commit to searchable, in seconds, over the newest mutations."""

    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(slots=True)
class SyncStats:
    """
    What the engine did since it started. Guarded by the engine's lock.

    Counter names: `events`, `embedded`, `cached`, `unchanged`, `restamped`, `deleted`, `fenced`, `retried`,
    `dead_lettered`, `fanout_deferred`, `batches`.
    """

    counters: Counter[str] = field(default_factory=Counter)
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))

    def observe(self, latencies_s: Iterable[float]) -> None:
        """Note how long mutations took from commit to searchable."""
        self.recent_s.extend(latencies_s)

    def freshness(self) -> Freshness:
        """Return the percentiles over the newest mutations."""
        if not self.recent_s:
            return Freshness(0, None, None, None)
        p50, p95, p99 = np.percentile(np.fromiter(self.recent_s, float), (50, 95, 99))
        return Freshness(len(self.recent_s), float(p50), float(p95), float(p99))
