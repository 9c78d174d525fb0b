"""Metrics for Prometheus (extra `metrics`): one table of names, and a page made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slipstream.domain.errors import ConfigError
from slipstream.domain.metrics import Histogram, MetricsSnapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Samples = Mapping[tuple[str, ...], float]
"""Values by the values of the labels."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One exported metric; `read` gives its value in a snapshot, None when that is unknown."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    read: Callable[[MetricsSnapshot], Histogram | Samples | float | None]
    labels: tuple[str, ...] = ()


def _labelled(values: Mapping[str, float]) -> Samples:
    return {(name,): value for name, value in values.items()}


def _last_verified(snapshot: MetricsSnapshot) -> float | None:
    at = snapshot.consistency.last_verified_at
    return None if at is None else at.timestamp()


METRICS = (
    MetricSpec(
        "slipstream_sync_lag_seconds",
        "histogram",
        "Time from a commit in the graph until it is searchable.",
        lambda s: s.lag,
    ),
    MetricSpec(
        "slipstream_sync_lag_events",
        "gauge",
        "Positions of the graph's log that the index does not reflect yet.",
        lambda s: s.lag_events,
    ),
    MetricSpec(
        "slipstream_oldest_pending_age_seconds",
        "gauge",
        "Age of the oldest mutation that is not searchable yet, 0 when there is none.",
        lambda s: s.oldest_pending_age_s,
    ),
    MetricSpec(
        "slipstream_queue_depth",
        "gauge",
        "Dirty keys held in memory, by lane.",
        lambda s: _labelled(s.queue_depth),
        ("lane",),
    ),
    MetricSpec(
        "slipstream_events_total",
        "counter",
        "Events read from the graph's log, by operation and outcome (accepted, irrelevant, dead_lettered).",
        lambda s: {(op, outcome): count for (op, outcome), count in s.events.items()},
        ("op", "outcome"),
    ),
    MetricSpec(
        "slipstream_stale_writes_fenced_total",
        "counter",
        "Writes that the index refused because it holds a newer position.",
        lambda s: s.fenced,
    ),
    MetricSpec(
        "slipstream_embeddings_total",
        "counter",
        "Reconciled records whose vector was computed, came from the cache, or needed no change.",
        lambda s: _labelled(s.embeddings),
        ("result",),
    ),
    MetricSpec(
        "slipstream_retries_total",
        "counter",
        "Failed attempts that are made again, by class of error; an outage counts once for each probe.",
        lambda s: _labelled(s.retries),
        ("reason",),
    ),
    MetricSpec(
        "slipstream_dead_letters",
        "gauge",
        "Keys and events that failed for good and wait for a decision.",
        lambda s: s.dead_letters,
    ),
    MetricSpec(
        "slipstream_engine_running",
        "gauge",
        "1 while the engine works, 0 when it is stopped, halted or dead.",
        lambda s: s.running,
    ),
    MetricSpec(
        "slipstream_engine_outage",
        "gauge",
        "1 while the engine waits for a graph, index or model that does not answer.",
        lambda s: s.outage,
    ),
    MetricSpec(
        "slipstream_migration_progress_ratio",
        "gauge",
        "How much of the next generation has been built beside the live one; absent when there is none.",
        lambda s: s.migration_progress,
    ),
    MetricSpec(
        "slipstream_words_lag_events",
        "gauge",
        "Positions of the graph's log that the word rows do not reflect yet.",
        lambda s: None if s.words is None else s.words.lag_events,
    ),
    MetricSpec(
        "slipstream_words_lag_seconds",
        "gauge",
        "Age of the oldest mutation that no word finds yet; while all rows are compared, for how long already.",
        lambda s: None if s.words is None else s.words.lag_s,
    ),
    MetricSpec(
        "slipstream_word_rows_total",
        "counter",
        "Word rows by what became of them (written, deleted, unchanged, failed).",
        lambda s: {} if s.words is None else _labelled(s.words.rows),
        ("result",),
    ),
    MetricSpec(
        "slipstream_words_scan_progress_ratio",
        "gauge",
        "How much of a comparison of all word rows is done; absent when there is none.",
        lambda s: None if s.words is None else s.words.scan_ratio,
    ),
    MetricSpec(
        "slipstream_consistency_ratio",
        "gauge",
        "Fresh vectors, or word rows, over expected ones, whichever is lower, as last verified; absent before.",
        lambda s: s.consistency.ratio,
    ),
    MetricSpec(
        "slipstream_divergences",
        "gauge",
        "Divergent keys as last verified, by kind; those of word rows are word_missing and so on.",
        lambda s: _labelled(s.consistency.divergences),
        ("kind",),
    ),
    MetricSpec(
        "slipstream_last_verified_timestamp_seconds",
        "gauge",
        "When both sides were last compared, in Unix time; absent before.",
        _last_verified,
    ),
    MetricSpec(
        "slipstream_repairs_total",
        "counter",
        "Divergent keys that were marked for repair, by kind.",
        lambda s: _labelled(s.consistency.repairs),
        ("kind",),
    ),
    MetricSpec(
        "slipstream_scrub_failing",
        "gauge",
        "1 while scheduled audits fail, or their thread is dead.",
        lambda s: s.consistency.scrub_failing,
    ),
    MetricSpec(
        "slipstream_alert_firing",
        "gauge",
        "1 while one of Slipstream's own alert rules fires.",
        lambda s: _labelled(s.consistency.alerts),
        ("rule",),
    ),
)
"""Every metric that is exported. The documentation, the alert rules and the dashboard are tested against it."""


class PrometheusExposition:
    """
    A page of metrics in Prometheus' text format, made from a snapshot for each call.

    It has its own registry: it shows nothing that the process registers elsewhere, and leaves nothing there.
    """

    def __init__(self, snapshot: Callable[[], MetricsSnapshot]) -> None:
        try:
            from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        except ImportError as error:
            raise ConfigError(
                "metrics need the Prometheus client, which is not installed: install slipstream-pkg[metrics]"
            ) from error
        self._snapshot = snapshot
        self._content_type = CONTENT_TYPE_LATEST
        self._generate = generate_latest
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    @property
    def content_type(self) -> str:
        """The media type of the page."""
        return self._content_type

    def render(self) -> bytes:
        """Return the metrics as they are now."""
        return self._generate(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not need a snapshot."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of one snapshot: what the registry asks a collector for."""
        snapshot = self._snapshot()
        for spec in METRICS:
            yield _family(spec, spec.read(snapshot))


def _family(spec: MetricSpec, value: Histogram | Samples | float | None) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if isinstance(value, Histogram):
        bounds = [*(repr(bound) for bound in value.bounds), "+Inf"]
        buckets = list(zip(bounds, value.counts, strict=True))
        return HistogramMetricFamily(spec.name, spec.help, buckets=buckets, sum_value=value.sum)
    kind = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    family = kind(spec.name, spec.help, labels=spec.labels)
    samples = value if isinstance(value, Mapping) else {} if value is None else {(): value}
    for labels, number in sorted(samples.items()):
        family.add_metric(labels, number)
    return family
