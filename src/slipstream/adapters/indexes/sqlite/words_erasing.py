"""Erasing an entity's words, inside an open transaction of the store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from slipstream.adapters.indexes.sqlite.codec import select_in
from slipstream.adapters.indexes.sqlite.words_schema import NAME_TRIGRAMS, TEXT_TABLES, WORD_TRIGRAMS
from slipstream.adapters.indexes.sqlite.words_scratch import Scratch
from slipstream.adapters.indexes.sqlite.words_searching import is_written
from slipstream.domain.erasure import Erased, Swept
from slipstream.domain.words import words_of

_AT_ONCE = 2_000
_SURFACE = " AND ".join(f"word NOT IN (SELECT term FROM {table}_terms)" for table in TEXT_TABLES.values())
_CHANGED = f"SELECT word FROM known_words WHERE {_SURFACE}"
"""Known words that no table holds just so: they are held by their stems, or no row has them any more."""


def scrub_words(connection: sqlite3.Connection, erased: Erased, scratch: Scratch) -> Swept:
    """
    Forget the words that no row has any more, and merge the tables of FTS5: their old parts hold what was deleted.

    The entity's own row has gone by the log.
    """
    (searched,) = connection.execute("SELECT count(*) FROM known_words").fetchone()
    for table in (*TEXT_TABLES.values(), NAME_TRIGRAMS):
        _merge(connection, table)
    gone = sorted({*_without_rows(connection, scratch), *_told_and_not_written(connection, erased)})
    rows = list(select_in(connection, f"SELECT rowid FROM {WORD_TRIGRAMS} WHERE word IN ({{}})", gone))
    connection.executemany(f"DELETE FROM {WORD_TRIGRAMS} WHERE rowid = ?", rows)
    connection.executemany("DELETE FROM known_words WHERE word = ?", ((word,) for word in gone))
    _merge(connection, WORD_TRIGRAMS)
    return Swept(place="words of the word index", searched=searched, removed=len(gone))


def _merge(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")


def _without_rows(connection: sqlite3.Connection, scratch: Scratch) -> list[str]:
    """Return known words whose stems no row has."""
    changed = [word for (word,) in connection.execute(_CHANGED)]
    terms = {
        term for table in TEXT_TABLES.values() for (term,) in connection.execute(f"SELECT term FROM {table}_terms")
    }
    found: list[str] = []
    for at in range(0, len(changed), _AT_ONCE):
        some: Sequence[str] = changed[at : at + _AT_ONCE]
        held = [scratch.stems(some, stemmer) for stemmer in TEXT_TABLES]
        found += [word for word in some if not any(terms.issuperset(stems[word]) for stems in held)]
    return found


def _told_and_not_written(connection: sqlite3.Connection, erased: Erased) -> list[str]:
    """Return words of the entity of which other rows have the stem alone."""
    told = {word for text in (erased.entity_id, *erased.names, *erased.texts) for word in words_of(text)}
    known = select_in(connection, "SELECT word FROM known_words WHERE word IN ({})", sorted(told))
    return [word for (word,) in list(known) if not is_written(connection, word)]
