"""A full disk: alerts are told and resolved, the status answers, also when the alerts' own state finds no room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.preload import ROOT, built


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("preload"))


def run(library: Path, directory: Path, full: str) -> list[dict[str, Any]]:
    """Return what the worker said, line by line."""
    worker = subprocess.run(
        [sys.executable, "-m", "tests.faults.full_disk_worker", str(directory), full],
        env={**os.environ, "LD_PRELOAD": str(library)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert worker.returncode == 0, worker.stderr
    return [json.loads(line) for line in worker.stdout.splitlines()]


@pytest.mark.parametrize(("full", "can_keep"), [("index.db", True), ("", False)], ids=["the index", "everything"])
def test_a_full_disk_is_told_and_resolved_while_the_status_answers(
    library: Path, tmp_path: Path, full: str, can_keep: bool
) -> None:
    said = run(library, tmp_path / "pkg", full)
    turns = [line["told"] for line in said if "told" in line]
    assert sorted(turns) == ["disk firing", "disk resolved", "outage firing", "outage resolved"]
    assert len({line["incident"] for line in said if "told" in line}) == 2
    during, after = (line for line in said if "told" not in line)
    assert during["outage"].startswith("DiskFullError: ")
    assert {"disk", "outage"} <= set(during["firing"])
    assert (during["unknown"], during["lag_events"] > 0) == ({}, True)
    assert (during["alerts_unkept"] is None) == can_keep
    assert after == {"alerts_unkept": None, "embeddings": 1}
