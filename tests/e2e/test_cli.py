"""The command line, as a script would use it: exit codes, JSON, resuming, bad input."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.markup import render
from typer.main import get_command
from typer.testing import CliRunner

import slipstream
from slipstream.cli.app import app
from tests import warm

PEOPLE = [
    {"type": "node", "id": "0", "labels": ["Person"], "properties": {"id": "ada", "name": "Ada Lovelace"}},
    {"type": "node", "id": "1", "labels": ["Person"], "properties": {"name": "Grace Hopper", "description": "COBOL"}},
    {"type": "node", "id": "2", "labels": ["Organization"], "properties": {"id": "navy", "name": "US Navy"}},
    {
        "type": "relationship",
        "id": "9",
        "label": "MEMBER_OF",
        "properties": {"since": 1943},
        "start": {"id": "1", "labels": ["Person"]},
        "end": {"id": "2", "labels": ["Organization"]},
    },
]


class Cli:
    """Runs commands in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runner = CliRunner()

    def run(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        result = self.runner.invoke(app, ["--dir", str(self.directory), *arguments], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.output, result.stderr, result.exception)
        return result.stdout

    def json(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code, stdin=stdin))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    return cli


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "graph.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PEOPLE))
    return path


def _event(serial: int, kind: str, entity_id: str, **fields: Any) -> str:
    event = {
        "event_id": f"e{serial}",
        "event_type": kind,
        "entity_id": entity_id,
        "entity_type": "Person",
        "timestamp": f"2026-01-01T00:00:{serial:02}Z",
        "schema_version": 1,
        **fields,
    }
    return json.dumps(event) + "\n"


def test_import_brings_everything_into_the_index(cli: Cli, dump: Path) -> None:
    result = cli.json("import", str(dump))
    assert (result["entities"], result["relationships"], result["rejected"]) == (3, 1, 0)
    report = cli.json("verify")
    assert report["consistency"] == 1.0
    assert (report["total_entities"], report["total_embeddings"]) == (3, 3)
    for name in ("missing", "orphaned", "outdated", "stale"):
        assert report[f"{name}_embeddings"] == []
    status = cli.json("status")
    assert status["head"] == status["frontier"] == status["checkpoint"] > 0
    expected = {"lag_events": 0, "lag_s": 0, "pending": 0, "retrying": 0, "dead_letters": 0}
    assert {name: status[name] for name in expected} == expected
    assert (status["entities"], status["embeddings"], status["relationships"]) == (3, 3, 1)


def test_importing_twice_changes_nothing(cli: Cli, dump: Path) -> None:
    cli.run("import", str(dump))
    head = cli.json("status")["head"]
    cli.run("import", str(dump))
    assert cli.json("status")["head"] == head


def test_search_finds_by_meaning_and_expands(cli: Cli, dump: Path) -> None:
    cli.run("import", str(dump))
    hits = cli.json("search", "naval organisation", "-k", "2", "--expand", "1")
    assert hits[0]["entity_id"] == "navy"
    assert {"entity_id", "entity_type", "score", "name", "text"} <= hits[0].keys()
    assert [neighbour["name"] for neighbour in hits[0]["neighbours"]] == ["Grace Hopper"]
    people = cli.json("search", "programming", "--type", "Person")
    assert {hit["entity_type"] for hit in people} == {"Person"}
    assert "Ada Lovelace" in cli.run("search", "Ada")


def test_apply_from_a_file_is_idempotent(cli: Cli, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(
        _event(1, "entity_created", "ada", new_data={"name": "Ada"})
        + _event(2, "entity_created", "bob", new_data={"name": "Bob"})
        + _event(3, "entity_updated", "ada", new_data={"name": "Ada Lovelace"})
        + _event(4, "entity_deleted", "bob")
    )
    assert cli.json("apply", str(events))["applied"] == 4
    again = cli.json("apply", str(events))
    assert (again["applied"], again["duplicates"]) == (0, 4)
    assert [row["p.name"] for row in cli.json("query", "MATCH (p:Person) RETURN p.name")] == ["Ada Lovelace"]
    assert cli.json("verify")["consistency"] == 1.0


def test_apply_from_a_pipe_rejects_bad_lines_and_goes_on(cli: Cli) -> None:
    lines = "not json\n" + _event(1, "entity_created", "ada", new_data={"name": "Ada"}) + '{"event_id": "x"}\n'
    result = cli.json("apply", "-", stdin=lines, code=1)
    assert (result["applied"], result["rejected"]) == (1, 2)
    assert cli.json("verify")["total_embeddings"] == 1
    letters = cli.json("dead-letters", "list")
    assert len(letters) == 2
    assert cli.json("dead-letters", "discard", letters[0]["id"]) == {"discarded": 1}
    assert cli.json("dead-letters", "discard", "--all") == {"discarded": 1}


def test_a_rejected_event_can_be_replayed_once_its_cause_is_gone(cli: Cli) -> None:
    relation = _event(
        1,
        "relationship_created",
        "KNOWS:ada:bob",
        source_id="ada",
        target_id="bob",
        new_data={},
        entity_type="KNOWS",
    )
    cli.json("apply", "-", stdin=relation, code=1)
    created = [
        _event(serial, "entity_created", name, new_data={"name": name}) for serial, name in ((2, "ada"), (3, "bob"))
    ]
    cli.run("apply", "-", stdin="".join(created))
    assert cli.json("dead-letters", "replay", "--all") == {"replayed": 1, "dead_letters": 0}
    assert cli.json("status")["relationships"] == 1


def test_no_sync_only_captures_and_the_index_follows_later(cli: Cli, dump: Path) -> None:
    cli.run("import", str(dump), "--no-sync")
    assert cli.json("verify", "--no-sync", code=1)["missing_embeddings"] == ["ada", "graph#1", "navy"]
    assert cli.json("status")["lag_events"] > 0
    assert cli.json("verify")["consistency"] == 1.0


def test_tampering_is_divergent_and_repaired(cli: Cli, dump: Path) -> None:
    cli.run("import", str(dump))
    connection = sqlite3.connect(cli.directory / ".slipstream" / "index.db")
    assert connection.execute("UPDATE records SET fingerprint = 'forged' WHERE key = 'e:ada'").rowcount == 1
    connection.commit()
    connection.close()
    assert cli.json("verify", code=1)["stale_embeddings"] == ["ada"]
    assert cli.json("repair")["marked"] == 1
    assert cli.json("repair")["marked"] == 0


def test_query_reads_and_writes_only_when_asked(cli: Cli, dump: Path) -> None:
    cli.run("import", str(dump))
    write = "MATCH (p:Person {id: 'ada'}) SET p.name = $name"
    assert cli.json("query", write, "--param", 'name="x"', code=2)["field"] == "cypher"
    cli.run("query", write, "--param", 'name="Augusta"', "--write")
    assert cli.json("search", "Augusta", "-k", "1")[0]["name"] == "Augusta"
    assert cli.json("verify")["consistency"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["import", "/nowhere.jsonl"], 2),
        (["apply", "/nowhere.jsonl"], 2),
        (["query", "MATCH ("], 2),
        (["search", " "], 2),
        (["search", "x", "-k", "0"], 2),
        (["dead-letters", "replay"], 2),
    ],
)
def test_bad_calls_say_what_is_wrong(cli: Cli, arguments: list[str], code: int) -> None:
    assert "error" in cli.json(*arguments, code=code)


