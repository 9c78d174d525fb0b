"""Quality as a script would look at it: run, list, embed anew, the trend, and a gate that vetoes a cut-over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.test_cli import Cli

PEOPLE = 30


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    rows = [
        {
            "type": "node",
            "id": str(n),
            "labels": ["Person"],
            "properties": {"id": f"p{n:02}", "name": f"Person {n}", "extraction_confidence": 0.3 if n < 2 else 0.9},
        }
        for n in range(PEOPLE)
    ]
    dump = tmp_path / "people.jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cli.run("import", str(dump))
    return cli


def test_a_run_is_listed_embedded_anew_and_kept(cli: Cli, tmp_path: Path) -> None:
    assert "slipstream quality run" in cli.json("quality", "list", code=2)["message"]
    found = cli.json("quality", "run", "--sample", "10", "--report", str(tmp_path / "page"))
    assert (found["records"], found["sampled"], found["counts"]["invalid"]) == (PEOPLE, 10, 0)
    assert "Quality of 30 records" in (tmp_path / "page.html").read_text()
    weak = cli.json("quality", "list", "--confidence-below", "0.5")
    assert [row["key"] for row in weak] == ["e:p00", "e:p01"]
    assert cli.json("quality", "reembed", code=2)["field"] == "reembed"
    assert cli.json("quality", "reembed", "--confidence-below", "0.5") == {"marked": 2}
    assert [run["id"] for run in cli.json("quality", "trend")] == [1]


def test_a_gate_vetoes_the_cut_over(cli: Cli, tmp_path: Path) -> None:
    with (cli.directory / "slipstream.toml").open("a") as file:
        file.write('\n[views.Person]\ntemplate = "alike"\n')
    config = cli.directory / "slipstream.toml"
    config.write_text(config.read_text().replace("[quality]\n", "[quality]\nmrr_min = 0.9\n"))
    cli.run("migrate", "start")
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"query": "Person 7", "expected": ["p07"]}\n')
    data = cli.json("quality", "compare", "--queries", str(queries), "--report", str(tmp_path / "gate"), code=1)
    assert data["passed"] is False
    assert "Vetoed" in (tmp_path / "gate.html").read_text()
    vetoed = cli.json("migrate", "cut-over", "--queries", str(queries), code=2)
    assert "vetoed" in vetoed["message"]
    assert vetoed["comparison"]["summary"]["mrr_old"] == 1.0
    assert vetoed["comparison"]["reasons"]
    shown = cli.run("migrate", "cut-over", "--queries", str(queries), code=2)
    assert "mrr_old" in shown
    assert "overlap" in shown
    assert cli.json("migrate", "status")["phase"] == "built"
    queries.write_text('{"query": 7}\n')
    assert cli.json("quality", "compare", "--queries", str(queries), code=2)["field"] == "queries line 1: query"


def _edit_template(cli: Cli) -> None:
    with (cli.directory / "slipstream.toml").open("a") as file:
        file.write('\n[views.Person]\ntemplate = "{{ name }}, a person"\n')
    cli.run("migrate", "start")


def test_a_cut_over_shows_what_it_compared_without_any_threshold(cli: Cli, tmp_path: Path) -> None:
    _edit_template(cli)
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"query": "Person 7", "expected": ["p07"]}\n{"query": "Person 8"}\n')
    page = tmp_path / "page.html"
    shown = cli.run("migrate", "cut-over", "--queries", str(queries), "--report", str(tmp_path / "page"))
    assert shown.index("overlap") < shown.index("cut over:")
    assert "recall_new" in shown
    assert "Person 8" in shown
    assert "Generations compared" in page.read_text()
    cli.run("migrate", "roll-back")
    data = cli.json("migrate", "cut-over", "--sample", "10")
    assert data["consistency"] == 1.0
    assert (data["comparison"]["sampled"], data["comparison"]["queries"]) == (10, [])


def test_an_expected_id_that_nothing_has_stops_the_cut_over(cli: Cli, tmp_path: Path) -> None:
    _edit_template(cli)
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"query": "Person 7", "expected": ["nonexistent"]}\n')
    for command in (("migrate", "cut-over"), ("quality", "compare")):
        refused = cli.json(*command, "--queries", str(queries), code=2)
        assert refused["field"] == "queries: expected"
        assert "'nonexistent'" in refused["message"]
    assert cli.json("migrate", "status")["phase"] == "built"


def test_the_comparison_can_be_skipped_by_name_only(cli: Cli, tmp_path: Path) -> None:
    config = cli.directory / "slipstream.toml"
    config.write_text(config.read_text().replace("[quality]\n", "[quality]\nrecall_min = 0.9\n"))
    _edit_template(cli)
    assert "not measured" in cli.json("migrate", "cut-over", code=2)["message"]
    both = cli.json("migrate", "cut-over", "--skip-comparison", "--report", str(tmp_path / "page"), code=2)
    assert both["field"] == "--skip-comparison"
    assert "comparison" not in cli.json("migrate", "cut-over", "--skip-comparison")
    assert cli.json("migrate", "status")["phase"] == "retired"


def test_a_record_shows_its_figures_and_how_its_confidence_went(cli: Cli, tmp_path: Path) -> None:
    assert "no kept run looked at it" in cli.run("quality", "show", "p00")
    found = cli.json("quality", "run", "--sample", "all")
    assert (found["sampled"], found["self_sampled"], found["notes"]) == (PEOPLE, PEOPLE, [])
    better = tmp_path / "better.jsonl"
    row = {"type": "node", "id": "0", "labels": ["Person"], "properties": {"id": "p00", "extraction_confidence": 0.8}}
    better.write_text(json.dumps(row) + "\n")
    cli.run("import", str(better))
    cli.run("quality", "run", "--sample", "all")
    shown = cli.json("quality", "show", "p00", "--report", str(tmp_path / "p00"))
    assert [run["confidence"] for run in shown["runs"]] == [0.3, 0.8]
    assert (shown["confidence_change"], shown["embedded_confidence"]) == (0.5, 0.8)
    assert "+0.5 over the kept runs" in (tmp_path / "p00.html").read_text()
    assert "+0.5 over" in cli.run("quality", "show", "p00")
    assert cli.json("quality", "show", "nobody", code=2)["field"] == "id"
    assert cli.json("quality", "run", "--sample", "some", code=2)["field"] == "--sample"
