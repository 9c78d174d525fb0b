"""The brake on the command line: what stops, what it says, and how it is confirmed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.graphs.sqlite.layout import TRIGGERS
from tests.e2e.processes import made
from tests.e2e.test_cli import Cli

PEOPLE, GONE = 40, 30


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(made(tmp_path / "pkg", "records_min = 100", "records_min = 10"))
    rows = [
        {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": f"p{n:02}", "name": f"Person {n}"}}
        for n in range(PEOPLE)
    ]
    dump = tmp_path / "people.jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cli.run("import", str(dump))
    return cli


def tamper(cli: Cli, statement: str, *parameters: str) -> None:
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "index.db")) as raw, raw:
        assert raw.execute(statement, parameters).rowcount > 0


def forge(cli: Cli, below: int) -> None:
    tamper(cli, "UPDATE records SET fingerprint = 'forged' WHERE key < ?", f"e:p{below:02}")


def wipe(cli: Cli, below: int) -> None:
    """Delete entities past the log, as a program does that drops the triggers."""
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db", isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        for name in TRIGGERS:
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("DELETE FROM entity WHERE id < ?", (f"p{below:02}",))
        raw.execute("COMMIT")


def records(cli: Cli) -> list[Any]:
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "index.db")) as raw:
        return raw.execute("SELECT key, fingerprint, checksum FROM records ORDER BY key").fetchall()


def found(report: dict[str, Any]) -> dict[str, int]:
    return {name: len(keys) for name, keys in report["divergences"].items() if keys}


@pytest.mark.parametrize("limit", [2, GONE])
def test_verify_reports_what_was_tampered_with_and_leaves_it(cli: Cli, limit: int) -> None:
    forge(cli, limit)
    before = records(cli)
    for _ in range(2):
        report = cli.json("verify", code=1)
        assert found(report) == {"stale": limit}
        assert (report["plan"] is None) == (limit == 2)
    assert records(cli) == before


def test_verify_leaves_what_was_wiped_past_the_log(cli: Cli) -> None:
    wipe(cli, PEOPLE - 1)
    before = records(cli)
    report = cli.json("verify", code=1)
    assert found(report) == {"orphaned": PEOPLE - 1, "word_orphaned": PEOPLE - 1}
    assert (report["verdict"], report["plan"]["deletions"]) == ("divergent", PEOPLE - 1)
    assert report["plan"]["command"] in cli.run("verify", code=1)
    assert records(cli) == before


BOTH_GONE = {"orphaned": GONE, "word_orphaned": GONE}
"""The vector and the word row of each."""


def test_a_repair_stops_says_what_it_would_do_and_waits_to_be_confirmed(cli: Cli) -> None:
    wipe(cli, GONE)
    refusal = cli.json("repair", code=2)
    assert refusal["error"] == "RepairNeedsConfirmationError"
    plan = refusal["plan"]
    assert (plan["keys"], plan["deletions"], plan["texts"]) == (BOTH_GONE, GONE, 0)
    assert plan["command"] == f"slipstream repair --confirm {plan['id']}"
    assert plan["command"] in refusal["message"]
    assert len(records(cli)) == PEOPLE
    assert cli.json("repair", "--dry-run", code=1)["confirm"] == plan["command"]

    done = cli.json("repair", "--confirm", plan["id"])
    assert (done["marked"], done["after"]["verdict"]) == (2 * GONE, "consistent")
    assert len(records(cli)) == PEOPLE - GONE
    assert cli.json("verify")["consistency"] == 1.0
    assert cli.json("status")["brake"] is None
    again = cli.json("repair", "--confirm", plan["id"])
    assert (again["marked"], again["marked_before"]) == (0, 2 * GONE)


def test_a_plan_that_does_not_fit_any_more_is_refused(cli: Cli) -> None:
    forge(cli, GONE)
    plan = cli.json("repair", code=2)["plan"]
    tamper(cli, "DELETE FROM records WHERE key = 'e:p03'")
    refusal = cli.json("repair", "--confirm", plan["id"], code=2)
    assert (refusal["error"], "1 keys differ; audit again" in refusal["message"]) == ("StalePlanError", True)
    assert cli.json("repair", "--confirm", "7-nonsense", code=2)["error"] == "NotFoundError"
    assert cli.json("repair", "--confirm", plan["id"], "--dry-run", code=2)["field"] == "confirm"
    assert found(cli.json("verify", code=1)) == {"stale": GONE - 1, "missing": 1}


def test_what_the_brake_allows_is_mended_as_ever(cli: Cli) -> None:
    forge(cli, 10)
    assert cli.json("repair")["marked"] == 10
    assert cli.json("verify")["consistency"] == 1.0
