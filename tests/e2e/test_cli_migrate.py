"""A migration as a script would do it: edit slipstream.toml, build, look, cut over, go back, end it."""

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


MINILM, STATIC = "minilm-l6-v2", "wordllama-l2"


def test_a_model_is_replaced_and_search_never_stops(cli: Cli) -> None:
    edit(cli, f'default = "{MINILM}"', f'default = "{STATIC}"')
    assert "slipstream migrate start" in cli.json("search", "Person 7", code=2)["message"]
    plan = cli.json("migrate", "start", "--dry-run")
    assert (plan["texts"], plan["types"]) == (PEOPLE, {"Person": PEOPLE})
    assert plan["tokens"] > 0
    assert plan["disk_bytes"] > PEOPLE * 256 * 4
    assert cli.json("migrate", "status")["phase"] == "alone"
    started = cli.json("migrate", "start")
    assert started["phase"] == "built"
    assert [name.split()[0] for name in started["spaces"]["Person"]] == [MINILM, STATIC]
    assert answering(cli) == {MINILM}
    assert cli.json("migrate", "audit")["consistency"] == 1.0
    assert cli.json("migrate", "cut-over")["consistency"] == 1.0
    assert answering(cli) == {STATIC}
    assert cli.json("migrate", "roll-back")["phase"] == "built"
    assert answering(cli) == {MINILM}
    cli.run("migrate", "cut-over")
    assert cli.json("migrate", "drop")["phase"] == "alone"
    assert answering(cli) == {STATIC}
    assert cli.json("status")["embeddings_by_model"] == {STATIC: PEOPLE}
    assert cli.json("verify")["consistency"] == 1.0


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
