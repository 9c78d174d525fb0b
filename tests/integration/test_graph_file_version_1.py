"""A graph file of version 1, which knows no fences, is brought here with all that is in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from slipstream.domain.events import PKGEvent
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.positions import ORIGIN
from tests.integration.graph_files import made, opened, run_raw, told


def _of_version_1(directory: Path) -> list[str]:
    """Make a file as version 1 made it; returns its log."""
    graph = made(directory)
    with graph.transaction() as tx:
        tx.once("applied before")
    log = told(graph)
    graph.close()
    with closing(sqlite3.connect(directory / "graph.db")) as connection:
        connection.executescript("DROP TABLE fence; PRAGMA user_version = 1;")
    return log


def test_it_gets_fences_and_keeps_all_else(tmp_path: Path) -> None:
    log = _of_version_1(tmp_path)
    graph = opened(tmp_path)
    assert told(graph) == log
    row, fence = RowName("kg.public.note", "1"), Fence(key="e:ada", order="7")
    with graph.transaction() as tx:
        assert tx.fences([row]) == {}
        assert not tx.once("applied before")
        tx.put_fences({row: fence})
    graph.close()
    assert run_raw(tmp_path, "PRAGMA user_version") == [(2,)]
    graph = opened(tmp_path)
    with graph.transaction() as tx:
        assert tx.fences([row]) == {row: fence}
    assert [entry for entry in graph.feed.read(ORIGIN, 99) if not isinstance(entry, PKGEvent)] == []  # no rescan
    graph.close()


def test_what_it_was_is_kept_beside_it(tmp_path: Path) -> None:
    _of_version_1(tmp_path)
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "graph.db.version-1")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT count(*) FROM sqlite_schema WHERE name GLOB 'fence*'").fetchone() == (0,)
        assert copy.execute("SELECT count(*) FROM entity").fetchone() == (2,)


def test_a_new_file_has_the_same_schema(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for directory in (old, new):
        directory.mkdir()
    _of_version_1(old)
    opened(old).close()
    made(new).close()
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    assert run_raw(old, schema) == run_raw(new, schema)
