"""The demo, small: every chapter holds; what is not its own it leaves alone; an interruption leaves no worker."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipstream.app.composition import initialise, open_pkg
from slipstream.audit.classes import CLASSES
from slipstream.cli.app import app
from slipstream.demo.corpus.edits import live_edits
from slipstream.demo.editing import Expected, apply_edit, entities_of
from slipstream.demo.place import FOLDER, MARK
from tests import warm

LEFT_OVER = "left-over"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the demo works: an earlier one has been there."""
    folder = tmp_path_factory.mktemp("demo")
    initialise(folder / FOLDER)
    for name in (MARK, LEFT_OVER):
        (folder / FOLDER / name).touch()
    return folder


@pytest.fixture(scope="module")
def facts(place: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["--dir", str(place), "demo", "--entities", "300", "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def test_everything_held(facts: dict[str, Any]) -> None:
    assert facts["held"]
    assert len(facts["checks"]) == 12
    assert all(facts["checks"].values())
    assert facts["seconds"] > 0
    assert facts["peak_rss_mb"] > 50


def test_the_graph_is_captured_and_embedded(facts: dict[str, Any]) -> None:
    capture, backfill = facts["capture"], facts["backfill"]
    assert capture["entities"] == sum(capture["entities_by_type"].values()) == backfill["embedded"] == 300
    assert capture["relationships"] == sum(capture["relationships_by_type"].values()) > 100
    assert {"CodeEntity", "Package", "Concept", "Event", "Document"} <= capture["entities_by_type"].keys()
    assert capture["rows_per_s"] > 0
    assert backfill["consistency"] == 1.0


def test_live_edits_are_timed_and_irrelevant_ones_cost_nothing(facts: dict[str, Any]) -> None:
    live = facts["live"]
    assert sum(live["edits_by_kind"].values()) == live["edits"] == 100
    assert live["irrelevant"] > 0
    assert live["irrelevant_embedded"] == 0
    assert live["embedded_by_kind"]["create"] == live["edits_by_kind"]["create"] > 0
    assert len(live["latencies_ms"]) == 100 - live["irrelevant"]
    assert 0 < live["p50_ms"] <= live["p95_ms"] <= live["p99_ms"]


def test_the_killed_worker_lost_nothing(facts: dict[str, Any]) -> None:
    kill = facts["kill"]
    assert (kill["exit_code"], kill["lost"], kill["consistency"]) == (-signal.SIGKILL, 0, 1.0)
    assert kill["acknowledged"] >= 150
    assert kill["head"] >= kill["position"] > 0
    assert not any(kill["divergences"].values())


def test_every_damage_is_found_by_its_class_and_repaired(facts: dict[str, Any]) -> None:
    tampering = facts["tampering"]
    assert tampering["damaged"] == dict.fromkeys([name for name in CLASSES if name != "drifted"], 3)
    assert tampering["found"] == {**tampering["damaged"], "drifted": 0}
    assert tampering["consistency_before"] < 1.0 == tampering["consistency"]
    assert (tampering["repaired"], tampering["repaired_again"]) == (21, 0)


def test_arbitrary_cypher_is_found_both_times(facts: dict[str, Any]) -> None:
    rewriting = facts["rewriting"]
    assert rewriting["hits"] == rewriting["topics"] == 5
    assert rewriting["hits_after_undoing"] == 0
    assert 5 <= rewriting["embedded"] <= 5 + rewriting["packages"]


def test_questions_are_answered_as_they_were_asked(facts: dict[str, Any]) -> None:
    answers = facts["searches"]
    assert len(answers) == 4
    for answer in answers:
        scores = [hit["score"] for hit in answer["hits"]]
        assert scores == sorted(scores, reverse=True)
        wanted = answer["question"]["entity_type"]
        assert all(wanted in (None, hit["type"]) for hit in answer["hits"])
        assert any(hit["neighbours"] for hit in answer["hits"]) == (answer["question"]["expand"] > 0)


def test_the_pkg_stays_and_agrees(facts: dict[str, Any], place: Path) -> None:
    with open_pkg(place / FOLDER, run=False) as slip:
        report = slip.verify()
    assert report.is_consistent
    assert (report.total_entities, report.total_embeddings) == (
        facts["totals"]["entities"],
        facts["totals"]["embeddings"],
    )


@pytest.mark.usefixtures("facts")
def test_an_earlier_one_is_replaced(facts: dict[str, Any], place: Path) -> None:
    assert facts["backfill"]["embedded"] == 300
    assert not (place / FOLDER / LEFT_OVER).exists()


def test_keep_goes_on_with_it(facts: dict[str, Any], place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / FOLDER, tmp_path / FOLDER)
    (tmp_path / FOLDER / LEFT_OVER).touch()
    kept = CliRunner().invoke(app, ["--dir", str(tmp_path), "demo", "--keep", "--entities", "300", "--json"])
    assert kept.exit_code == 0, (kept.output, kept.exception)
    assert json.loads(kept.stdout)["backfill"]["embedded"] < 300  # only what the first demo had edited
    assert (tmp_path / FOLDER / LEFT_OVER).exists()


def test_a_lost_edit_would_be_noticed(facts: dict[str, Any], place: Path, tmp_path: Path) -> None:
    assert facts["kill"]["lost"] == 0
    shutil.copytree(place / FOLDER, tmp_path / FOLDER)
    with open_pkg(tmp_path / FOLDER, run=False) as slip:
        edits = live_edits(entities_of(slip), seed=3)
        applied = [next(edits) for _ in range(20)]
        for edit in applied:
            apply_edit(slip.pkg, edit)
        expected = Expected()
        expected.follow(applied)
        assert expected.differing(slip.pkg) == set()
        expected.follow([lost := next(edits)])  # told, but never committed
        assert lost.entity.key in expected.differing(slip.pkg)


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    assert CliRunner().invoke(app, ["--dir", str(folder), "init"]).exit_code == 0
    result = CliRunner().invoke(app, ["--dir", str(tmp_path), "demo", "--json"])
    assert result.exit_code == 2
    assert (folder / "slipstream.toml").exists()
    assert not (folder / MARK).exists()


def test_a_demo_that_is_open_elsewhere_is_not_removed(facts: dict[str, Any], place: Path) -> None:
    with open_pkg(Path(facts["directory"]), run=False):
        result = CliRunner().invoke(app, ["--dir", str(place), "demo", "--json"])
    assert result.exit_code == 2
    assert (place / FOLDER / ".slipstream" / "graph.db").exists()


def test_an_interruption_ends_cleanly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "slipstream", "--dir", str(tmp_path), "demo", "--entities", "300"]
    with warm.Popen[str](command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("3."):  # the worker is being started
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    with open_pkg(tmp_path / FOLDER, run=False) as slip:  # nobody holds it any more: the worker is gone
        assert slip.status().head > 0
