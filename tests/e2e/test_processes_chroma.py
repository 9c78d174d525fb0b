"""An index that only one process can open: from elsewhere everything is asked of its owner, and nothing opens it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import slipstream
from slipstream.adapters.indexes.chroma import ChromaIndex
from tests.e2e.processes import LONG_S, made, owned
from tests.e2e.test_cli import Cli

PEOPLE = 12
COMMANDS = (
    ("status",),
    ("status", "--check"),
    ("search", "Person 7"),
    ("query", "MATCH (p:Person) RETURN count(p)"),
    ("verify",),
    ("verify", "--incremental"),
    ("repair",),
    ("repair", "--dry-run"),
    ("reembed", "--id", "p07", "--dry-run"),
    ("reembed", "--id", "p07"),
    ("views", "list"),
    ("views", "explain", "p07"),
    ("views", "check", "--all"),
    ("schema", "history"),
    ("quality", "run", "--sample", "5"),
    ("quality", "show", "p07"),
    ("quality", "list"),
    ("quality", "list", "--confidence-below", "0.5"),
    ("quality", "trend"),
    ("audits", "list"),
    ("audits", "show", "1"),
    ("dead-letters", "list"),
    ("scrub", "status"),
    ("migrate", "status"),
)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    directory = made(tmp_path / "pkg", '[index]\nadapter = "sqlite"', '[index]\nadapter = "chroma"')

    def refused(path: Path) -> ChromaIndex:
        raise AssertionError(f"{path} was opened twice")

    monkeypatch.setattr(ChromaIndex, "embedded", refused)
    with owned(directory):
        cli = Cli(directory)
        rows = [
            {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": f"p{n:02}", "name": f"P. {n}"}}
            for n in range(PEOPLE)
        ]
        dump = tmp_path / "people.jsonl"
        dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert cli.json("import", str(dump))["entities"] == PEOPLE
        yield cli


def test_every_command_is_answered_by_the_owner(cli: Cli) -> None:
    failed = {}
    for command in COMMANDS:
        try:
            cli.json(*command)
        except AssertionError as error:
            failed[command] = str(error)[:400]
    assert not failed
    assert cli.json("status")["embeddings"] == PEOPLE
    assert cli.json("verify")["total_embeddings"] == PEOPLE


def test_python_beside_it(cli: Cli) -> None:
    with slipstream.open(cli.directory, run=False) as pkg:
        written = pkg.pkg.create_entity("Person", "ada", {"name": "Ada Lovelace"})
        found = pkg.search("Ada Lovelace", 1, after=written, timeout_s=LONG_S)
        assert found.hits[0].entity_id == "ada"
        assert found.frontier >= written
        assert pkg.verify().is_consistent
