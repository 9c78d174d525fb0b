"""A migration as a script would do it: edit slipstream.toml, build, look, cut over, go back, end it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.app.composition.factories import model_for_new
from slipstream.cli.app import app
from tests import warm
from tests.e2e.test_cli import Cli

PEOPLE = 30


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    rows = [
        {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": f"p{n:02}", "name": f"Person {n}"}}
        for n in range(PEOPLE)
    ]
    dump = tmp_path / "people.jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cli.run("import", str(dump))
    return cli


def edit(cli: Cli, old: str, new: str) -> None:
    path = cli.directory / "slipstream.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def answering(cli: Cli) -> set[str]:
    return {hit["model_id"] for hit in cli.json("search", "Person 7")}


MINILM, STATIC = model_for_new(), "wordllama-l2"
OTHER_MINILM = next(model for model in ("minilm-l6-v2", "minilm-l6-v2-int8") if model != MINILM)


@pytest.mark.parametrize(("new", "dimension"), [(STATIC, 256), (OTHER_MINILM, 384)])
def test_a_model_is_replaced_and_search_never_stops(cli: Cli, new: str, dimension: int) -> None:
    edit(cli, f'default = "{MINILM}"', f'default = "{new}"')
    assert answering(cli) == {MINILM}
    plan = cli.json("migrate", "start", "--dry-run")
    assert (plan["texts"], plan["types"]) == (PEOPLE, {"Person": PEOPLE})
    assert plan["tokens"] > 0
    assert plan["disk_bytes"] > PEOPLE * dimension * 4
    assert cli.json("migrate", "status")["phase"] == "alone"
    started = cli.json("migrate", "start")
    assert started["phase"] == "built"
    assert [name.split()[0] for name in started["spaces"]["Person"]] == [MINILM, new]
    assert answering(cli) == {MINILM}
    assert cli.json("migrate", "audit")["consistency"] == 1.0
    assert cli.json("migrate", "cut-over")["consistency"] == 1.0
    assert answering(cli) == {new}
    assert cli.json("migrate", "roll-back")["phase"] == "built"
    assert answering(cli) == {MINILM}
    cli.run("migrate", "cut-over")
    assert cli.json("migrate", "drop")["phase"] == "alone"
    assert answering(cli) == {new}
    assert cli.json("status")["embeddings_by_model"] == {new: PEOPLE}
    assert cli.json("verify")["consistency"] == 1.0


KEPT_GOING = (
    ("search", "Person 7"),
    ("status",),
    ("query", "MATCH (p:Person) RETURN count(p)"),
    ("query", "CREATE (:Person {id: 'late', name: 'Late'})", "--write"),
    ("reembed", "--id", "p07"),
    ("verify",),
    ("repair",),
    ("dead-letters", "list"),
    ("schema", "history"),
)


def test_commands_go_on_with_the_models_in_force_and_warn(cli: Cli) -> None:
    edit(cli, f'default = "{MINILM}"', f'default = "{STATIC}"')
    for command in KEPT_GOING:
        result = cli.runner.invoke(app, ["--dir", str(cli.directory), *command, "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) is not None
        (warning,) = result.stderr.splitlines()
        assert warning.startswith("warning: the recipe in force is kept")
        assert f"Person: {MINILM} version" in warning
        assert f"-> {STATIC} version" in warning
        assert "slipstream migrate start" in warning
    assert cli.json("migrate", "status")["phase"] == "alone"
    assert cli.json("status")["embeddings_by_model"] == {MINILM: PEOPLE + 1}


def test_a_running_pkg_is_migrated_from_another_process(cli: Cli) -> None:
    edit(cli, f'default = "{MINILM}"', f'default = "{STATIC}"')
    command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "run"]
    with warm.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = "".join(iter(process.stderr.readline, "running; Ctrl-C ends\n"))
            assert "slipstream migrate start" in said
            assert answering(cli) == {MINILM}
            started = cli.json("migrate", "start")
            assert started["phase"] == "built"
            assert [name.split()[0] for name in started["spaces"]["Person"]] == [MINILM, STATIC]
            assert cli.json("migrate", "cut-over")["consistency"] == 1.0
            assert answering(cli) == {STATIC}
            assert cli.json("status")["dead_letters"] == 0
        finally:
            process.send_signal(signal.SIGTERM)
            ended, _ = process.communicate(timeout=60)
    assert "nothing is lost" in ended
    assert cli.json("migrate", "status")["phase"] == "retired"
    assert answering(cli) == {STATIC}


def test_an_edited_template_is_built_beside_the_old_one(cli: Cli) -> None:
    with (cli.directory / "slipstream.toml").open("a") as file:
        file.write('\n[views.Person]\ntemplate = "{{ name }}, a person"\n')
    started = cli.json("migrate", "start", "--no-wait")
    assert started["phase"] in ("building", "built")
    assert cli.json("migrate", "pause")["paused"] is True
    assert cli.json("migrate", "resume")["phase"] == "built"
    assert cli.json("search", "Person 7")[0]["text"] == "Person 7"
    cli.run("migrate", "cut-over")
    assert cli.json("search", "Person 7")[0]["text"] == "Person 7, a person"


def test_what_does_not_fit_the_phase_is_refused_by_name(cli: Cli) -> None:
    for command in ("cut-over", "roll-back", "drop", "pause", "resume", "audit"):
        assert "migration is alone" in cli.json("migrate", command, code=2)["message"]
    assert "nothing to migrate" in cli.json("migrate", "start", code=2)["message"]
    missing = cli.json("migrate", "start", "--config", "no-such.toml", code=2)
    assert "can not be read" in missing["message"]
