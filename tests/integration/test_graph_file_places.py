"""What may stand in the place of a graph file, and a place that can not hold one: one clear line each."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite import opening
from slipstream.adapters.graphs.sqlite.layout import APPLICATION_ID, LAYOUT, LAYOUT_VERSION
from slipstream.domain.errors import ConfigError, CorruptionError, IncidentError, UnavailableError
from slipstream.domain.positions import ORIGIN
from tests.integration.graph_files import made, names, opened, raw, run_raw, told

_NOBODY = 65_534
FILES = ["graph.db", "graph.db-wal", "graph.db-shm", "graph.db-lock", "graph.db-lock-next"]


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        graph = made(tmp_path)
    finally:
        os.umask(umask)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(FILES, 0o600)
    graph.close()


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    run_raw(tmp_path, "CREATE TABLE entity(id)")
    before = (tmp_path / "graph.db").read_bytes()
    with pytest.raises(ConfigError, match="is the database of another program: choose another directory"):
        opened(tmp_path)
    assert run_raw(tmp_path, "SELECT name FROM sqlite_schema") == [("entity",)]
    assert len(before) == (tmp_path / "graph.db").stat().st_size


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    made(tmp_path).close()
    run_raw(tmp_path, f"PRAGMA user_version = {LAYOUT_VERSION + 1}")
    with pytest.raises(ConfigError, match=r"newer Slipstream .*upgrade slipstream-pkg"):
        opened(tmp_path)


def test_a_text_in_its_place_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "graph.db").write_text("my notes\n" * 1000)
    with pytest.raises(CorruptionError, match=r"graph.db is damaged \(file is not a database\): restore a backup"):
        opened(tmp_path)
    assert (tmp_path / "graph.db").read_text().startswith("my notes")


def test_an_empty_file_becomes_a_graph(tmp_path: Path) -> None:
    (tmp_path / "graph.db").touch()
    graph = made(tmp_path)
    assert told(graph)[-1] == "relationship_created KNOWS:ada:bob"
    graph.close()


@pytest.mark.parametrize("kind", ["directory", "dangling link", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "graph.db"
    if kind == "directory":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is not a file: move it away, or choose another directory"):
        opened(tmp_path)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can not be created \(No such file"):
        opened(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"can not be created \(Not a directory"):
        opened(tmp_path / "file")


_AS_NOBODY = f"""
import fcntl, os, sys
from pathlib import Path
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import SlipstreamError
if os.getuid() == 0:
    os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY})
try:
    graph = SqliteGraph(Path(sys.argv[1]) / "graph.db", clock=SystemClock())
    with graph.transaction() as tx:
        tx.upsert_entity("Person", "eve", {{}})
    print("written")
except SlipstreamError as error:
    print(type(error).__name__, error)
"""


def as_nobody(path: Path) -> str:
    """Open and write a graph in a process without root's right to write everywhere; return what it says."""
    command = [sys.executable, "-c", _AS_NOBODY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory that everybody can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o755)


@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "lock", "said"),
    [
        (0o666, 0o777, False, "written"),
        (0o444, 0o777, False, "ConfigError {path}/graph.db may not be read and written by this user"),
        (0o000, 0o777, False, "ConfigError {path}/graph.db may not be read and written by this user"),
        (0o666, 0o555, False, "UnavailableError {path}/graph.db"),
        (0o666, 0o777, True, "UnavailableError {path}/graph.db-lock can not be locked (Permission denied)"),
        (None, 0o555, False, "ConfigError {path}/graph.db can not be created (Permission denied)"),
    ],
    ids=["may be written", "a file to read", "nobody's file", "a directory to read", "a lock of others", "no file"],
)
def test_what_may_not_be_written_is_told(
    place: Path, file_mode: int | None, directory_mode: int, lock: bool, said: str
) -> None:
    if file_mode is not None:
        made(place).close()
        (place / "graph.db").chmod(file_mode)
        for each in place.glob("graph.db-lock*"):
            each.unlink()
    if lock:
        (place / "graph.db-lock").touch(0o400)
        (place / "graph.db-lock").chmod(0o400)
    place.chmod(directory_mode)
    if os.getuid() != 0 and (file_mode == 0o666 or lock):
        pytest.skip("the owner of a file may do more than nobody: this needs root")
    assert as_nobody(place).startswith(said.format(path=place))


