"""Views as a script would look at them: listed, explained, and checked before an edit is applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipstream.app.composition.factories import model_for_new
from slipstream.cli.app import app
from tests.e2e.test_cli import Cli

PEOPLE = 8
VIEW = '\n[views.Person]\ntemplate = "{{ name }}"\n'


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    config = cli.directory / "slipstream.toml"
    config.write_text(config.read_text() + VIEW)
    rows = [
        {
            "type": "node",
            "id": str(n),
            "labels": ["Person"],
            "properties": {"id": f"p{n}", "name": f"Person {n}", **({"title": "Dr."} if n < 2 else {})},
        }
        for n in range(PEOPLE)
    ]
    dump = tmp_path / "people.jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cli.run("import", str(dump))
    return cli


def _edit(cli: Cli, template: str) -> None:
    config = cli.directory / "slipstream.toml"
    config.write_text(config.read_text().replace(VIEW, VIEW.replace("{{ name }}", template)))


def test_views_are_listed_and_records_explained(cli: Cli) -> None:
    (row,) = cli.json("views", "list")
    assert (row["type"], row["records"], row["template"], row["model"]) == (
        "Person",
        PEOPLE,
        "{{ name }}",
        model_for_new(),
    )
    assert "name" in row["reads"]
    assert "Person" in cli.run("views", "list")
    found = cli.json("views", "explain", "p1")
    assert (found["text"], found["verdict"]) == ("Person 1", "fresh")
    assert found["happenings"][0]["event"] == "entity_created"
    assert found == cli.json("views", "explain", "e:p1")
    shown = cli.run("views", "explain", "p1")
    assert "fresh" in shown
    assert "embedded for" in shown
    assert "nobody" in cli.json("views", "explain", "nobody", code=2)["message"]


def test_an_edit_is_checked_before_it_is_applied(cli: Cli) -> None:
    _edit(cli, "{{ name }}{% if title %}, {{ title }}{% endif %}")
    found = cli.json("views", "check", "--all")
    (person,) = found["types"]
    assert (person["changed"], person["restamped"], found["texts"]) == (2, 6, 2)
    assert cli.json("views", "explain", "p1")["text"] == "Person 1", "nothing is applied"
    shown = cli.run("views", "check", "--sample", "4", "--type", "Person")
    assert "to embed" in shown
    result = cli.runner.invoke(app, ["--dir", str(cli.directory), "verify", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["consistency"]) == (0, 1.0)
    assert "the recipe in force is kept: other views are declared" in result.stderr
    assert cli.json("views", "explain", "p1")["text"] == "Person 1", "an audit changes nothing"
    cli.run("repair")
    assert cli.json("views", "explain", "p1")["text"] == "Person 1, Dr."


def test_a_template_that_fails_is_told_by_the_exit_code(cli: Cli) -> None:
    _edit(cli, "{{ name - 1 }}")
    found = cli.json("views", "check", code=1)
    assert found["failed"] == PEOPLE
    assert "can not be rendered" in found["types"][0]["examples"][0]["error"]
    assert "can not be rendered" in cli.run("views", "check", code=1)


def test_a_template_that_does_not_compile_is_named(cli: Cli) -> None:
    _edit(cli, "{{ name")
    assert cli.json("views", "check", code=2)["field"] == "views.Person.template"
