"""The benchmark's verdicts and tables: a miss is a miss, and what was not measured is said to be so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipstream.bench.targets import TARGETS, Target, targets_as_dicts
from slipstream.cli.bench_command import _ROWS, _shown, show_figures


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target("x", 2.0, at_most=True), 2.0, True),
        (Target("x", 2.0, at_most=True), 2.001, False),
        (Target("x", 2.0, at_most=True, strict=True), 2.0, False),
        (Target("x", 0.9, at_most=False), 0.9, True),
        (Target("x", 0.9, at_most=False), 0.899, False),
        (Target("x", 100.0, at_most=False, strict=True), 100.0, False),
        (Target("x", 100.0, at_most=False, strict=True), 101, True),
        (Target("x", 100.0, at_most=False), None, None),
    ],
)
def test_a_target_is_met_missed_or_not_measured(target: Target, value: float | None, met: bool | None) -> None:
    assert target.is_met({"x": value}) is met


def test_a_figure_that_is_absent_is_not_measured() -> None:
    assert [entry["met"] for entry in targets_as_dicts({})] == [None] * len(TARGETS)


def _figures(**changes: Any) -> dict[str, Any]:
    names = {name for _, _, *figures, _ in _ROWS for name in figures if name}
    figures: dict[str, Any] = dict.fromkeys(names, 1.0) | changes
    machine = {"cpu": "some cpu", "cores": 2, "memory_mb": 1, "filesystem": "ext4", "load_before": 0.1}
    machine |= {"slipstream": "1", "python": "3"}
    return {
        **figures,
        "targets": targets_as_dicts(figures),
        "freshness_stages_ms": {"commit": 1.0},
        "freshness_raw_stages_ms": {"commit": 1.0},
        "notes": [],
        "machine": machine,
        "sizes": {"entities": 10},
    }


def test_every_target_is_a_row_and_a_miss_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    missed = {"freshness_ratio_p95": 2.5, "freshness_p95_ms": 1500.0, "model_ratio": 0.5}
    show_figures(_figures(**missed, model_updates_per_s=50.0, static_ratio=0.1))
    assert capsys.readouterr().out.count("MISSED") == len(TARGETS)


def test_met_targets_are_not_shown_as_missed(capsys: pytest.CaptureFixture[str]) -> None:
    show_figures(_figures(model_updates_per_s=500.0))
    printed = capsys.readouterr().out
    assert "MISSED" not in printed
    assert printed.count("yes") == len(TARGETS)


def test_what_is_not_measured_is_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    figures = _figures(static_updates_per_s=None, static_raw_per_s=None, static_ratio=None)
    show_figures({**figures, "notes": ["static model not measured: it is not [installed]"]})
    printed = capsys.readouterr().out
    assert "not measured" in printed
    assert "it is not [installed]" in printed


ROOT = Path(__file__).parents[2]
QUOTED = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def _recorded(kind: str) -> list[dict[str, Any]]:
    """Return the recorded runs that hold this figure, oldest first."""
    paths = sorted((ROOT / "bench" / "results").glob("*.json"))
    assert all(path.name in QUOTED for path in paths), "every recorded run is named in docs/benchmarks.md"
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [run for run in runs if kind in run]


def test_the_documentation_quotes_the_newest_full_run_as_it_is() -> None:
    figures = _recorded("freshness_p95_ms")[-1]
    section = QUOTED[QUOTED.index("## A recorded full run") : QUOTED.index("## Audits")]
    for _, unit, figure, raw, ratio, decimals in _ROWS:
        assert _shown(figures[figure], decimals, unit) in section
        assert raw is None or _shown(figures[raw], decimals, unit) in section
        assert ratio is None or _shown(figures[ratio], 2) in section
    assert section.count("**missed**") == sum(target["met"] is False for target in figures["targets"])


def test_the_documentation_quotes_the_newest_audits_as_they_are() -> None:
    section = QUOTED[QUOTED.index("## Audits") : QUOTED.index("## Migrations")]
    for run in _recorded("audits")[-1]["audits"]:
        row = next(line for line in section.splitlines() if line.startswith(f"| {run['entities']:,} |"))
        assert f"| {run['full']['memory_above_mb']:.0f} MB |" in row
        seconds = [run[name]["seconds"] for name in ("full", "incremental_first", "incremental_after_changes")]
        assert all(f"| {_two_digits(figure)} s |" in row for figure in seconds)
        fresh = run["beside_changes"]["freshness_p95_ms"]
        assert ", ".join(f"{fresh[name]:.1f}" for name in ("plain", "full", "incremental")) in row


def test_the_documentation_quotes_the_newest_migrations_as_they_are() -> None:
    section = QUOTED[QUOTED.index("## Migrations") : QUOTED.index("## What it says")]
    for run in _recorded("migrations")[-1]["migrations"].values():
        phases = [run["phases"][name]["freshness_p95_ms"] for name in ("before", "building", "behind")]
        assert ", ".join(f"{figure:.1f}" for figure in phases) + " ms" in section
        assert f"| {run['built_per_s']:,.0f}/s |" in section
        assert f"{run['slow_down_p95']:.2f}" in section


def test_the_documentation_quotes_the_runs_on_wordnet_as_they_are() -> None:
    section = QUOTED[QUOTED.index("## Beside the version before") : QUOTED.index("## What it says")]
    both, alone = ({target["label"]: target for target in run["targets"]} for run in _recorded("versions")[-2:])
    for label in ("nodes loaded", "relationships loaded"):
        assert f"{both[label]['old']:,.0f}/s | {both[label]['new']:,.0f}/s" in section
    for label in ("import until searchable", "verify, command line", "verify, in a program"):
        assert f"{both[label]['old']:.1f} s | {alone[label]['new']:.1f} s" in section
    commit = both["a single commit (update) p50"]
    assert f"{commit['old']:.2f} ms | {commit['new']:.2f} ms" in section
    assert f"{alone['a commit beside an import p95']['new']:.0f} ms" in section


def _two_digits(seconds: float) -> str:
    """Write seconds as the tables do: two digits that mean something, no more."""
    return f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}"
