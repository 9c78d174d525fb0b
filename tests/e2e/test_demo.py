"""The demo, small: every chapter holds."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from slipstream.cli.app import app


def test_every_chapter_of_the_demo_holds(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--dir", str(tmp_path), "demo", "--entities", "200", "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    facts = json.loads(result.stdout)
    assert facts["held"]
    assert facts["capture"]["entities"] == 200
    assert facts["backfill"]["embedded"] > 100
    assert facts["live"]["embedded"] <= facts["live"]["edits"] + facts["live"]["irrelevant"]
    assert facts["live"]["p50_ms"] <= facts["live"]["p95_ms"] <= facts["live"]["p99_ms"]
    assert (facts["kill"]["exit_code"], facts["kill"]["lost"]) == (-9, 0)
    assert facts["kill"]["head"] >= facts["kill"]["acknowledged_position"] > 0
    assert facts["tamper"]["found"] | facts["tamper"]["tampered"] == facts["tamper"]["found"]
    assert all(answer["hits"] for answer in facts["searches"])
    assert facts["totals"]["consistency"] == 1.0


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "slipstream-demo"
    folder.mkdir()
    (folder / "precious").write_text("mine")
    result = CliRunner().invoke(app, ["--dir", str(tmp_path), "demo", "--json"])
    assert result.exit_code == 2
    assert (folder / "precious").read_text() == "mine"
