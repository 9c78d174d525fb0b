"""The tampering suite of word rows over the store's file, damaged through connections of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.ports.journal import Journal
from slipstream.ports.words import WordRows
from slipstream.testkit.suites.words_tampering import RawWords, WordsTamperingSuite

_OF_ROW: Mapping[str, str] = {
    "entity_type": "UPDATE word_rows SET type = :value WHERE key = :key",
    "position": "UPDATE word_rows SET position = :value WHERE key = :key",
    "digest": "UPDATE word_rows SET digest = :value WHERE key = :key",
    "name": "UPDATE words_english SET name = :value WHERE rowid = (SELECT id FROM word_rows WHERE key = :key)",
    "aliases": "UPDATE words_english SET aliases = :value WHERE rowid = (SELECT id FROM word_rows WHERE key = :key)",
    "body": "UPDATE words_english SET body = :value WHERE rowid = (SELECT id FROM word_rows WHERE key = :key)",
}
_NAMES = "SELECT names FROM word_rows WHERE key = ?"
_RENAMED = "UPDATE word_rows SET names = ? WHERE key = ?"
_DELETIONS = (
    "DELETE FROM words_english WHERE rowid = (SELECT id FROM word_rows WHERE key = :key)",
    "DELETE FROM name_trigrams WHERE rowid = (SELECT id FROM word_rows WHERE key = :key)",
    "DELETE FROM word_names WHERE row = (SELECT id FROM word_rows WHERE key = :key)",
    "DELETE FROM word_rows WHERE key = :key",
)


class RawSqliteWords(RawWords):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _run(self, statement: str, **values: object) -> None:
        with self._connection:
            self._connection.execute(statement, values)

    def delete(self, key: str) -> None:
        for statement in _DELETIONS:
            self._run(statement, key=key)

    def drop_texts(self, key: str) -> None:
        self._run(_DELETIONS[0], key=key)

    def edit(self, key: str, name: str, value: object) -> None:
        self._run(_OF_ROW[name], key=key, value=value)

    def rename(self, key: str, folded: str | None) -> None:
        ((names,),) = self._connection.execute(_NAMES, (key,)).fetchall()
        first, *others = names.split("\n")
        kept = others if folded is None else [first[0] + folded, *others]
        with self._connection:
            self._connection.execute(_RENAMED, ("\n".join(kept), key))


class SqliteWordsHooks(WordsTamperingSuite):
    @pytest.fixture
    def rows(self, tmp_path: Path) -> Iterator[tuple[WordRows, Journal]]:
        self.path = tmp_path / "index.db"
        store = SqliteStore(self.path)
        yield store.words, store.journal
        store.close()

    @contextmanager
    def raw(self, rows: WordRows) -> Iterator[RawWords]:
        del rows
        with closing(sqlite3.connect(self.path)) as connection:
            yield RawSqliteWords(connection)


class TestSqliteWords(SqliteWordsHooks):
    """The embedded store."""
