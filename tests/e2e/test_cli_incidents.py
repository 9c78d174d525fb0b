"""Incidents by the command line: alone, and while `run` is up, at whose file it happens."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.processes import Process, command, made
from tests.e2e.test_cli import Cli, dump  # noqa: F401  (a fixture)

REFUSED = (
    ("import", "{dump}"),
    ("apply", "{dump}"),
    ("verify",),
    ("verify", "--no-sync"),
    ("repair",),
    ("migrate", "start"),
    ("query", "--write", "CREATE (:Person {{id: 'x'}})"),
    ("dead-letters", "replay", "--all"),
    ("quality", "run"),
)


def _filled(directory: Path, dump: Path, adapter: str) -> Cli:  # noqa: F811
    index = '[index]\nadapter = "sqlite"'
    cli = Cli(made(directory, index, index.replace("sqlite", adapter)))
    cli.run("import", str(dump))
    return cli


def _lose(cli: Cli) -> None:
    for path in (cli.directory / ".slipstream").glob("graph.db*"):
        if not path.name.endswith("-lock"):
            path.unlink()


def test_a_lost_graph_is_told_searched_past_and_adopted(tmp_path: Path, dump: Path) -> None:  # noqa: F811
    cli = _filled(tmp_path / "pkg", dump, "sqlite")
    _lose(cli)
    status = cli.json("status")
    assert next(iter(status)) == "incident"
    assert status["incident"]["kind"] == "missing"
    assert [("repair --adopt" in way, "restore" in way) for way in status["incident"]["ways"]] == [
        (False, True),
        (True, False),
    ]
    assert (status["embeddings"], status["entities"]) == (3, 0)
    cli.run("status", "--check", code=1)
    hits = cli.json("search", "Ada Lovelace", "-k", "1")
    assert (hits[0]["entity_id"], hits[0]["entity_type"], hits[0]["degraded"]) == ("ada", "Person", ["graph"])
    assert hits[0]["position"] > 0
    for arguments in REFUSED:
        told = cli.json(*(part.format(dump=dump) for part in arguments), code=2)
        assert told["error"] == "IncidentError", arguments
        assert "Ways on: restore a backup" in told["message"]
    assert not (cli.directory / ".slipstream" / "graph.db").exists()
    adopted = cli.json("repair", "--adopt")
    assert (adopted["records"], adopted["entities"], adopted["after"]["counts"]["orphaned"]) == (3, 0, 0)
    assert cli.json("status")["incident"] is None
    assert cli.json("status")["embeddings"] == 0
    assert "nothing to adopt" in cli.json("repair", "--adopt", code=2)["message"]
    cli.run("import", str(dump))
    report = cli.json("verify")
    assert (report["consistency"], report["total_embeddings"]) == (1.0, 3)


def _health(process: Process) -> str:
    served = re.search(r"http://[\d.:]+", process.wait_for("serving"))
    assert served is not None
    try:
        with urllib.request.urlopen(f"{served[0]}/healthz", timeout=30) as answer:  # noqa: S310  (it is http)
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.read().decode()}"


@pytest.mark.parametrize("adapter", ["sqlite", "chroma"])
def test_run_stays_up_and_goes_on_once_another_process_has_adopted(
    tmp_path: Path,
    dump: Path,  # noqa: F811
    adapter: str,
) -> None:
    """The file goes while it runs: it says so, opens for search only, and waits; nothing is deleted meanwhile."""
    cli = _filled(tmp_path / "pkg", dump, adapter)
    running = command(cli.directory, "run", "--metrics", "0")
    try:
        _assert_it_goes_on(cli, running)
    finally:
        running.close()


def _assert_it_goes_on(cli: Cli, running: Process) -> None:
    assert _health(running) == "200 ok\n"
    running.wait_for("running")
    _lose(cli)
    assert _health(running).startswith("503 incident (missing): ")
    running.wait_for("waiting: it goes on by itself")
    status = cli.json("status")
    assert (status["incident"]["kind"], status["embeddings"]) == ("missing", 3)
    assert cli.json("search", "Ada Lovelace", "-k", "1")[0]["entity_id"] == "ada"
    assert cli.json("verify", code=2)["error"] == "IncidentError"
    adopted = cli.json("repair", "--adopt")
    assert (adopted["records"], adopted["after"]["total_embeddings"]) == (3, 0)
    running.wait_for("running")
    assert cli.json("status")["incident"] is None
