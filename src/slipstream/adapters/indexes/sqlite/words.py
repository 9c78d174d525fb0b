"""The word index in the store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import groupby

from slipstream.adapters.indexes.sqlite.codec import Row, insert_rows, select_in
from slipstream.adapters.indexes.sqlite.words_schema import (
    NAME_TRIGRAMS,
    TEXT_TABLES,
    WORD_TRIGRAMS,
    drop_searched,
    make_searched,
)
from slipstream.adapters.indexes.sqlite.words_scratch import Scratch
from slipstream.adapters.indexes.sqlite.words_searching import Lending, SqliteWordSearch
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.words import (
    STEMMERS,
    ExactName,
    NameKind,
    WordDeletion,
    WordRow,
    WordStamp,
    words_of,
)

_KEPT_WORD = range(3, 41)
"""How long a word is that a misspelled one is compared with, in characters."""
_AT_ONCE = 2_000
_READABLE = "key GLOB '[er]:?*'"  # a row of another program, which the self-check names and removes, is left out
_STAMPS = f"SELECT key, type, position, digest FROM word_rows WHERE {_READABLE}"
_HELD = "SELECT key, id, position, stemmer, digest FROM word_rows WHERE key IN ({})"
_INSERT = """
INSERT INTO word_rows (id, key, type, position, stemmer, digest) {rows}
ON CONFLICT (id) DO UPDATE SET type = excluded.type, position = excluded.position, stemmer = excluded.stemmer,
    digest = excluded.digest
"""
_NAMES = "INSERT INTO word_names (id, row, kind, folded) {rows}"
_ALIKE = f"INSERT INTO {NAME_TRIGRAMS} (rowid, folded) {{rows}}"
_TEXTS = "INSERT INTO {table} (rowid, name, aliases, body, type) {{rows}}"
_KNOWN = """
INSERT INTO known_words (word) SELECT * FROM ({rows}) WHERE true ON CONFLICT DO NOTHING RETURNING id, word
"""
_KNOWN_ALIKE = f"INSERT INTO {WORD_TRIGRAMS} (rowid, word) {{rows}}"
_WHOLE = """
SELECT r.key, f.type, r.position, r.stemmer, f.name, f.aliases, f.body, r.digest, r.id
FROM word_rows r JOIN {table} f ON f.rowid = r.id WHERE r.stemmer = '{stemmer}' AND r.key IN ({{}})
"""
_NAMES_OF = "SELECT row, kind, folded FROM word_names WHERE row IN ({}) ORDER BY row, id"


class SqliteWords(SqliteWordSearch):
    """A `WordIndex` over the tables of `words_schema`. Made by `SqliteStore`, in its journal's transactions."""

    def __init__(self, database: Lending) -> None:
        super().__init__(database, Scratch())

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
                fenced += _delete(connection, deletions[start : start + _AT_ONCE])
            for start in range(0, len(rows), _AT_ONCE):
                fenced += _put(connection, rows[start : start + _AT_ONCE])
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
            names = list(select_in(connection, _NAMES_OF, [row[-1] for row in found]))
        named = {
            row: tuple(_name(*each) for each in group) for row, group in groupby(names, key=lambda each: each[0])
        }
        return {wanted[row[0]]: _row(wanted[row[0]], row, named.get(row[-1], ())) for row in found}

    def count(self) -> int:
        """Count rows."""
        self._require_open()
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM word_rows").fetchone()[0])

    def clear(self) -> None:
        """Forget everything, by making the tables anew."""
        self._require_open()
        with self._database.writing() as connection:
            forget_words(connection)

    def close(self) -> None:
        """Refuse further calls; closing twice is harmless."""
        self._closed = True
        self._scratch.close()


def forget_words(connection: sqlite3.Connection) -> None:
    """Empty every table of the word index, inside the open transaction."""
    for table in ("word_rows", "word_names", "known_words"):
        connection.execute(f"DELETE FROM {table}")
    drop_searched(connection)
    make_searched(connection)