def test_a_directory_without_a_pkg_is_refused(tmp_path: Path) -> None:
    assert "init" in Cli(tmp_path).json("status", code=2)["message"]


def test_a_wrong_configuration_names_the_field(cli: Cli) -> None:
    (cli.directory / "slipstream.toml").write_text("[index]\nadapter = 'faiss'\n")
    assert cli.json("verify", code=2)["field"] == "index.adapter"
    (cli.directory / "slipstream.toml").write_text("[sync]\nattemps_max = 1\n")
    assert cli.json("verify", code=2)["field"] == "sync.attemps_max"


def test_bad_lines_of_a_dump_are_rejected_by_number(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    rows = [json.dumps(PEOPLE[0]), "{", json.dumps({**PEOPLE[1], "properties": {"id": "ada", "name": "twin"}})]
    path.write_text("\n".join(rows) + "\n")
    result = cli.json("import", str(path), code=1)
    assert (result["entities"], result["rejected"]) == (1, 2)
    assert "line 2" in result["errors"][0]
    assert "line 3" in result["errors"][1]


def test_a_second_process_works_beside_the_one_that_has_the_pkg_open(cli: Cli, dump: Path) -> None:
    def beside(*arguments: str) -> Any:
        command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), *arguments, "--json"]
        done = warm.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    with slipstream.open(cli.directory) as slip:
        assert slip.sync.wait(slip.pkg.create_entity("Person", "eve", {"name": "Eve Polastri"}), timeout_s=60)
        assert beside("search", "Eve Polastri", "-k", "1")[0]["entity_id"] == "eve"
        assert beside("import", str(dump))["entities"] == 3
        hits = slip.search("Grace Hopper, COBOL", k=1, after=slip.pkg.feed.head(), timeout_s=60)
        assert hits[0].entity_id == "graph#1"
        assert beside("verify")["consistency"] == 1.0
        assert beside("status")["head"] == slip.pkg.feed.head()
    assert beside("status")["entities"] == 4


def test_ctrl_c_ends_a_live_pipe_cleanly_and_loses_nothing(cli: Cli) -> None:
    command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "apply", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(_event(1, "entity_created", "ada", new_data={"name": "Ada"}).encode())
        process.stdin.flush()
        graph = cli.directory / ".slipstream" / "index.db"
        for _ in range(3000):  # until the event has reached the index: its checkpoint is written then
            if graph.exists() and _checkpoint(graph) > 0:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        process.send_signal(signal.SIGINT)
        process.wait(120)
        errors = process.stderr.read().decode() if process.stderr else ""
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert cli.json("verify")["total_embeddings"] == 1


def _checkpoint(index_file: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{index_file}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute("SELECT value FROM named_values WHERE name = 'checkpoint'").fetchall()
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0
    return int(rows[0][0]) if rows else 0


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for part, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{name} {part}")


def test_no_help_text_holds_what_would_be_taken_for_markup() -> None:
    helps = [
        (name, text)
        for name, command in _commands(get_command(app), "slipstream")
        for text in (command.help, *(getattr(parameter, "help", None) for parameter in command.params))
        if text
    ]
    assert len(helps) > 100
    assert [(name, text) for name, text in helps if render(text).plain != text] == []


def test_a_directory_is_named_as_it_is(tmp_path: Path) -> None:
    odd = Cli(tmp_path / "a[red]b")
    assert "a[red]b" in odd.run("init").replace("\n", "")
