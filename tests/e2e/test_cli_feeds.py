"""Feeds from the command line: options, what is counted and told, and letters that keep the space they came from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.cli.app import app
from tests import warm
from tests.e2e.test_cli import Cli, cli

__all__ = ["cli"]

FEEDS = Path(__file__).parents[1] / "data/feeds"
JETSTREAM = str(FEEDS / "recorded-jetstream.jsonl")


def told(cli: Cli, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
    """Return what a command says on stderr."""
    command = ["--dir", str(cli.directory), *arguments]
    result = cli.runner.invoke(app, command, input=stdin)
    assert result.exit_code == code, (result.output, result.stderr)
    return result.stderr


def row(identity: int, lsn: int, table: str = "note", *, key: bool = True, **columns: Any) -> str:
    source = {"connector": "postgresql", "name": "kg", "schema": "public", "table": table, "lsn": lsn, "ts_ms": lsn}
    value = {"before": None, "after": {"id": identity, **columns}, "source": source, "op": "c", "ts_ms": lsn}
    record = {"topic": f"kg.public.{table}", "partition": 0, "offset": lsn, "value": value}
    return json.dumps({**record, "key": {"id": identity} if key else None}) + "\n"


def ids(cli: Cli) -> list[str]:
    return sorted(found["id"] for found in cli.json("query", "--sql", "SELECT id FROM entity"))


def test_a_feed_without_keys_is_told_its_key(cli: Cli) -> None:
    refused = cli.json("apply", JETSTREAM, "--no-sync", code=1)
    assert refused["rejected"] > 0
    assert "--key" in refused["errors"][0]
    report = cli.json("apply", JETSTREAM, "--no-sync", "--key", "note=id")
    # The truncation needed no key: what was refused in front of it is outdated by now.
    assert (report["applied"], report["outdated"], report["duplicates"], report["rejected"]) == (1, 8, 1, 0)
    assert report["passed"] == {"transaction marker": 12}
    assert ids(cli) == ["js.public.note:4"]
    again = cli.json("apply", JETSTREAM, "--no-sync", "--key", "*=id")
    assert (again["applied"], again["outdated"] + again["duplicates"]) == (0, 10)


def test_counts_are_shown_as_text_too(cli: Cli) -> None:
    shown = cli.run("apply", JETSTREAM, "--no-sync", "--key", "note=id")
    shown = " ".join(shown.split())
    assert "applied: 10" in shown
    assert "outdated: 0" in shown
    assert "passed: 12 transaction marker" in shown


def test_notes_are_told_once_on_stderr(cli: Cli) -> None:
    (line,) = (FEEDS / "types-plain.jsonl").read_text(encoding="utf-8").splitlines()
    errors = told(cli, "apply", "-", "--no-sync", stdin=f"{line}\n" * 3)
    assert errors.count("warning: kg.public.invoice.total: comes without a schema") == 1


def test_the_configuration_says_it_for_a_live_pipe(cli: Cli) -> None:
    with (cli.directory / "slipstream.toml").open("a", encoding="utf-8") as config:
        config.write(
            '\n[feed]\nid_prefix = "{type}-"\nkey_columns = { note = ["id"] }\ntables = { note_old = "note" }\n'
        )
    lines = row(1, 1, key=False, title="a") + row(2, 2, "note_old", title="b")
    assert cli.json("apply", "-", "--no-sync", stdin=lines)["applied"] == 2
    assert ids(cli) == ["note-1", "note-2"]
    assert cli.json("apply", "-", "--no-sync", "--id-prefix", "", stdin=row(3, 3))["applied"] == 1
    assert ids(cli) == ["3", "note-1", "note-2"]


@pytest.mark.parametrize(
    ("option", "value"), [("--key", "note"), ("--key", "note=a,,b"), ("--table", "=note"), ("--unsent-null", "note=")]
)
def test_an_option_that_says_nothing_is_refused(cli: Cli, option: str, value: str) -> None:
    assert option in told(cli, "apply", JETSTREAM, "--no-sync", option, value, code=2)
    assert ids(cli) == []


def test_a_letter_is_replayed_as_the_feed_that_it_came_from(cli: Cli) -> None:
    lines = row(1, 1, "company", name="ACME") + row(1, 2, "person", name="Ada")
    assert cli.json("apply", "-", "--no-sync", "--id-prefix", "", code=1, stdin=lines)["rejected"] == 1
    gone = json.loads(row(1, 3, "company"))
    gone["value"].update(op="d", before={"id": 1}, after=None)
    cli.json("apply", "-", "--no-sync", "--id-prefix", "", stdin=json.dumps(gone))
    assert cli.json("dead-letters", "replay", "--all")["replayed"] == 1
    assert ids(cli) == ["1"]  # and not kg.public.person:1


def test_a_letter_without_a_key_is_replayed_when_the_configuration_says_it(cli: Cli) -> None:
    cli.json("apply", "-", "--no-sync", "--id-prefix", "n", code=1, stdin=row(1, 1, key=False, title="a"))
    assert cli.json("dead-letters", "replay", "--all", code=1)["replayed"] == 0
    with (cli.directory / "slipstream.toml").open("a", encoding="utf-8") as config:
        config.write('\n[feed]\nid_prefix = "{type}-"\nkey_columns = { note = ["id"] }\n')
    assert cli.json("dead-letters", "replay", "--all")["replayed"] == 1
    assert ids(cli) == ["n1"]


def test_a_feed_is_applied_beside_the_process_that_runs_the_engine(cli: Cli) -> None:
    def beside(name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "apply", str(FEEDS / name)]
        done = warm.run(
            [*command, "--key", "*=id", "--json"], capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode in (0, 1), (done.stdout, done.stderr)
        return dict(json.loads(done.stdout))

    with slipstream.open(cli.directory) as slip:
        assert beside("recorded-kg.public.note.jsonl")["applied"] == 21
        assert slip.search("alpha again", k=1)[0].entity_id == "kg.public.note:1"
        assert beside("recorded-kg.public.note.jsonl")["applied"] == 0
        assert beside("partitioned-table.jsonl")["rejected"] == 2
        assert len(slip.list_dead_letters()) == 2
