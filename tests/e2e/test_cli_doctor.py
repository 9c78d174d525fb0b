"""`doctor`: says what is wrong with any PKG, open or not, with what to do; and changes nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import chdir, closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import slipstream
from slipstream.app.client.addresses import SOCKET
from slipstream.app.composition import backups_of
from slipstream.audit.incidents import publish
from slipstream.cli.app import app
from slipstream.domain.incidents import Incident, IncidentKind
from slipstream.domain.journal_names import WORDS_SCAN
from slipstream.domain.positions import Position
from slipstream.engine.word_scan import ScanReason, WordScan
from tests.e2e.everyday import CONFIG, Cli, made
from tests.e2e.processes import command

Change = Callable[[Path], object]
DATA = ".slipstream"
LEVELS = ("ok", "warn", "fail")
BESIDE = ("-wal", "-shm")
"""What SQLite itself makes beside a file that is read."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cli = made(tmp_path_factory.mktemp("doctor") / "pkg")
    with slipstream.open(cli.directory) as slip:
        slip.verify()
    return cli.directory


@pytest.fixture
def pkg(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "pkg"))


def _state(folder: Path) -> dict[str, str]:
    """Return what is in a folder, byte by byte."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(BESIDE)
    }


def _examined(directory: Path, *words: str) -> dict[str, dict[str, Any]]:
    """Return the worst finding of each name; the exit code is 1 if any fails, and what is wrong comes with a fix."""
    told = CliRunner().invoke(app, ["--dir", str(directory), "doctor", *words, "--json"])
    examined = json.loads(told.stdout)
    found: dict[str, dict[str, Any]] = {}
    for finding in examined["findings"]:
        before = found.setdefault(finding["name"], finding)
        found[finding["name"]] = max(before, finding, key=lambda each: LEVELS.index(each["level"]))
    has_failed = any(each["level"] == "fail" for each in found.values())
    assert (told.exit_code, examined["is_well"]) == (int(has_failed), not has_failed)
    assert [each for each in found.values() if each["level"] != "ok" and not each["fix"]] == []
    return found


def test_a_pkg_that_is_well(pkg: Path) -> None:
    before = _state(pkg)
    found = _examined(pkg)
    assert {name: each for name, each in found.items() if each["level"] != "ok"} == {}
    assert {"slipstream", "python", "sqlite", "extras", "clock", "disk", "directory", "config", "permissions"} <= set(
        found
    )
    stores = {"graph file", "triggers", "index file", "engine", "incident", "dead letters", "audits", "in step"}
    assert {*stores, "word rows"} <= set(found)
    assert "model wordllama-l2" in found
    assert _state(pkg) == before


def _damaged(name: str, at: int) -> Change:
    def change(pkg: Path) -> None:
        with (pkg / DATA / name).open("r+b") as file:
            file.seek(at)
            file.write(b"\xff" * 4096)

    return change


def _sql(name: str, *statements: str) -> Change:
    def change(pkg: Path) -> None:
        with closing(sqlite3.connect(pkg / DATA / name)) as raw, raw:
            for statement in statements:
                raw.execute(statement)

    return change


def _config(text: str) -> Change:
    return lambda pkg: (pkg / "slipstream.toml").write_text(text)


def _restored_by_half(pkg: Path) -> None:
    (pkg / DATA).rename(pkg / f"{DATA}.next")


def _left_by_a_server(pkg: Path) -> None:
    with chdir(pkg), socket.socket(socket.AF_UNIX) as left:
        left.bind(str(SOCKET))  # a path may have 107 bytes, so it is told from here


def _dead_letter(pkg: Path) -> None:
    (pkg.parent / "feed").write_text('{"type": "nonsense"}\n')
    Cli(pkg).run("apply", str(pkg.parent / "feed"), "--no-sync", code=1)


def _incident(pkg: Path) -> None:
    with slipstream.open(pkg) as slip:
        publish(slip.journal, Incident(IncidentKind.EMPTY, "it is gone", ("put it back",)))


def _open_to_others(pkg: Path) -> None:
    (pkg / DATA).chmod(0o750)
    (pkg / DATA / "graph.db").chmod(0o640)


def _scan_due(pkg: Path) -> None:
    scan = WordScan(
        reason=ScanReason.VIEWS, is_explained=True, consumed=Position(2), views="v", after="e:a", done=3, total=1_000
    )
    with closing(sqlite3.connect(pkg / DATA / "index.db")) as raw, raw:
        raw.execute("INSERT INTO named_values(name, value) VALUES (?, ?)", (WORDS_SCAN, scan.dump()))


WRONG: dict[str, tuple[Change, str, str, str]] = {
    "damaged graph": (_damaged("graph.db", 0), "graph file", "fail", "not a database"),
    "page of the graph": (_damaged("graph.db", 8192), "graph file", "fail", ""),
    "damaged index": (_damaged("index.db", 0), "index file", "fail", "not a database"),
    "another program's": (_sql("graph.db", "PRAGMA application_id = 7"), "graph file", "fail", "another program"),
    "newer graph": (_sql("graph.db", "PRAGMA user_version = 99"), "graph file", "fail", "newer Slipstream"),
    "newer index": (_sql("index.db", "PRAGMA user_version = 99"), "index file", "fail", "newer Slipstream"),
    "gone graph": (lambda pkg: (pkg / DATA / "graph.db").unlink(), "graph file", "fail", "is gone"),
    "empty graph": (lambda pkg: (pkg / DATA / "graph.db").write_bytes(b""), "graph file", "warn", "empty"),
    "dropped trigger": (_sql("graph.db", "DROP TRIGGER entity_updated"), "triggers", "warn", "entity_updated"),
    "dropped table": (_sql("graph.db", "DROP TABLE fence"), "triggers", "fail", "fence"),
    "no config": (lambda pkg: (pkg / "slipstream.toml").unlink(), "config", "fail", "slipstream.toml"),
    "wrong config": (_config("[graph]\nadapter = 'x'\n"), "config", "fail", "adapter"),
    "no toml": (_config("what"), "config", "fail", "is not TOML"),
    "unknown model": (_config("[models]\ndefault = 'minilm-l6-v3'\n"), "model minilm-l6-v3", "warn", "did you mean"),
    "model server away": (
        _config("[models]\ndefault = 'e'\n[models.openai.e]\nbase_url = 'http://127.0.0.1:9'\n"),
        "model e",
        "fail",
        "can not be reached",
    ),
    "key away": (
        _config("[models]\ndefault='e'\n[models.openai.e]\nbase_url='http://127.0.0.1:9'\napi_key_file='gone'\n"),
        "model e",
        "fail",
        "gone",
    ),
    "model folder away": (
        _config("[models]\ndefault = 'o'\n[models.onnx.o]\ndirectory = 'gone'\n"),
        "model o",
        "fail",
        "gone",
    ),
    "half restored": (_restored_by_half, "restore", "warn", "killed before its last step"),
    "restored but for its config": (
        lambda pkg: shutil.copy(pkg / "slipstream.toml", pkg / DATA),
        "restore",
        "warn",
        "before its configuration",
    ),
    "behind": (_sql("graph.db", "INSERT INTO entity(id, type) VALUES ('b', 'B')"), "in step", "warn", "newest 1"),
    "words behind": (
        _sql("graph.db", "INSERT INTO entity(id, type) VALUES ('b', 'B')"),
        "word rows",
        "warn",
        "do not find the newest 1 changes by words",
    ),
    "words not made": (
        _sql("index.db", "DELETE FROM named_values WHERE name GLOB 'words_*'"),
        "word rows",
        "warn",
        "not made yet",
    ),
    "words to be compared": (
        _scan_due,
        "word rows",
        "warn",
        "all are compared with the graph (views changed): 3 of about 1,000 so far",
    ),
    "ahead of time": (
        _sql("graph.db", "UPDATE change SET at = at + 9999000"),
        "clock",
        "warn",
        "in the future",
    ),
    "dead letter": (_dead_letter, "dead letters", "warn", "1 keys or lines failed for good"),
    "incident": (_incident, "incident", "fail", "it is gone"),
    "left socket": (_left_by_a_server, "server", "warn", "was left by a server that was killed"),
    "open to others": (_open_to_others, "permissions", "warn", "others may read: graph.db"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found_and_nothing_is_changed(pkg: Path, case: str) -> None:
    change, name, level, said = WRONG[case]
    change(pkg)
    before = _state(pkg)
    found = _examined(pkg)
    assert (found[name]["level"], said in found[name]["said"]) == (level, True), found[name]
    assert _state(pkg) == before


def test_a_python_without_the_search_by_words_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def without_fts5(*args: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **named)

        def authorize(action: int, _: str | None, module: str | None, *__: str | None) -> int:
            is_of_words = (action, module) == (sqlite3.SQLITE_CREATE_VTABLE, "fts5")
            return sqlite3.SQLITE_DENY if is_of_words else sqlite3.SQLITE_OK

        connection.set_authorizer(authorize)
        return connection

    monkeypatch.setattr(sqlite3, "connect", without_fts5)
    found = _examined(tmp_path)
    assert (found["sqlite"]["level"], "FTS5" in found["sqlite"]["fix"]) == ("fail", True)
    assert found["sqlite"]["said"].endswith(", without FTS5")


@pytest.mark.parametrize("place", ["gone", "file", "empty"])
def test_where_there_is_no_pkg(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    found = _examined(tmp_path / place)
    assert found["directory"]["level"] == "fail"
    assert "init" in found["directory"]["fix"]
    assert "graph file" not in found
    assert not (tmp_path / "gone").exists()


def test_a_pkg_that_was_only_made(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    (cli.directory / "slipstream.toml").write_text(CONFIG)
    found = _examined(cli.directory)
    assert "not there yet" in found["graph file"]["said"]
    assert not (cli.directory / DATA).exists()


def test_a_graph_that_another_program_holds_is_told(pkg: Path) -> None:
    with closing(sqlite3.connect(pkg / DATA / "graph.db", isolation_level=None)) as raw:
        raw.execute("PRAGMA locking_mode = EXCLUSIVE")
        raw.execute("BEGIN EXCLUSIVE")
        raw.execute("INSERT INTO once VALUES ('x')")
        found = _examined(pkg)
        raw.execute("ROLLBACK")
    assert found["graph file"]["level"] == "fail"
    assert "another process is writing" in found["graph file"]["said"]


def test_backups_are_looked_for_where_they_are_said_to_be(pkg: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    assert _examined(pkg, "--backups", str(folder))["backups"]["level"] == "warn"
    backups_of(pkg).backup(folder)
    assert "1, the newest slipstream-" in _examined(pkg, "--backups", str(folder))["backups"]["said"]
    other = made(tmp_path / "other")
    found = _examined(other.directory, "--backups", str(folder))
    assert "holds none of this graph" in found["backups"]["said"]
    assert _examined(pkg, "--backups", str(tmp_path / "gone"))["backups"]["level"] == "fail"


def test_a_server_that_answers_and_one_that_hangs(pkg: Path) -> None:
    server = command(pkg, "serve")
    try:
        server.wait_for("running")
        found = _examined(pkg)
        assert "answers, within" in found["server"]["said"]
        assert f"process {server.process.pid} runs it" in found["engine"]["said"]
        server.send(signal.SIGSTOP)
        assert "has not answered" in _examined(pkg)["server"]["said"]
    finally:
        server.send(signal.SIGCONT)
        server.close()
