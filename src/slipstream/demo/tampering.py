"""Raw SQL on a closed index file: what a careless tool, a bad disk or a restored backup might do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tampered:
    """Record keys (encoded), by the class that an audit should report them under."""

    missing: tuple[str, ...]
    stale: tuple[str, ...]
    orphaned: tuple[str, ...]


def tamper(index_file: Path, count: int) -> Tampered:
    """Delete `count` vectors, forge as many fingerprints and copy as many records under foreign keys."""
    with closing(sqlite3.connect(index_file)) as connection, connection:
        rows = connection.execute("SELECT id, key FROM records ORDER BY key LIMIT ?", (3 * count,)).fetchall()
        count = len(rows) // 3
        deleted, forged, copied = rows[:count], rows[count : 2 * count], rows[2 * count : 3 * count]
        for record, _ in deleted:
            connection.execute("DELETE FROM records WHERE id = ?", (record,))
            connection.execute("DELETE FROM vectors WHERE record = ?", (record,))
        for record, _ in forged:
            connection.execute("UPDATE records SET fingerprint = 'forged' WHERE id = ?", (record,))
        ghosts = tuple(_copy(connection, record, number) for number, (record, _) in enumerate(copied))
    return Tampered(tuple(key for _, key in deleted), tuple(key for _, key in forged), ghosts)


def _copy(connection: sqlite3.Connection, record: int, number: int) -> str:
    key = f"e:ghost-{number}"
    columns = [row[1] for row in connection.execute("PRAGMA table_info(records)") if row[1] not in ("id", "key")]
    names = ", ".join(columns)
    # The names come from the schema itself, not from anybody's input.
    statement = f"INSERT INTO records (key, {names}) SELECT ?, {names} FROM records WHERE id = ?"  # noqa: S608
    cursor = connection.execute(statement, (key, record))
    connection.execute(
        "INSERT INTO vectors (record, vector) SELECT ?, vector FROM vectors WHERE record = ?",
        (cursor.lastrowid, record),
    )
    return key
