"""Raw SQL on a closed index file: what a careless tool, a bad script or a restored backup might do."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

Row = tuple[int, str]
"""A record's row id and its key, encoded."""

_WAYS = 7


def tamper(index_file: Path, count: int) -> Mapping[str, list[str]]:
    """Damage `count` records in each of seven ways; returns the keys by the class that an audit should report."""
    with closing(sqlite3.connect(index_file)) as connection, connection:
        rows: list[Row] = connection.execute(
            "SELECT id, key FROM records ORDER BY key LIMIT ?", (_WAYS * count,)
        ).fetchall()
        deleted, forged, aged, foreign, doubled, copied, zeroed = (rows[way::_WAYS] for way in range(_WAYS))
        space = _foreign_space(connection)
        for record, _ in deleted:
            connection.execute("DELETE FROM records WHERE id = ?", (record,))
            connection.execute("DELETE FROM vectors WHERE record = ?", (record,))
        for record, _ in forged:
            connection.execute("UPDATE records SET fingerprint = 'forged' WHERE id = ?", (record,))
        for record, _ in aged:
            connection.execute("UPDATE records SET schema_version = 1 WHERE id = ?", (record,))
        for record, _ in foreign:
            connection.execute("UPDATE records SET space = ? WHERE id = ?", (space, record))
        for record, key in doubled:
            _copy(connection, record, key, space)
        for record, _ in zeroed:
            connection.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE record = ?", (record,))
        ghosts = [f"e:ghost-{number}" for number in range(len(copied))]
        for (record, _), ghost in zip(copied, ghosts, strict=True):
            _copy(connection, record, ghost, None)
    return {
        "missing": [key for _, key in deleted],
        "orphaned": ghosts,
        "stale": [key for _, key in forged],
        "outdated": [key for _, key in aged],
        "wrong_model": [key for _, key in foreign],
        "duplicate": [key for _, key in doubled],
        "corrupt": [key for _, key in zeroed],
    }


def _foreign_space(connection: sqlite3.Connection) -> int:
    """Return the space of a model that nobody asks for; an earlier demo may have left it."""
    connection.execute(
        "INSERT OR IGNORE INTO spaces (model_id, model_version, dimension, generation) "
        "SELECT 'foreign-model', '1', dimension, 1 FROM spaces LIMIT 1"
    )
    (space,) = connection.execute("SELECT id FROM spaces WHERE model_id = 'foreign-model'").fetchone()
    return int(space)


def _copy(connection: sqlite3.Connection, record: int, key: str, space: int | None) -> None:
    """Copy a record and its vector to another key, or into another space."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(records)")]
    kept = ", ".join(name for name in columns if name not in ("id", "key", "space"))
    # The names come from the schema itself, not from anybody's input.
    copied = connection.execute(
        f"INSERT INTO records (key, space, {kept}) SELECT ?, coalesce(?, space), {kept} "  # noqa: S608
        "FROM records WHERE id = ?",
        (key, space, record),
    ).lastrowid
    connection.execute(
        "INSERT INTO vectors (record, vector) SELECT ?, vector FROM vectors WHERE record = ?", (copied, record)
    )
