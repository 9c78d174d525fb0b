"""The tampering suite over the embedded SQLite index, damaged through connections of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from slipstream.domain.models import Space
from slipstream.domain.stamps import MetadataValue, Vector
from slipstream.service.config import Config
from slipstream.testing.suites.tampering import RawStore, RefusedError, TamperingSuite

_COLUMNS = {
    "extraction_template_version": "template_version",
    "extraction_confidence": "confidence",
    "source_document_id": "source_document",
}
"""Columns that are not named as the stamp's fields."""


class RawSqlite(RawStore):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _run(self, statement: str, *values: object) -> int:
        try:
            with self._connection:
                cursor = self._connection.execute(statement, values)
        except sqlite3.IntegrityError as error:  # a constraint, or a trigger's raise(ABORT)
            raise RefusedError(str(error)) from error
        assert cursor.rowcount >= 1
        return int(cursor.lastrowid or 0)

    def _row(self, key: str) -> int:
        ((row,),) = self._connection.execute("SELECT id FROM records WHERE key = ?", (key,)).fetchall()
        return int(row)

    def keys(self) -> list[str]:
        return [key for (key,) in self._connection.execute("SELECT DISTINCT key FROM records ORDER BY key")]

    def fields(self, key: str) -> dict[str, object]:
        cursor = self._connection.execute("SELECT * FROM records WHERE id = ?", (self._row(key),))
        found = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
        return found | {name: found[column] for name, column in _COLUMNS.items()}

    def delete(self, key: str) -> None:
        row = self._row(key)
        self._run("DELETE FROM records WHERE id = ?", row)
        self._run("DELETE FROM vectors WHERE record = ?", row)

    def insert(self, identity: str, like: str, without: Sequence[str] = ()) -> None:
        self._copy(like, identity, None, without)

    def copy_to(self, key: str, space: Space) -> None:
        self._copy(key, key, self._space(space))

    def move_to(self, key: str, space: Space) -> None:
        self._run("UPDATE records SET space = ? WHERE id = ?", self._space(space), self._row(key))

    def _copy(self, key: str, identity: str, space: int | None, without: Sequence[str] = ()) -> None:
        columns = [row[1] for row in self._connection.execute("PRAGMA table_info(records)")]
        kept = ", ".join(name for name in columns if name not in ("id", "key", "space", *without))
        row = self._row(key)
        copied = self._run(
            f"INSERT INTO records (key, space, {kept}) SELECT ?, coalesce(?, space), {kept} "  # noqa: S608
            "FROM records WHERE id = ?",
            identity,
            space,
            row,
        )
        self._run("INSERT INTO vectors (record, vector) SELECT ?, vector FROM vectors WHERE record = ?", copied, row)

    def _space(self, space: Space) -> int:
        identity = (space.model_id, space.model_version, space.dimension, space.generation)
        names = "model_id, model_version, dimension, generation"
        known = f"SELECT id FROM spaces WHERE ({names}) = (?, ?, ?, ?)"  # noqa: S608
        if self._connection.execute(known, identity).fetchone() is None:
            self._run(f"INSERT INTO spaces ({names}) VALUES (?, ?, ?, ?)", *identity)  # noqa: S608
        return int(self._connection.execute(known, identity).fetchone()[0])

    def edit(self, key: str, name: str, value: object) -> None:
        column = _COLUMNS.get(name, name)
        self._run(f"UPDATE records SET {column} = ? WHERE id = ?", value, self._row(key))  # noqa: S608

    def edit_metadata(self, key: str, name: str, value: MetadataValue | None) -> None:
        text = self.fields(key)["metadata"]
        kept = json.loads(text) if isinstance(text, str) else {}
        self.edit(key, "metadata", json.dumps(kept | {name: value}))

    def vector(self, key: str) -> Vector:
        query = "SELECT vector FROM vectors WHERE record = ?"
        return np.frombuffer(self._connection.execute(query, (self._row(key),)).fetchone()[0], "<f4")

    def put_vector(self, key: str, vector: Vector) -> None:
        self._run("UPDATE vectors SET vector = ? WHERE record = ?", vector.astype("<f4").tobytes(), self._row(key))

    def drop_vector(self, key: str) -> None:
        self._run("DELETE FROM vectors WHERE record = ?", self._row(key))

    def bury(self, key: str, position: int) -> None:
        self._run("INSERT INTO tombstones (key, position) VALUES (?, ?)", key, position)


class TestSqliteTampering(TamperingSuite):
    config = Config()
    refused = frozenset(
        {
            # The columns are STRICT and NOT NULL, and triggers refuse what no reader could make sense of.
            "foreign, incomplete",
            "foreign, no key",
            "foreign, kind only",
            "no fingerprint",
            "no position",
            "no schema version",
            "position is text",
            "time is none",
            "validated at no time",
        }
    )

    @contextmanager
    def raw(self, data: Path) -> Iterator[RawStore]:
        with closing(sqlite3.connect(data / "index.sqlite")) as connection:
            yield RawSqlite(connection)

    def store_files(self, data: Path) -> Sequence[Path]:
        return [data / "index.sqlite"]
