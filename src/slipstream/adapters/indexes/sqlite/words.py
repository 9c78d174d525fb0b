"""The word index in the store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from slipstream.adapters.indexes.sqlite.codec import Row, select_in
from slipstream.adapters.indexes.sqlite.words_erasing import scrub_words
from slipstream.adapters.indexes.sqlite.words_schema import TEXT_TABLES, make_words, remove_words
from slipstream.adapters.indexes.sqlite.words_scratch import Scratch
from slipstream.adapters.indexes.sqlite.words_searching import Lending, SqliteWordSearch, names_of
from slipstream.adapters.indexes.sqlite.words_writing import KnownWords, remove_rows, write_rows
from slipstream.domain.erasure import Erased, Swept
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.words import STEMMERS, WordDeletion, WordRow, WordStamp

_AT_ONCE = 2_000
_READABLE = "key GLOB '[er]:?*'"  # a row of another program, which the self-check names and removes, is left out
_STAMPS = f"SELECT key, type, position, digest FROM word_rows WHERE {_READABLE}"
_WHOLE = """
SELECT r.key, f.type, r.position, r.stemmer, f.name, f.aliases, f.body, r.names, r.digest
FROM word_rows r JOIN {table} f ON f.rowid = r.id WHERE r.stemmer = '{stemmer}' AND r.key IN ({{}})
"""


class SqliteWords(SqliteWordSearch):
    """A `WordIndex` over the tables of `words_schema`. Made by `SqliteStore`, in its journal's transactions."""

    def __init__(self, database: Lending) -> None:
        super().__init__(database, Scratch())
        self._known = KnownWords()
        self._refill: Callable[[], object] | None = None

    # ------------------------------------------------------------------ rows

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write and remove rows in one transaction; returns the fenced keys."""
        self._require_open()
        if not rows and not deletions:
            return []
        unknown = [row.stemmer for row in rows if row.stemmer not in STEMMERS]
        if unknown:
            raise InvalidInputError(f"{unknown[0]!r} is not a stemmer: {', '.join(STEMMERS)}", field="stemmer")
        fenced: list[RecordKey] = []
        with self._database.writing() as connection:
            for start in range(0, len(deletions), _AT_ONCE):
                fenced += remove_rows(connection, deletions[start : start + _AT_ONCE])
            for start in range(0, len(rows), _AT_ONCE):
                fenced += write_rows(connection, rows[start : start + _AT_ONCE], self._known)
        return fenced

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordStamp]:
        """Return what is held of the keys."""
        self._require_open()
        wanted = {key.encode(): key for key in keys}
        with self._database.reading() as connection:
            found = list(select_in(connection, f"{_STAMPS} AND key IN ({{}})", wanted))
        return {wanted[key]: WordStamp(wanted[key], kind, Position(at), digest) for key, kind, at, digest in found}

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        """Return stamps in the order of the keys."""
        self._require_open()
        bound = "" if after is None else after.encode()
        query = f"{_STAMPS} AND key > ? ORDER BY key LIMIT ?"
        with self._database.reading() as connection:
            found = connection.execute(query, (bound, max(limit, 0))).fetchall()
        return [WordStamp(RecordKey.decode(key), kind, Position(at), digest) for key, kind, at, digest in found]

    def rows(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        """Return whole rows, their texts as the tables of FTS5 have them now."""
        self._require_open()
        wanted = {key.encode(): key for key in keys}
        with self._database.reading() as connection:
            found = [
                row
                for stemmer, table in TEXT_TABLES.items()
                for row in select_in(connection, _WHOLE.format(table=table, stemmer=stemmer), wanted)
            ]
        return {wanted[row[0]]: _row(wanted[row[0]], row) for row in found}

    def count(self) -> int:
        """Count rows."""
        self._require_open()
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM word_rows").fetchone()[0])

    def clear(self) -> None:
        """Forget everything, by making the tables anew."""
        self._require_open()
        with self._database.writing() as connection:
            remove_words(connection)
            make_words(connection)
            self._known.clear()
            self._frequent.clear()

    def tell_when_emptied(self, refill: Callable[[], object]) -> None:
        """Have a function called whenever the self-check has emptied the index, so that it is filled again."""
        self._refill = refill

    def emptied(self) -> None:
        """Note that the self-check has emptied the index."""
        self._known.clear()
        self._frequent.clear()
        if self._refill is not None:
            self._refill()

    def scrub(self, connection: sqlite3.Connection, erased: Erased) -> Swept:
        """Forget an erased entity's words, inside the open transaction of its erasure."""
        self._known.clear()
        return scrub_words(connection, erased)

    def close(self) -> None:
        """Refuse further calls; closing twice is harmless."""
        self._closed = True
        self._scratch.close()


def _row(key: RecordKey, row: Row) -> WordRow:
    _, entity_type, position, stemmer, name, aliases, body, names, digest = row
    return WordRow(key, entity_type, Position(position), stemmer, name, aliases, body, names_of(names), digest)
