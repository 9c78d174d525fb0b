"""The tampering suite over the embedded SQLite index, damaged through connections of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from slipstream.app.config import Config
from slipstream.domain.models import Space
from slipstream.domain.stamps import MetadataValue, Vector
from slipstream.testkit.suites.tampering import RawStore, RefusedError, TamperingSuite
from slipstream.testkit.suites.tampering_ways import Damage
from slipstream.testkit.suites.tampering_world import data_of, found_by

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


class SqliteHooks(TamperingSuite):
    config = Config()
    holds_journal = True
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
        with closing(sqlite3.connect(data / "index.db")) as connection:
            yield RawSqlite(connection)

    def store_files(self, data: Path) -> Sequence[Path]:
        return [data / "index.db"]


class TestSqliteTampering(SqliteHooks):
    @pytest.mark.parametrize(
        "statement",
        [
            (
                "INSERT OR REPLACE INTO records SELECT * FROM (SELECT id FROM records WHERE key = 'e:p010') "
                "JOIN (SELECT {columns} FROM records WHERE key = 'e:p390')"
            ),
            "UPDATE OR REPLACE records SET id = (SELECT id FROM records WHERE key = 'e:p010') WHERE key = 'e:p390'",
            "UPDATE OR REPLACE records SET rowid = (SELECT id FROM records WHERE key='e:p010') WHERE key = 'e:p390'",
        ],
        ids=["insert", "id", "rowid"],
    )
    def test_a_row_that_another_one_replaces_is_missed(self, directory: Path, statement: str) -> None:
        """Its vector is another's now: SQLite tells no trigger that the row is gone."""
        with closing(sqlite3.connect(data_of(directory) / "index.db")) as connection, connection:
            columns = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(records)") if row[1] != "id")
            connection.execute(statement.format(columns=columns))
        self._assert_found_and_repaired(directory, Damage().of("missing", "e:p010").of("corrupt", "e:p390"))

    def test_damage_behind_dropped_triggers_is_found_and_the_triggers_are_back(self, directory: Path) -> None:
        with closing(sqlite3.connect(data_of(directory) / "index.db")) as connection, connection:
            before = _triggers(connection)
            for name in before:
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute("UPDATE records SET fingerprint = 'forged' WHERE key = 'e:p010'")
            connection.execute("UPDATE records SET metadata = '[1]' WHERE key = 'e:p011'")
            connection.execute("UPDATE records SET space = 77 WHERE key = 'e:p012'")
            connection.execute("UPDATE records SET key = 'nobody' WHERE key = 'e:p013'")
        damage = Damage().of("stale", "e:p010").of("missing", "e:p011", "e:p012", "e:p013")
        self._assert_found_and_repaired(directory, damage)
        with closing(sqlite3.connect(data_of(directory) / "index.db")) as connection:
            assert _triggers(connection) == before
            assert connection.execute("SELECT count(*) FROM records WHERE key = 'nobody'").fetchone() == (0,)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE spaces SET model_version = '2'",
            "DELETE FROM spaces",
            "INSERT OR REPLACE INTO spaces SELECT id, 'forged', model_version, dimension, generation FROM spaces",
            "UPDATE records SET space = 77",
            "UPDATE records SET metadata = '[1]'",
        ],
    )
    def test_what_no_reader_could_make_sense_of_is_refused(self, directory: Path, statement: str) -> None:
        database = closing(sqlite3.connect(data_of(directory) / "index.db"))
        with database as connection, connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
        self._assert_found_and_repaired(directory, Damage())

    def test_a_byte_of_the_file_that_flips_on_the_disk_is_found_by_a_full_audit(self, directory: Path) -> None:
        """No write took place, so no digest is void: what an incremental audit looks at is as it was."""
        path = data_of(directory) / "index.db"
        with self.raw(data_of(directory)) as raw:
            vector = raw.vector("e:p042").tobytes()
        content = path.read_bytes()
        assert content.count(vector) == 1
        place = content.index(vector) + 9
        path.write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
        with self.open(directory) as slipstream:
            assert slipstream.verify(incremental=True).is_consistent
            report = slipstream.verify()
            assert found_by(report) == {"corrupt": {"e:p042"}}
            self._repair(slipstream, report)


def _triggers(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall())
