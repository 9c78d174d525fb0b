"""docs/monitoring.md, the alert rules and the dashboard: they name what is emitted, and all that is emitted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipstream.adapters.telemetry.prometheus import METRICS, MetricSpec
from slipstream.apply import spans
from slipstream.audit import auditor as audit
from slipstream.audit import repair
from slipstream.http import METRICS_PORT
from slipstream.http.tokens import TOKEN_CHARACTERS_MIN
from slipstream.search.searcher import SEARCH

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))

SERIES: dict[str, MetricSpec] = {
    spec.name + suffix: spec
    for spec in METRICS
    for suffix in (("_bucket", "_sum", "_count") if spec.kind == "histogram" else ("",))
}
"""The names under which Prometheus holds the metrics."""
TARGET_LABELS = {"job", "instance", "alertname", "alertstate"}
"""Labels that Prometheus adds itself."""


def _queries() -> Iterator[str]:
    for rule in RULES:
        yield rule["expr"]
    yield from _panel_queries()


def _panel_queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def _names(query: str) -> set[str]:
    return set(re.findall(r"\bslipstream_\w+", query))


def _labels(query: str) -> set[str]:
    lists = re.findall(r"\b(?:by|on|without|ignoring) \(([^)]*)\)", query)
    matchers = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query)
    return {label.strip() for listed in lists for label in listed.split(",")} | set(matchers)


@pytest.mark.parametrize("query", list(_queries()))
def test_rules_and_panels_ask_only_for_what_is_emitted(query: str) -> None:
    assert _names(query), "a query that asks for nothing of Slipstream"
    assert _names(query) <= SERIES.keys()
    known = {label for name in _names(query) for label in SERIES[name].labels}
    known |= {"le"} if any(name.endswith("_bucket") for name in _names(query)) else set()
    assert _labels(query) <= known | TARGET_LABELS


@pytest.mark.parametrize("query", list(_queries()))
def test_counters_are_only_looked_at_as_rates(query: str) -> None:
    for name in _names(query):
        if name.endswith(("_total", "_bucket", "_sum", "_count")):
            assert re.search(rf"\b(?:rate|increase)\({name}\b", query)


def test_the_dashboard_shows_every_metric() -> None:
    shown = {SERIES[name].name for query in _panel_queries() for name in _names(query)}
    assert shown == {spec.name for spec in METRICS}


def test_the_dashboard_is_well_formed() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        legends = {label for target in panel["targets"] for label in re.findall(r"{{(\w+)}}", target["legendFormat"])}
        known = {label for target in panel["targets"] for n in _names(target["expr"]) for label in SERIES[n].labels}
        assert legends <= known | TARGET_LABELS


def test_the_rules_watch_what_was_promised() -> None:
    watched = {name for rule in RULES for name in _names(rule["expr"])}
    assert watched >= {
        "slipstream_consistency_ratio",
        "slipstream_sync_lag_seconds_bucket",
        "slipstream_oldest_pending_age_seconds",
        "slipstream_dead_letters",
        "slipstream_last_verified_timestamp_seconds",
        "slipstream_engine_running",
        "slipstream_engine_outage",
        "slipstream_scrub_failing",
    }
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        mentioned = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        known = {label for name in _names(rule["expr"]) for label in SERIES[name].labels}
        assert mentioned <= known | TARGET_LABELS


def test_the_page_lists_exactly_the_metrics() -> None:
    listed = re.findall(r"^\| `(slipstream_\w+)` \|.*$", PAGE, re.MULTILINE)
    assert listed == [spec.name for spec in METRICS]
    for spec in METRICS:
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        assert f"\n| `{spec.name}` | {spec.kind} | {labels} | {spec.help} |\n" in PAGE
    assert _names(PAGE) <= {spec.name for spec in METRICS}


def test_the_page_lists_exactly_the_spans() -> None:
    listed = re.findall(r"^\| `(slipstream\.\w+|embeddings \{model\})` \|", PAGE, re.MULTILINE)
    assert listed == [
        spans.INTAKE,
        spans.PREPARE,
        spans.EMBED,
        "embeddings {model}",
        spans.WRITE,
        SEARCH,
        audit.SPAN,
        repair.SPAN,
    ]


def test_the_limits_on_the_page_are_the_real_ones() -> None:
    assert f"at least {TOKEN_CHARACTERS_MIN} characters" in PAGE
    assert f'serve(slip, "{METRICS_PORT}")' in PAGE
    scraping = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert set(scraping) == {"scrape_configs", "rule_files"}
    assert [(DEPLOY / "prometheus" / name).is_file() for name in scraping["rule_files"]] == [True]
    [job] = scraping["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{METRICS_PORT}"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_run(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippets) == 3
    monkeypatch.chdir(tmp_path)
    exec(compile(snippets[number].replace(f"{METRICS_PORT}", "0"), "monitoring.md", "exec"), {})  # noqa: S102  (our own page)
    assert ("/metrics" in capsys.readouterr().out) == (number == 0)
