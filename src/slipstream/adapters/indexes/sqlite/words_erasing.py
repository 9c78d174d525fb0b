"""Erasing an entity's words, inside an open transaction of the store's file."""

from __future__ import annotations

import sqlite3

from slipstream.adapters.indexes.sqlite.codec import select_in
from slipstream.adapters.indexes.sqlite.words_schema import NAME_TRIGRAMS, TEXT_TABLES, WORD_TRIGRAMS
from slipstream.adapters.indexes.sqlite.words_searching import is_written
from slipstream.domain.erasure import Erased, Swept
from slipstream.domain.words import words_of


def scrub_words(connection: sqlite3.Connection, erased: Erased) -> Swept:
    """
    Forget the words that no row has any more, and merge the tables of FTS5: their old parts hold what was deleted.

    The entity's own row has gone by the log; what it said, now and before, is among the words that rows have lost.
    """
    lost = [word for (word,) in connection.execute("SELECT word FROM lost_words ORDER BY word")]
    for table in (*TEXT_TABLES.values(), NAME_TRIGRAMS):
        _merge(connection, table)
    told = {word for text in (erased.entity_id, *erased.names, *erased.texts) for word in words_of(text)}
    gone = [word for word in sorted({*lost, *told}) if not is_written(connection, word)]
    rows = list(select_in(connection, f"SELECT rowid FROM {WORD_TRIGRAMS} WHERE word IN ({{}})", gone))
    connection.executemany(f"DELETE FROM {WORD_TRIGRAMS} WHERE rowid = ?", rows)
    forgotten = connection.executemany("DELETE FROM known_words WHERE word = ?", ((word,) for word in gone)).rowcount
    connection.execute("DELETE FROM lost_words")
    _merge(connection, WORD_TRIGRAMS)
    return Swept(
        place="words of the word index",
        searched=len(lost),
        removed=max(0, forgotten),
        note="what other changes took from rows, too",
    )


def _merge(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
