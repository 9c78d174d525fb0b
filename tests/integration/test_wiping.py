"""What SQLite has freed is overwritten: nothing of it is left in the file, and nothing else changes."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.sqlite.wiping import wipe
from slipstream.domain.errors import CorruptionError, UnavailableError

_SECRET = re.compile(rb"secret\d+")
_LONG = 30_000


def _connect(path: Path, mode: str = "WAL") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute(f"PRAGMA journal_mode = {mode}")
    return connection


def _made(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE plain(id INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT)")
    connection.execute("CREATE TABLE keyed(a TEXT, b TEXT, body TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID")


def _text(rng: random.Random, number: int) -> str:
    length = rng.choice([10, 200, 900, 1100, 4000, 4100, 9000, _LONG])
    return f"secret{number} " + f"body{number} " * (length // 8)


def _worked(connection: sqlite3.Connection, rng: random.Random, steps: int) -> None:
    """Insert, change and delete rows with texts of all lengths, so that pages are split, freed and used again."""
    for number in range(steps):
        text = _text(rng, number)
        connection.execute("BEGIN")
        connection.execute("INSERT OR REPLACE INTO plain VALUES (?, ?, ?)", (rng.randrange(200), f"n{number}", text))
        connection.execute("REPLACE INTO keyed VALUES (?, ?, ?)", (f"k{rng.randrange(60)}", f"{number % 3}", text))
        connection.execute("DELETE FROM plain WHERE id = ?", (rng.randrange(200),))
        connection.execute("DELETE FROM keyed WHERE a = ?", (f"k{rng.randrange(60)}",))
        connection.execute("UPDATE keyed SET body = ? WHERE a = ?", (_text(rng, number), f"k{rng.randrange(60)}"))
        connection.execute("COMMIT")


def _content(connection: sqlite3.Connection) -> list[object]:
    statements = ("SELECT * FROM plain ORDER BY 1", "SELECT * FROM keyed ORDER BY 1, 2")
    return [connection.execute(statement).fetchall() for statement in statements]


def _live(connection: sqlite3.Connection) -> set[bytes]:
    rows = connection.execute("SELECT body FROM plain UNION ALL SELECT body FROM keyed")
    return {found for (body,) in rows for found in _SECRET.findall(body.encode())}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("seed", range(6))
def test_only_what_is_in_use_is_left(tmp_path: Path, seed: int, mode: str) -> None:
    path = tmp_path / "file.db"
    with closing(_connect(path, mode)) as connection:
        if seed % 2:
            connection.execute("PRAGMA page_size = 1024")
            connection.execute("VACUUM")
        _made(connection)
        _worked(connection, random.Random(seed), 400)
        before, live = _content(connection), _live(connection)
    files = [path, path.with_name("file.db-wal")]
    assert set(_SECRET.findall(path.read_bytes())) - live, "a test of nothing: no old text is left before"

    done = wipe(path, ["secret"])

    assert done.wiped_bytes > 0
    assert done.left[0] >= len(live)
    found = {f for file in files if file.exists() for f in _SECRET.findall(file.read_bytes())}
    assert found == live
    with closing(_connect(path, mode)) as connection:
        assert _content(connection) == before
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        _worked(connection, random.Random(seed + 100), 50)  # and it is written as any other file
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_connection_that_held_old_pages_does_not_bring_them_back(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    with closing(_connect(path)) as writer, closing(_connect(path)) as reader:
        _made(writer)
        writer.executemany("INSERT INTO plain VALUES (?, ?, ?)", [(n, f"n{n}", f"secret{n}") for n in range(40)])
        writer.execute("DELETE FROM plain WHERE id <> 7")
        assert reader.execute("SELECT count(*) FROM plain").fetchone() == (1,)

        wipe(path)
        writer.execute("UPDATE plain SET body = 'other' WHERE id = 7")  # the page, as this connection knows it
        reader.execute("INSERT INTO plain VALUES (8, 'n8', 'new')")
        wipe(path)

        assert _content(reader)[0] == [(7, "n7", "other"), (8, "n8", "new")]
    assert _SECRET.findall(path.read_bytes()) == []


def test_a_reader_that_stays_prevents_it_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    with closing(_connect(path)) as writer, closing(_connect(path)) as reader:
        _made(writer)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM plain").fetchone()
        writer.execute("INSERT INTO plain VALUES (1, 'n', 'secret1')")
        with pytest.raises(UnavailableError, match="erase again"):
            wipe(path, timeout_s=0.3)
        reader.execute("COMMIT")
        assert wipe(path, ["secret1"]).left == (1,)


def test_a_file_of_another_form_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    with closing(_connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
        _made(connection)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    with pytest.raises(CorruptionError, match="form"):
        wipe(path)
    assert path.read_bytes() == before
