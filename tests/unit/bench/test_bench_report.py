"""The benchmark's verdicts and tables: a miss is a miss, and what was not measured is said to be so."""

from __future__ import annotations

from typing import Any

import pytest

from slipstream.bench.targets import TARGETS, Target, targets_as_dicts
from slipstream.cli.bench_command import _ROWS, show_figures


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