def test_an_older_file_is_brought_here_and_a_copy_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made(tmp_path).close()
    _add_a_step(monkeypatch)
    graph = opened(tmp_path)
    assert run_raw(tmp_path, "PRAGMA user_version") == [(LAYOUT_VERSION + 1,)]
    assert run_raw(tmp_path, "SELECT name FROM sqlite_schema WHERE name GLOB 'later*'") == [
        ("later",),
        ("later_too",),
    ]
    assert told(graph)[-1] == "relationship_created KNOWS:ada:bob"
    graph.close()
    copy = tmp_path / f"graph.db.version-{LAYOUT_VERSION}"
    assert f"a copy is kept in {copy}" in caplog.text
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (LAYOUT_VERSION,)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert names(connection.execute("SELECT id FROM entity ORDER BY id").fetchall()) == ["ada", "bob"]
    kept = copy.read_bytes()
    caplog.clear()
    opened(tmp_path).close()
    assert caplog.text == ""
    assert copy.read_bytes() == kept


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path).close()
    with closing(raw(tmp_path)) as connection:
        before = list(connection.iterdump())
    _add_a_step(monkeypatch, "CREATE TABLE entity(x)")
    with pytest.raises(CorruptionError, match="entity already exists"):
        opened(tmp_path)
    monkeypatch.undo()
    graph = opened(tmp_path)
    with closing(raw(tmp_path)) as connection:
        assert list(connection.iterdump()) == before
    graph.close()


def test_without_room_for_the_copy_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made(tmp_path).close()
    _add_a_step(monkeypatch)
    monkeypatch.setattr(opening, "_sync", _fail)
    with pytest.raises(UnavailableError, match=r"no copy of it could be made .*nothing was changed"):
        opened(tmp_path)
    assert run_raw(tmp_path, "PRAGMA user_version") == [(LAYOUT_VERSION,)]
    assert sorted(path.name for path in tmp_path.glob("graph.db.*")) == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_process_of_before_leaves_a_file_alone_that_a_newer_one_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    graph = made(tmp_path)
    _add_a_step(monkeypatch)
    opened(tmp_path).close()
    monkeypatch.undo()
    caplog.clear()
    with pytest.raises(ConfigError, match="newer Slipstream"):
        graph.feed.read(ORIGIN, 10)
    with pytest.raises(ConfigError, match="newer Slipstream"), graph.transaction():
        pass
    assert caplog.text == ""
    graph.close()


def _fail(path: Path) -> None:
    raise OSError(28, "No space left on device")


def _add_a_step(monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    step = ("CREATE TABLE later(x)", "CREATE TABLE later_too(x)", *more)
    monkeypatch.setattr(opening, "LAYOUT", (*LAYOUT, step))
    monkeypatch.setattr(opening, "LAYOUT_VERSION", LAYOUT_VERSION + 1)


_MANY = """
import os, sys
from pathlib import Path
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
reading, writing = os.pipe()
openers = []
for number in range(5):
    openers.append(os.fork())
    if openers[-1] == 0:
        os.close(writing)
        os.read(reading, 1)  # until all are there
        graph = SqliteGraph(Path(sys.argv[1]) / "graph.db", clock=SystemClock())
        with graph.transaction() as tx:
            tx.create_entity("Person", f"p{number}")
        graph.close()
        os._exit(0)
os.close(writing)
sys.exit(any([os.waitpid(opener, 0)[1] for opener in openers]))
"""


def test_several_processes_may_make_a_file_at_once(tmp_path: Path) -> None:
    for number in range(4):
        path = tmp_path / str(number)
        path.mkdir()
        done = subprocess.run([sys.executable, "-c", _MANY, str(path)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        graph = opened(path)
        assert graph.counts() == {"Person": 5}
        assert len(run_raw(path, "SELECT value FROM meta WHERE name = 'graph_id'")) == 1
        graph.close()


def test_a_file_that_was_replaced_while_open_takes_no_commit(tmp_path: Path) -> None:
    """What is acknowledged would be in a file that nobody finds again."""
    graph = opened(tmp_path)
    graph.create_entity("Person", "ada", {})
    (tmp_path / "graph.db").rename(tmp_path / "kept.db")
    with pytest.raises(IncidentError, match=r"graph\.db was removed while it was open.*Ways on: restore a backup"):
        graph.create_entity("Person", "bob", {})
    with pytest.raises(IncidentError, match="removed"):
        graph.feed.head()
    (tmp_path / "kept.db").rename(tmp_path / "graph.db")
    graph.create_entity("Person", "bob", {})
    assert graph.counts() == {"Person": 2}
    graph.close()


def test_a_graph_whose_identity_was_removed_gets_a_new_one(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "graph.db", isolation_level=None)) as raw:
        raw.execute("DELETE FROM meta")
    graph = opened(tmp_path)
    graph.create_entity("Person", "ada", {})
    assert graph.feed.read(ORIGIN, 10)
    graph.close()


def test_a_dropped_sync_view_is_made_anew(tmp_path: Path) -> None:
    """Nothing is lost with it: the engine fills it."""
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "graph.db", isolation_level=None)) as raw_connection:
        raw_connection.execute("DROP TABLE sync_state")
    graph = opened(tmp_path)
    assert graph.sync_view.counts() == {}
    graph.close()
