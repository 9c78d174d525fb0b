"""The commands `backup`, `restore` and `export`, by themselves and while another process runs the engine."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import warm
from tests.e2e.processes import LONG_S, ROOT, Process, command, made, owned
from tests.e2e.test_cli import PEOPLE, Cli


@pytest.fixture(params=[None, "run"], ids=["alone", "beside an owner"])
def cli(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cli]:
    directory = made(tmp_path / "pkg")
    dump = tmp_path / "graph.jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in PEOPLE))
    cli = Cli(directory)
    if request.param is None:
        cli.run("import", str(dump))
        yield cli
        return
    with owned(directory, request.param):
        cli.run("import", str(dump))
        yield cli


def test_backup_verify_restore_and_export(cli: Cli, tmp_path: Path) -> None:
    there = tmp_path / "backups"
    first = cli.json("backup", str(there), "--keep", "1")
    assert (first["entities"], first["relationships"], first["records"]) == (3, 1, 3)
    assert (first["owed"], first["divergent"], first["removed"]) == (0, 0, [])
    second = cli.json("backup", str(there), "--keep", "1", "--rate-mb-s", "50")
    assert second["removed"] == [first["path"]]
    assert cli.json("backup", "--verify", second["path"])["verified"]
    shown = cli.run("backup", "--verify", second["path"])
    assert "in the backup" in shown

    copy = Cli(tmp_path / "copy")
    assert copy.json("restore", second["path"])["position"] == second["position"]
    report = copy.json("verify")
    assert (report["consistency"], report["total_entities"]) == (1.0, 3)
    assert "AlreadyExistsError" in copy.json("restore", second["path"], code=2)["error"]
    assert copy.json("restore", second["path"], "--replace")["replaced"]

    told = cli.json("export", str(tmp_path / "out.jsonl.gz"))
    assert (told["entities"], told["relationships"], told["unreadable"]) == (3, 1, 0)
    imported = Cli(made(tmp_path / "imported"))
    result = imported.json("import", str(tmp_path / "out.jsonl.gz"))
    assert (result["entities"], result["relationships"], result["rejected"]) == (3, 1, 0)
    assert imported.json("verify")["graph_digest"] == report["graph_digest"]


def test_export_to_standard_output_is_the_graph_and_nothing_else(cli: Cli) -> None:
    process = command(cli.directory, "export", "-")
    try:
        assert process.ended() == 0
        rows = [json.loads(line) for line in process.output().splitlines()]
    finally:
        process.close()
    assert [row["type"] for row in rows] == ["slipstream", "node", "node", "node", "relationship"]
    assert "entities: 3" in "".join(process.said)


def test_a_restore_over_what_another_process_has_open_is_refused_by_name(tmp_path: Path) -> None:
    cli = Cli(made(tmp_path / "pkg"))
    cli.run("import", str(_dump(tmp_path)))
    source = cli.json("backup", str(tmp_path / "backups"))["path"]
    with owned(cli.directory) as owner:
        said = cli.json("restore", source, "--replace", code=2)
        assert said["error"] == "UnavailableError"
        assert f"process {owner.process.pid} runs the engine" in said["message"]
    assert cli.json("restore", source, "--replace")["replaced"]
    assert cli.json("verify")["consistency"] == 1.0


def _dump(folder: Path) -> Path:
    path = folder / "graph.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PEOPLE))
    return path


BIG = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("CREATE TABLE of_somebody_else(x)")
    connection.execute("INSERT INTO of_somebody_else VALUES (zeroblob(60000000))")
"""


def test_ctrl_c_ends_a_backup_and_leaves_nothing(tmp_path: Path) -> None:
    cli = Cli(made(tmp_path / "pkg"))
    cli.run("import", str(_dump(tmp_path)))
    graph = cli.directory / ".slipstream" / "graph.db"
    warm.run([sys.executable, "-c", BIG, str(graph)], cwd=ROOT, check=True)
    there = tmp_path / "backups"
    process = Process("-m", "slipstream", "--dir", str(cli.directory), "backup", str(there), "--rate-mb-s", "5")
    try:
        while process.process.poll() is None and not _has_begun(there):
            time.sleep(0.01)
        process.send(signal.SIGINT)
        assert process.process.wait(LONG_S) == 130
    finally:
        process.close()
    assert list(there.iterdir()) == []
    with closing(sqlite3.connect(graph)) as raw:
        assert raw.execute("SELECT count(*) FROM entity").fetchone() == (3,)


def _has_begun(there: Path) -> bool:
    return any(path.stat().st_size > 0 for path in there.glob(".slipstream-*/graph.db"))


def test_bad_calls_say_what_is_wrong(cli: Cli, tmp_path: Path) -> None:
    assert "name the folder" in cli.json("backup", code=2)["message"]
    both = cli.json("backup", str(tmp_path / "a"), "--verify", str(tmp_path / "b"), code=2)
    assert "not both" in both["message"]
    assert "is no backup" in cli.json("backup", "--verify", str(tmp_path), code=2)["message"]
    assert "--json" in cli.json("export", "-", code=2)["message"]
    assert "can not be written" in cli.json("export", str(tmp_path / "no" / "where.jsonl"), code=2)["message"]
