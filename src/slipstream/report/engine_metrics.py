"""The engine's numbers for monitoring: complete also while a store is down, for then they are looked at."""

from __future__ import annotations

import logging

from slipstream.domain.errors import SlipstreamError
from slipstream.domain.journal_names import MIGRATION_SCAN
from slipstream.domain.metrics import NOT_VERIFIED, ConsistencyMetrics, MetricsSnapshot, WordMetrics
from slipstream.engine.facts import SyncStatus
from slipstream.engine.loop import SyncEngine
from slipstream.engine.runner import Sync
from slipstream.engine.word_facts import WordsStatus

logger = logging.getLogger(__name__)


def metrics_of(sync: Sync, consistency: ConsistencyMetrics = NOT_VERIFIED) -> MetricsSnapshot:
    """Return everything that is exported; what only a store knows is missing while it does not answer."""
    engine, status = sync.engine, _status(sync)
    migration_progress = _migration_progress(engine)  # asks the graph: not under the engine's lock
    with engine.changed:
        stats, counters = engine.stats, engine.stats.counters
        return MetricsSnapshot(
            lag=stats.lag(),
            lag_events=status.lag_events if status else None,
            oldest_pending_age_s=status.lag_s if status else None,
            queue_depth={lane.name.lower(): count for lane, count in engine.pending().items()},
            events=dict(stats.outcomes),
            fenced=counters["fenced"],
            embeddings={
                "computed": counters["embedded"],
                "cached": counters["cached"],
                "unchanged": counters["unchanged"] + counters["restamped"],
            },
            retries=dict(stats.retries),
            dead_letters=status.dead_letters if status else engine.letter_count,
            running=sync.running and sync.failure is None,
            outage=status is None or engine.outage is not None,
            migration_progress=migration_progress,
            consistency=consistency,
            words=None if status is None else _words(status.words),
        )


def _words(words: WordsStatus | None) -> WordMetrics | None:
    if words is None:
        return None
    scan = words.scan
    ratio = None if scan is None else scan.done / max(1, scan.total)
    return WordMetrics(lag_events=words.lag_events, lag_s=words.lag_s, rows=dict(words.counters), scan_ratio=ratio)


def _migration_progress(engine: SyncEngine) -> float | None:
    if engine.recipes.pair.other is None:
        return None
    progress = engine.intake_stage.progress().get(MIGRATION_SCAN)
    return 1.0 if progress is None else progress.ratio


def _status(sync: Sync) -> SyncStatus | None:
    try:
        return sync.status()
    except SlipstreamError as error:
        logger.warning("metrics without lag: %s: %s", type(error).__name__, error)
        return None
