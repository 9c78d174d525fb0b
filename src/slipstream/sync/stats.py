"""Counters and latencies of the engine."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from slipstream.domain.metrics import Histogram

RECENT_MAX = 10_000
"""Latencies kept for the percentiles."""
LAG_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0)
"""Upper bounds of the histogram from commit to searchable: fine below a second, which is the promise."""
REASONS_MAX = 20
"""Different reasons of retries that are told apart; any further one counts as `other`."""


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
    What the engine did since it was opened. Guarded by the engine's lock.

    Counter names: `events`, `embedded`, `cached`, `unchanged`, `restamped`, `deleted`, `fenced`, `blocked`,
    `retried`, `dead_lettered`, `fanout_deferred`, `batches`. `outcomes` has the events by operation and outcome.
    """

    counters: Counter[str] = field(default_factory=Counter)
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    _in_bucket: list[int] = field(default_factory=lambda: [0] * (len(LAG_BOUNDS_S) + 1))
    _lag_sum_s: float = 0.0

    def observe(self, latencies_s: Iterable[float]) -> None:
        """Note how long mutations took from commit to searchable."""
        for latency_s in latencies_s:
            self.recent_s.append(latency_s)
            self._in_bucket[bisect_left(LAG_BOUNDS_S, latency_s)] += 1
            if latency_s > 0:  # a clock that was set back must not make the sum shrink
                self._lag_sum_s += latency_s

    def note_events(self, outcomes: Mapping[tuple[str, str], int]) -> None:
        """Count events that were read from the log."""
        for outcome, count in outcomes.items():
            self.outcomes[outcome] += count
            self.counters["events"] += count

    def note_retry(self, error: Exception) -> None:
        """Count a failed attempt that will be made again."""
        reason = type(error).__name__
        self.retries[reason if reason in self.retries or len(self.retries) < REASONS_MAX else "other"] += 1

    def lag(self) -> Histogram:
        """Return the histogram from commit to searchable."""
        return Histogram(LAG_BOUNDS_S, tuple(accumulate(self._in_bucket)), self._lag_sum_s)

    def freshness(self) -> Freshness:
        """Return the percentiles over the newest mutations."""
        if not self.recent_s:
            return Freshness(0, None, None, None)
        p50, p95, p99 = np.percentile(np.fromiter(self.recent_s, float), (50, 95, 99))
        return Freshness(len(self.recent_s), float(p50), float(p95), float(p99))