def _name(_: int, kind: int, folded: str) -> ExactName:
    return ExactName(NameKind(kind), folded)


def _row(key: RecordKey, row: Row, names: tuple[ExactName, ...]) -> WordRow:
    _, entity_type, position, stemmer, name, aliases, body, digest, _ = row
    return WordRow(key, entity_type, Position(position), stemmer, name, aliases, body, names, digest)


def _delete(connection: sqlite3.Connection, deletions: Sequence[WordDeletion]) -> list[RecordKey]:
    held = {row[0]: row for row in select_in(connection, _HELD, [each.key.encode() for each in deletions])}
    fenced: list[RecordKey] = []
    gone: list[tuple[int, str]] = []
    for deletion in deletions:
        row = held.get(deletion.key.encode())
        if row is None:
            continue
        if row[2] > deletion.position:
            fenced.append(deletion.key)
        else:
            gone.append((row[1], row[3]))
    _forget_texts(connection, gone)
    connection.executemany("DELETE FROM word_rows WHERE id = ?", ((row,) for row, _ in gone))
    return fenced


def _forget_texts(connection: sqlite3.Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Remove names and texts of rows, given with the stemmer that they were written with."""
    for row, stemmer in rows:
        names = connection.execute("DELETE FROM word_names WHERE row = ? RETURNING id", (row,)).fetchall()
        connection.executemany(f"DELETE FROM {NAME_TRIGRAMS} WHERE rowid = ?", names)
        for table in (TEXT_TABLES[stemmer],) if stemmer in TEXT_TABLES else TEXT_TABLES.values():
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))


def _put(connection: sqlite3.Connection, rows: Sequence[WordRow]) -> list[RecordKey]:
    held = {row[0]: row[1:] for row in select_in(connection, _HELD, [row.key.encode() for row in rows])}
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM word_rows").fetchone()
    fenced: list[RecordKey] = []
    stamps: list[Row] = []
    changed: list[tuple[int, WordRow]] = []
    replaced: list[tuple[int, str]] = []
    for row in rows:
        key = row.key.encode()
        number, position, stemmer, digest = held.get(key, (0, 0, "", None))
        if number and position > row.position:
            fenced.append(row.key)
            continue
        if not number:
            number = last = last + 1
        elif digest != row.digest or stemmer != row.stemmer:
            replaced.append((number, stemmer))
        stamps.append((number, key, row.entity_type, row.position, row.stemmer, row.digest))
        if digest is None or (replaced and replaced[-1][0] == number):
            changed.append((number, row))
    _forget_texts(connection, replaced)
    insert_rows(connection, _INSERT, stamps)
    _write_texts(connection, changed)
    return fenced


def _write_texts(connection: sqlite3.Connection, rows: Sequence[tuple[int, WordRow]]) -> None:
    for stemmer, table in TEXT_TABLES.items():
        texts = [
            (number, row.name, row.aliases, row.body, row.entity_type)
            for number, row in sorted(rows, key=lambda each: each[0])
            if row.stemmer == stemmer
        ]
        insert_rows(connection, _TEXTS.format(table=table), texts)
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM word_names").fetchone()
    named = ((number, name) for number, row in rows for name in row.names)
    names = [(at, number, int(name.kind), name.folded) for at, (number, name) in enumerate(named, last + 1)]
    insert_rows(connection, _NAMES, names)
    insert_rows(connection, _ALIKE, [(at, folded) for at, _, kind, folded in names if kind >= NameKind.NAME])
    _learn_words(connection, [row for _, row in rows])


def _learn_words(connection: sqlite3.Connection, rows: Sequence[WordRow]) -> None:
    """Keep the words as they are written: the texts' own tables know their stems only."""
    words = {word for row in rows for text in row[4:7] for word in words_of(text) if len(word) in _KEPT_WORD}
    new = insert_rows(connection, _KNOWN, [(word,) for word in sorted(words)])
    insert_rows(connection, _KNOWN_ALIKE, sorted(new))
