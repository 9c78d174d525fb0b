"""Evolution as a script would look at it: versions, what differs, and embedding anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipstream.app.composition.factories import model_for_new
from tests.e2e.test_cli import Cli

PEOPLE = 12


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    with (cli.directory / "slipstream.toml").open("a") as file:
        file.write('\n[views.Person]\ntemplate = "{{ name }} {{ title }}"\n')
    for version, more in enumerate(({}, {"title": "Dr.", "shoe_size": 44})):
        rows = [
            {
                "type": "node",
                "id": str(n),
                "labels": ["Person"],
                "properties": {"id": f"p{n:02}", "name": f"Person {n}", "extraction_confidence": n / PEOPLE, **more},
            }
            for n in range(PEOPLE)
        ]
        dump = tmp_path / f"people{version}.jsonl"
        dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
        cli.run("import", str(dump))
    return cli


def test_versions_and_what_differs_between_them(cli: Cli) -> None:
    newest, older, first = cli.json("schema", "history")
    assert (newest["version"], older["version"], first["version"]) == (3, 2, 1)
    assert (newest["types"], newest["properties"], first["reason"]) == (
        1,
        older["properties"] + 2,
        "the empty schema",
    )
    assert "Person" in newest["reason"]
    assert len(cli.json("schema", "history", "--limit", "1")) == 1
    changes = cli.json("schema", "diff", "2")
    assert changes["changed_properties"] == {
        "Person": {"added": ["shoe_size", "title"], "removed": [], "retyped": []}
    }
    assert (changes["views_affected"], changes["requires_reembedding"]) == (["Person"], True)
    assert cli.json("schema", "diff", "1", "2")["new_entity_types"] == ["Person"]
    assert "version 9 is not known" in cli.json("schema", "diff", "1", "9", code=2)["message"]
    shown = cli.run("schema", "diff", "2")
    assert "Person.title" in shown
    assert "requires re-embedding: yes" in shown


def test_embedding_anew_is_planned_done_and_refused(cli: Cli) -> None:
    plan = cli.json("reembed", "--type", "Person", "--dry-run")
    assert (plan["records"], plan["texts"], plan["sampled"]) == ({"Person": PEOPLE}, PEOPLE, PEOPLE)
    assert plan["tokens"] > PEOPLE
    done = cli.json("reembed", "--confidence-below", "0.5", "--reason", "unsure")
    assert done["selected"] == PEOPLE // 2
    assert cli.json("reembed", "--marked")["selected"] == 0
    assert cli.json("reembed", "--id", "p01", "--id", "p02")["selected"] == 2
    assert cli.json("reembed", "--older-than", "1d")["selected"] == 0
    assert cli.json("reembed", code=2)["field"] == "selector"
    assert cli.json("reembed", "--older-than", "soon", code=2)["field"] == "older_than"
    assert cli.json("reembed", "--confidence-below", "7", code=2)["field"] == "confidence_below"
    assert "embedded anew: 12" in cli.run("reembed", "--model", model_for_new())
    assert "to embed anew" in cli.run("reembed", "--schema-version", "3", "--dry-run")
