"""Quality of searches as a script would measure it: questions from a graph, figures, kept runs, a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.test_cli import Cli

NAMES = ["Alpha", "Bravo", "Charlie", "Delta", "Golf", "Hotel", "Juliet", "Kilo", "Mike", "November", "Oscar", "Papa"]
PEOPLE = len(NAMES)


def _row(n: int) -> dict[str, object]:
    properties = {
        "id": f"p{n:02}",
        "name": f"Person {NAMES[n]}",
        "aliases": [f"{NAMES[n]} of Nowhere", f"Inhabitant {n} of a Town"],
        "description": f"The inhabitant of house {n}, who gardens in spring and sails in the summer of each year",
    }
    return {"type": "node", "id": str(n), "labels": ["Person"], "properties": properties}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    dump = tmp_path / "people.jsonl"
    dump.write_text("".join(json.dumps(_row(n)) + "\n" for n in range(PEOPLE)))
    cli.run("import", str(dump))
    return cli


def test_questions_are_made_asked_kept_and_compared(cli: Cli, tmp_path: Path) -> None:
    file, edited = tmp_path / "questions.jsonl", tmp_path / "edited.jsonl"
    made = cli.json("quality", "questions", "--out", str(file), "--seed", "3", "--hold-out-aliases", str(edited))
    assert made["classes"]["name"] == PEOPLE
    assert made["scarce"]["name"] == PEOPLE
    assert made["questions"] == len(file.read_text().splitlines())
    again = tmp_path / "again.jsonl"
    cli.run("quality", "questions", "--out", str(again), "--seed", "3", "--hold-out-aliases", str(edited))
    assert again.read_bytes() == file.read_bytes()
    assert made["taken_out"]
    lines = [json.loads(line) for line in edited.read_text().splitlines()]
    rows = {line["properties"]["id"]: line for line in lines if "labels" in line}
    assert len(rows) == PEOPLE
    for identity, aliases in made["taken_out"].items():
        assert not set(aliases) & set(rows[identity]["properties"].get("aliases", ()))
    other = Cli(tmp_path / "other")
    other.run("init")
    other.run("import", str(edited))
    found = other.json("quality", "search", str(file), "--half", "test", "--seed", "3")
    assert (found["id"], found["half"]) == (1, "test")
    assert 0 <= found["questions"] * 2 - made["questions"] <= len(made["classes"])
    assert {row["class"] for row in found["classes"]} == set(made["classes"])
    assert found["macro"]["arms"]["vector"]["recall_10"] > 0.5
    shown = other.run("quality", "search", str(file), "--half", "test", "--misses", "--arm", "vector")
    assert "recall@5 / recall@1" in shown
    assert "nothing expected among the first 5" in shown
    assert [run["id"] for run in other.json("quality", "searches")] == [1, 2]
    assert "measurements of searches" in other.run("quality", "searches")
    compared = other.json("quality", "searches", "--compare", "1", "2", "--arm", "vector")
    assert compared["questions"] == found["questions"]
    assert compared["macro"]["recall_5"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert "measurement 2 less 1" in other.run("quality", "searches", "--compare", "1", "2", "--arm", "vector")
    assert other.json("quality", "searches", "--compare", "1", "9", "--arm", "vector", code=2)["field"] == "id"
    assert other.json("quality", "searches", "--compare", "1", "2", "--arm", "none", code=2)["field"] == "arm"


def test_what_is_wrong_is_named(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "who?", "expected": ["p01"]}\n{"question": "who?"}\n')
    assert cli.json("quality", "search", str(file), code=2)["field"] == "questions line 2: expected"
    file.write_text('{"question": "who?", "expected": ["nobody"]}\n')
    assert "'nobody'" in cli.json("quality", "search", str(file), code=2)["message"]
    assert "can not be read" in cli.json("quality", "search", str(tmp_path / "none"), code=2)["message"]
    file.write_text('{"question": "who?", "expected": ["p01"]}\n')
    assert cli.json("quality", "search", str(file), "--arm", "none", code=2)["field"] == "arms"
    assert cli.json("quality", "search", str(file), "--tune", "--misses", code=2)["field"] == "--tune"
    assert "tuning half" in cli.json("quality", "search", str(file), "--half", "test", code=2)["message"]
    assert cli.json("quality", "questions", "--out", str(file), "--class", "unlisted", code=2)["field"] == "--class"
    assert cli.json("quality", "questions", "--out", str(file), "--class", "names", code=2)["field"] == "classes"
    assert cli.json("quality", "searches") == []


def test_questions_come_from_and_go_to_a_pipe(cli: Cli) -> None:
    lines = cli.run("quality", "questions", "--out", "-", "--class", "name", "--class", "plural")
    assert {json.loads(line)["class"] for line in lines.splitlines()} == {"name", "plural"}
    found = json.loads(cli.run("quality", "search", "-", "--json", stdin=lines))
    assert found["questions"] == len(lines.splitlines())


def test_a_migration_that_answers_worse_is_vetoed_by_its_class(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    cli.run("quality", "questions", "--out", str(file), "--class", "name", "--class", "alias")
    config = cli.directory / "slipstream.toml"
    text = config.read_text().replace("[quality]\n", "[quality]\nworse_max = 0.1\n")
    config.write_text(f'{text}\n[views.Person]\ntemplate = "alike"\n')
    cli.run("migrate", "start")
    vetoed = cli.json("migrate", "cut-over", "--queries", str(file), code=2)
    assert "recall@5 of class 'name' changed by -" in vetoed["message"]
    assert vetoed["comparison"]["gains"]["macro"]["high"] < -0.1
    assert cli.json("migrate", "status")["phase"] == "built"
    compared = cli.json("quality", "compare", "--queries", str(file), "--worse-max", "1")
    assert compared["passed"] is True


def test_better_weights_are_found_printed_and_judged(tmp_path: Path) -> None:
    """Each vector is that of another misspelled name: only names that are nearly the same find the right one."""
    cli, file, dump = Cli(tmp_path / "pkg"), tmp_path / "questions.jsonl", tmp_path / "people.jsonl"
    cli.run("init")
    weights = "\n[search.weights]\nfuzzy = 0.2\ncorrected = 0.0\nkeyword = 0.0\n"
    config = cli.directory / "slipstream.toml"
    config.write_text(
        config.read_text() + weights + '\n[views.Person]\ntemplate = "{{ lure }}"\nwords = { body = ["name"] }\n'
    )
    wrong = [f"Personne {name[:-1]}x" for name in NAMES]
    rows, lines = [], []
    for n, name in enumerate(NAMES):
        properties = {"id": f"p{n:02}", "name": f"Personne {name}", "lure": wrong[(n + 1) % PEOPLE]}
        rows.append(json.dumps({"type": "node", "id": str(n), "labels": ["Person"], "properties": properties}))
        lines.append(json.dumps({"question": wrong[n], "expected": [f"p{n:02}"]}))
    dump.write_text("\n".join(rows))
    file.write_text("\n".join(lines))
    cli.run("import", str(dump))
    found = cli.json("quality", "search", str(file), "--tune")
    assert found["is_better"]
    assert found["objective"] > found["objective_before"]
    config.write_text(config.read_text().replace(weights, f"\n{found['toml']}\n"))
    again = cli.json("quality", "search", str(file), "--tune", code=1)
    assert not again["is_better"]
    assert again["weights_before"] == found["weights"]
    assert cli.json("quality", "searches") == []
