"""Writing word rows, inside an open transaction of the store's file."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence

from slipstream.adapters.indexes.sqlite.codec import Row, insert_rows, select_in
from slipstream.adapters.indexes.sqlite.words_schema import NAME_TRIGRAMS, TEXT_TABLES, WORD_TRIGRAMS
from slipstream.domain.keys import RecordKey
from slipstream.domain.words import NameKind, WordDeletion, WordRow, words_of

_HELD = "SELECT key, id, position, stemmer, digest FROM word_rows WHERE key IN ({})"
_INSERT = """
INSERT INTO word_rows (id, key, type, position, stemmer, digest, names) {rows}
ON CONFLICT (id) DO UPDATE SET type = excluded.type, position = excluded.position, stemmer = excluded.stemmer,
    digest = excluded.digest, names = excluded.names
"""
_NAMES = "INSERT OR IGNORE INTO word_names (folded, kind, row) {rows}"
_FORGET_NAMES = "DELETE FROM word_names WHERE (folded, kind, row) = (?, ?, ?)"
_ALIKE = f"INSERT INTO {NAME_TRIGRAMS} (rowid, names) {{rows}}"
_TEXTS = "INSERT INTO {table} (rowid, name, aliases, body, type) {{rows}}"
_KNOWN = "INSERT OR IGNORE INTO known_words (word) {rows} RETURNING word"
_KNOWN_ALIKE = f"INSERT INTO {WORD_TRIGRAMS} (word) {{rows}}"
_LOSE = "INSERT OR IGNORE INTO lost_words (word) {rows}"
_OLD_TEXTS = "SELECT name, aliases, body FROM {table} WHERE rowid IN ({{}})"
_LAST = "SELECT max({})".format(
    ", ".join(
        f"coalesce((SELECT max(id) FROM {table}), 0)"
        for table in ("word_rows", *(f"{table}_content" for table in (*TEXT_TABLES.values(), NAME_TRIGRAMS)))
    )
)
_ASCII_WORDS = re.compile(r"[a-z0-9]+")
KEPT_WORD = range(3, 41)
"""How long a word is that a misspelled one is compared with, in characters."""
_DIGITS = [str(int(kind)) for kind in NameKind]
_KNOWN_MAX = 200_000


class KnownWords:
    """
    Words of which one connection knows that they are in `known_words`; a bounded cache.

    It is thrown away when another connection has committed, or a transaction that learnt words was taken back.
    """

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._seen: object = None

    def unknown(self, connection: sqlite3.Connection, words: set[str]) -> set[str]:
        """Return the words that may be missing in the table."""
        if self._state(connection) != self._seen:
            self._words.clear()
        return words - self._words

    def learn(self, connection: sqlite3.Connection, words: Iterable[str]) -> None:
        """Note that the words are in the table now."""
        if len(self._words) > _KNOWN_MAX:
            self._words.clear()
        self._words.update(words)
        self._seen = self._state(connection)

    def clear(self) -> None:
        """Know nothing."""
        self._words.clear()

    @staticmethod
    def _state(connection: sqlite3.Connection) -> tuple[object, ...]:
        version = connection.execute("PRAGMA data_version").fetchone()
        return (*version, *connection.execute(f"SELECT max(rowid) FROM {WORD_TRIGRAMS}").fetchone())


def remove_rows(connection: sqlite3.Connection, deletions: Sequence[WordDeletion]) -> list[RecordKey]:
    """Remove rows that are not newer than their deletions; returns the keys of those that are."""
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
    if not rows:
        return
    numbers = [row for row, _ in rows]
    for number, names in list(select_in(connection, "SELECT id, names FROM word_rows WHERE id IN ({})", numbers)):
        connection.executemany(_FORGET_NAMES, ((name[1:], name[:1], number) for name in names.split("\n")))
    connection.executemany(f"DELETE FROM {NAME_TRIGRAMS} WHERE rowid = ?", ((number,) for number in numbers))
    for stemmer, table in TEXT_TABLES.items():
        held = [row for row, kept in rows if kept == stemmer or kept not in TEXT_TABLES]
        texts = select_in(connection, _OLD_TEXTS.format(table=table), held)
        lost = {word for old in texts for word in _words_in("\n".join(text for text in old if text))}
        insert_rows(connection, _LOSE, [(word,) for word in sorted(lost) if _is_kept(word)])
        connection.executemany(f"DELETE FROM {table} WHERE rowid = ?", ((row,) for row in held))


def write_rows(connection: sqlite3.Connection, rows: Sequence[WordRow], known: KnownWords) -> list[RecordKey]:
    """Write rows that are not older than what is held; returns the keys of those that are."""
    keys = [row.key.encode() for row in rows]
    held = {row[0]: row[1:] for row in select_in(connection, _HELD, keys)}
    (last,) = connection.execute(_LAST).fetchone()  # also past texts whose row another program has removed
    fenced: list[RecordKey] = []
    stamps: list[Row] = []
    changed: list[tuple[int, WordRow]] = []
    replaced: list[tuple[int, str]] = []
    for key, row in zip(keys, rows, strict=True):
        before = held.get(key)
        if before is None:
            number = last = last + 1
            changed.append((number, row))
        else:
            number, position, stemmer, digest = before
            if position > row.position:
                fenced.append(row.key)
                continue
            if digest != row.digest or stemmer != row.stemmer:
                replaced.append((number, stemmer))
                changed.append((number, row))
        names = "\n".join([_DIGITS[kind] + folded for kind, folded in row.names])
        stamps.append((number, key, row.entity_type, row.position, row.stemmer, row.digest, names))
    _forget_texts(connection, replaced)
    insert_rows(connection, _INSERT, stamps)
    if changed:
        _write_texts(connection, sorted(changed, key=_number), known)
    return fenced


def _number(numbered: tuple[int, WordRow]) -> int:
    return numbered[0]


def _write_texts(connection: sqlite3.Connection, rows: Sequence[tuple[int, WordRow]], known: KnownWords) -> None:
    for stemmer, table in TEXT_TABLES.items():
        texts = [(at, row.name, row.aliases, row.body, row.entity_type) for at, row in rows if row.stemmer == stemmer]
        insert_rows(connection, _TEXTS.format(table=table), texts)
    names = sorted([(folded, int(kind), at) for at, row in rows for kind, folded in row.names])
    insert_rows(connection, _NAMES, names)
    alike = [(at, "\n".join([folded for kind, folded in row.names if kind >= NameKind.NAME])) for at, row in rows]
    insert_rows(connection, _ALIKE, alike)
    _learn_words(connection, [row for _, row in rows], known)


def _learn_words(connection: sqlite3.Connection, rows: Sequence[WordRow], known: KnownWords) -> None:
    """Keep the words as they are written: the texts' own tables know their stems only."""
    new = known.unknown(connection, _words(rows))
    if new:
        kept = sorted(word for word in new if _is_kept(word))
        insert_rows(connection, _KNOWN_ALIKE, insert_rows(connection, _KNOWN, [(word,) for word in kept]))
        known.learn(connection, new)


def _words(rows: Sequence[WordRow]) -> set[str]:
    words: set[str] = set()
    for row in rows:
        words.update(_words_in(f"{row.name}\n{row.aliases}\n{row.body}"))
    return words


def _words_in(text: str) -> list[str]:
    return _ASCII_WORDS.findall(text.lower()) if text.isascii() else words_of(text)


def _is_kept(word: str) -> bool:
    return len(word) in KEPT_WORD and not word.isdigit()
