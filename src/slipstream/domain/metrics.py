"""What the engine exports to monitoring, as one plain value of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Histogram:
    """
    Observations by size.

    `counts` are cumulative, as Prometheus wants them: one for each upper bound, then one for everything.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many observations there were."""
        return self.counts[-1]


@dataclass(frozen=True, slots=True)
class ConsistencyMetrics:
    """
    What the last comparison of both sides found, and what was repaired since the start.

    `ratio` and `last_verified_at` are None until something has been verified; `alerts` says of each rule whether
    it fires now.
    """

    ratio: float | None = None
    divergences: Mapping[str, int] = field(default_factory=lambda: _NONE)
    last_verified_at: datetime | None = None
    repairs: Mapping[str, int] = field(default_factory=lambda: _NONE)
    alerts: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    scrub_failing: bool | None = None
    """Whether scheduled audits fail or are dead; None where nobody knows."""


NOT_VERIFIED = ConsistencyMetrics()
"""Nothing has been compared yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordMetrics:
    """How far the word rows are, and what was done for them since the engine was opened."""

    lag_events: int
    lag_s: float
    rows: Mapping[str, int]
    """Rows by what became of them: `written`, `deleted`, `unchanged`, `failed`."""
    scan_ratio: float | None = None
    """How much of a scan is done, in 0..1; None when none is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """
    Everything that is exported. Counters count since the engine was opened.

    `running` is False for an engine that is stopped, halted or dead; `outage` says that it waits for a dependency.
    `lag_events` and `oldest_pending_age_s` are None while the log can not be asked.
    """

    lag: Histogram
    """Commit to searchable, in seconds, one observation for each key that a commit made dirty."""
    lag_events: int | None
    oldest_pending_age_s: float | None
    queue_depth: Mapping[str, int]
    """Dirty keys in memory, by lane."""
    events: Mapping[tuple[str, str], int]
    """Log entries by operation and outcome: `accepted`, `irrelevant` or `dead_lettered`."""
    fenced: int
    embeddings: Mapping[str, int]
    """Records by `computed`, `cached` and `unchanged`."""
    retries: Mapping[str, int]
    """Failed attempts that are made again, by class of error."""
    dead_letters: int
    running: bool
    outage: bool
    migration_progress: float | None = None
    """How much of the next generation is built, in 0..1; None when none stands beside the live one."""
    consistency: ConsistencyMetrics = NOT_VERIFIED
    words: WordMetrics | None = None
    """None while the log can not be asked, and where nothing keeps word rows."""
