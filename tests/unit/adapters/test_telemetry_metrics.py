"""What the engine counts for monitoring, and the page that Prometheus reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from slipstream.adapters.telemetry.prometheus import METRICS, PrometheusExposition
from slipstream.domain.errors import ConfigError, PoisonEventError, RateLimitedError, UnavailableError
from slipstream.domain.metrics import ConsistencyMetrics, Histogram
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import LAG_BOUNDS_S, REASONS_MAX, SyncStats
from slipstream.report.engine_metrics import metrics_of
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View


def _families(system: MemorySystem, consistency: ConsistencyMetrics | None = None) -> dict[str, Metric]:
    page = PrometheusExposition(lambda: metrics_of(system.sync, consistency or ConsistencyMetrics()))
    return {family.name: family for family in text_string_to_metric_families(page.render().decode())}


def _values(family: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_the_histogram_is_cumulative_and_its_bounds_are_inclusive() -> None:
    stats = SyncStats()
    stats.observe([0.005, 0.0051, 0.4, 1.0, 7_200.0])
    lag = stats.lag()
    counts = dict(zip(lag.bounds, lag.counts[:-1], strict=True))
    assert (counts[0.005], counts[0.01], counts[0.25], counts[0.5], counts[1.0]) == (1, 2, 2, 3, 4)
    assert (counts[3_600.0], lag.count) == (4, 5)
    assert lag.sum == pytest.approx(7_201.4101)
    assert LAG_BOUNDS_S[0] == 0.005
    assert list(LAG_BOUNDS_S) == sorted(LAG_BOUNDS_S)


def test_a_clock_that_was_set_back_never_makes_the_sum_shrink() -> None:
    stats = SyncStats()
    stats.observe([0.5, -3.0])
    assert stats.lag() == Histogram(LAG_BOUNDS_S, (1, 1, 1, 1, 1, 1, *(2 for _ in LAG_BOUNDS_S[6:]), 2), 0.5)


def test_reasons_of_retries_are_bounded() -> None:
    stats = SyncStats()
    for number in range(100):
        stats.note_retry(type(f"Error{number}", (Exception,), {})())
    stats.note_retry(type("Error0", (Exception,), {})())
    assert len(stats.retries) == REASONS_MAX + 1
    assert stats.retries["Error0"] == 2
    assert stats.retries["other"] == 100 - REASONS_MAX


def test_the_snapshot_counts_what_happened() -> None:
    system = MemorySystem(views=[View(type="Person", template="{{ name }}")])
    system.graph.create_entity("Person", "ada", {"name": "Ada", "age": 36})
    system.settle()
    system.graph.update_entity("ada", {"age": 37})
    system.graph.update_entity("ada", {"name": "Augusta"})
    system.graph.delete_entity("ada")
    system.settle()
    snapshot = metrics_of(system.sync)
    assert {key: count for key, count in snapshot.events.items() if key[0] != "schema_evolved"} == {
        ("entity_created", "accepted"): 1,
        ("entity_updated", "irrelevant"): 1,
        ("entity_updated", "accepted"): 1,
        ("entity_deleted", "accepted"): 1,
    }
    assert sum(snapshot.events.values()) == system.sync.status().counters["events"] == system.graph.feed.head()
    assert snapshot.embeddings["computed"] == 1
    assert snapshot.lag.count == 2  # the two batches; what was dirtied again in one was one key
    assert snapshot.queue_depth == {"live": 0, "retry": 0, "migration": 0, "repair": 0, "backfill": 0}
    assert (snapshot.lag_events, snapshot.oldest_pending_age_s, snapshot.dead_letters) == (0, 0.0, 0)
    assert not snapshot.running


def test_what_waits_is_seen_with_its_age() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.intake()
    system.clock.sleep(7.0)
    snapshot = metrics_of(system.sync)
    assert snapshot.queue_depth["live"] == 1
    assert snapshot.oldest_pending_age_s == pytest.approx(7.0, abs=0.1)
    assert snapshot.lag_events == system.graph.feed.head() - system.engine.frontier == 1
    system.settle()
    after = metrics_of(system.sync)
    assert (after.lag.count, after.lag.counts[LAG_BOUNDS_S.index(5.0)]) == (1, 0)
    assert after.lag.sum == pytest.approx(7.0, abs=0.1)


def test_retries_are_counted_by_their_class_and_dead_letters_show() -> None:
    failures: list[Exception] = [
        UnavailableError("down"),
        RateLimitedError("slow", retry_after_s=0.1),
        ValueError("odd"),
        PoisonEventError("bad"),
    ]

    def hook(name: str) -> None:
        if name == "embed.before" and failures:
            raise failures.pop(0)

    system = MemorySystem(hook=hook, settings=SyncSettings(attempts_max=5))
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    snapshot = metrics_of(system.sync)
    assert snapshot.retries == {"UnavailableError": 1, "RateLimitedError": 1, "ValueError": 1}
    assert snapshot.dead_letters == 1


def test_a_fenced_write_is_counted() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.engine.intake()
    claims = system.engine.take()
    late = system.engine.prepare(claims)
    results = system.engine.embed(late)
    system.graph.delete_entity("ada")
    other = MemorySystem(index=system.index)  # another worker over the same index deletes first
    other.graph, other.journal = system.graph, other.journal
    other.reopen()
    other.settle()
    system.engine.write(claims, late, results)
    assert _values(_families(system)["slipstream_stale_writes_fenced"]) == {(): 1.0}


def test_the_page_has_exactly_the_metrics_of_the_table() -> None:
    families = _families(MemorySystem())
    assert {
        (f.name + ("_total" if f.type == "counter" else ""), f.type, f.documentation) for f in families.values()
    } == {(spec.name, spec.kind, spec.help) for spec in METRICS}
    assert len({spec.name for spec in METRICS}) == len(METRICS)


def test_names_follow_the_conventions() -> None:
    for spec in METRICS:
        assert spec.name.startswith("slipstream_")
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert not {"id", "entity_id", "key", "entity", "name"} & set(spec.labels)


def test_what_was_verified_is_shown_and_before_it_is_absent() -> None:
    system = MemorySystem()
    before = _families(system)
    assert before["slipstream_consistency_ratio"].samples == []
    assert before["slipstream_last_verified_timestamp_seconds"].samples == []
    at = datetime(2026, 1, 1, tzinfo=UTC)
    found = ConsistencyMetrics(
        ratio=0.9975,
        divergences={"missing": 2, "stale": 0},
        last_verified_at=at,
        repairs={"missing": 5},
        alerts={"consistency": True, "lag": False},
        scrub_failing=True,
    )
    after = _families(system, found)
    assert _values(after["slipstream_consistency_ratio"]) == {(): 0.9975}
    assert _values(after["slipstream_last_verified_timestamp_seconds"]) == {(): at.timestamp()}
    assert _values(after["slipstream_divergences"]) == {("missing",): 2.0, ("stale",): 0.0}
    assert _values(after["slipstream_repairs"]) == {("missing",): 5.0}
    assert before["slipstream_scrub_failing"].samples == []
    assert _values(after["slipstream_scrub_failing"]) == {(): 1.0}
    assert _values(after["slipstream_alert_firing"]) == {("consistency",): 1.0, ("lag",): 0.0}


def test_nothing_is_left_in_the_global_registry() -> None:
    def names(families: Iterable[Metric]) -> set[str]:
        return {family.name for family in families}

    _families(MemorySystem())
    assert not {name for name in names(REGISTRY.collect()) if name.startswith("slipstream")}


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    system = MemorySystem()
    with pytest.raises(ConfigError, match=r"slipstream-pkg\[metrics\]"):
        PrometheusExposition(lambda: metrics_of(system.sync))
