"""`slipstream bench`, as a user runs it: every figure is there and plausible. How high it is, no test can say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm

MEASURED = (
    "freshness_p50_ms",
    "freshness_p95_ms",
    "freshness_p99_ms",
    "freshness_raw_p50_ms",
    "freshness_raw_p95_ms",
    "freshness_raw_p99_ms",
    "freshness_ratio_p95",
    "model_updates_per_s",
    "model_raw_per_s",
    "model_ratio",
    "static_updates_per_s",
    "static_raw_per_s",
    "static_embed_raw_per_s",
    "index_raw_per_s",
    "static_ratio",
    "irrelevant_updates_per_s",
    "verify_entities_per_s",
    "import_entities_per_s",
    "import_rows_per_s",
    "startup_s",
    "startup_search_s",
    "peak_rss_mb",
)
SIZES = ("--quick", "--entities", "60", "--seconds", "1")


WITHOUT_STATIC_MODEL = "import sys; sys.modules['wordllama'] = None; "
"""As if the extra were not installed."""


def _bench(tmp_path: Path, *options: str, prelude: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{prelude}from slipstream.cli.app import main; main()"
    command = [sys.executable, "-c", program, "bench", *SIZES, *options]
    environment = {"TMPDIR": str(tmp_path), "PATH": "", "COLUMNS": "160", "HOME": str(tmp_path)}
    return subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment, check=False)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = _bench(tmp_path_factory.mktemp("bench"), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_figure_is_measured(figures: dict[str, Any]) -> None:
    assert {name: figures[name] for name in MEASURED if not figures[name] or figures[name] <= 0} == {}
    assert figures["pkg_peak_rss_mb"] is None  # only a full run measures it, and says so
    assert any("pkg_peak_rss_mb" in note for note in figures["notes"])


def test_percentiles_and_ratios_agree_with_each_other(figures: dict[str, Any]) -> None:
    for name in ("freshness", "freshness_raw"):
        assert figures[f"{name}_p50_ms"] <= figures[f"{name}_p95_ms"] <= figures[f"{name}_p99_ms"]
    ratio = figures["freshness_p95_ms"] / figures["freshness_raw_p95_ms"]
    assert figures["freshness_ratio_p95"] == pytest.approx(ratio, rel=0.01)
    assert figures["static_raw_per_s"] == min(figures["static_embed_raw_per_s"], figures["index_raw_per_s"])
    assert figures["model_ratio"] == pytest.approx(
        figures["model_updates_per_s"] / figures["model_raw_per_s"], rel=0.01
    )
    assert figures["freshness_stages_ms"]["embed"] > 0
    assert figures["freshness_samples"] == 20


def test_targets_sizes_and_machine_stand_beside_the_figures(figures: dict[str, Any]) -> None:
    assert {target["figure"] for target in figures["targets"]} == {
        "freshness_ratio_p95",
        "freshness_p95_ms",
        "model_ratio",
        "model_updates_per_s",
        "static_ratio",
    }
    assert all(target["met"] in (True, False) for target in figures["targets"])
    assert figures["sizes"]["relationships"] == 67
    assert {"cpu", "cores", "memory_mb", "filesystem", "load_before", "python", "slipstream", "packages"} <= figures[
        "machine"
    ].keys()


def test_without_the_static_model_the_table_says_so_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = _bench(tmp_path, "--seconds", "0.2", prelude=WITHOUT_STATIC_MODEL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("yes") + done.stdout.count("MISSED") == 4
    assert "static model not measured" in done.stdout
    assert "cores" in done.stdout
    assert not list(tmp_path.glob("slipstream-bench-*"))


def test_sizes_that_measure_nothing_are_refused(tmp_path: Path) -> None:
    done = _bench(tmp_path, "--json", "--entities", "1")
    assert done.returncode == 2
    assert json.loads(done.stdout)["field"] == "entities"


def test_audits_and_migrations_are_measured_too(tmp_path: Path) -> None:
    # Of 50 changes a second nothing would be left for a migration where other work has most of the machine.
    pace = "from slipstream.bench import migrations; migrations.CHANGES_PER_S = 5"
    program = f"{pace}; from slipstream.cli.app import main; main()"
    for command, options in (
        ("bench-audits", ["--entities", "300", "--seconds", "0.2"]),
        ("bench-migrations", ["--entities", "60", "--seconds", "0.5"]),
    ):
        run = [sys.executable, "-c", program, command, *options, "--json"]
        done = warm.run(run, capture_output=True, text=True, cwd=tmp_path, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        figures = json.loads(done.stdout)
        assert figures["machine"]["cores"] >= 1
        if command == "bench-audits":
            (found,) = figures["audits"]
            assert found["full"]["rows_graph"] == found["full"]["rows_index"] == 300
            assert found["relationships"] > 300
            assert found["incremental_unchanged"]["rows_graph"] == 0
            assert found["incremental_after_changes"]["rows_graph"] == found["incremental_after_changes"]["changes"]
        else:
            for case in figures["migrations"].values():
                assert case["consistency"] == [1.0, 1.0, 1.0]
                assert sum(phase["mixed_searches"] for phase in case["phases"].values()) == 0
                assert sum(phase["unanswered_searches"] for phase in case["phases"].values()) == 0
