"""
The self-check of the word index: whether its tables belong together, and making them anew where they do not.

Every word row can be made from the graph, at some ten thousand a second. So no damage is mended in its place: all
tables are emptied, with what the journal says of them, and the follower fills them again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from slipstream.adapters.indexes.sqlite.words_schema import (
    NAME_TRIGRAMS,
    RANK,
    TEXT_TABLES,
    WORD_TRIGRAMS,
    make_words,
    remove_words,
)
from slipstream.adapters.indexes.sqlite.words_searching import names_of
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.journal_names import TOLD_OF_WORDS
from slipstream.domain.words import NameKind

PLACE = "word index"
_STEMMERS = ", ".join(f"'{stemmer}'" for stemmer in TEXT_TABLES)
_UNREADABLE = f"""
NOT key GLOB '[er]:?*' OR position < 0 OR position > :head OR stemmer NOT IN ({_STEMMERS}) OR length(digest) <> 16
"""
_SEARCHED = (*TEXT_TABLES.values(), NAME_TRIGRAMS, WORD_TRIGRAMS)
_VERSIONS = (4, 5)  # of FTS5's format: 5 where a newer SQLite has deleted securely
_COUNTED = {
    "texts": " + ".join(f"(SELECT count(*) FROM {table}_content)" for table in TEXT_TABLES.values()),
    "lengths of texts": " + ".join(f"(SELECT count(*) FROM {table}_docsize)" for table in TEXT_TABLES.values()),
    "rows of trigrams": f"(SELECT count(*) FROM {NAME_TRIGRAMS}_docsize)",
}
_UNLIKE = " UNION ALL ".join(
    f"SELECT r.key FROM word_rows r LEFT JOIN {table}_content c ON c.id = r.id "
    f"WHERE r.stemmer = '{stemmer}' AND (c.c3 IS NOT r.type OR c.c0 IS NULL OR c.c1 IS NULL OR c.c2 IS NULL)"
    for stemmer, table in TEXT_TABLES.items()
)

# FTS5 looks at the entries that lead to the leaves of a segment, not whether there are any.
_UNLED = "SELECT id >> 37 FROM {table}_data WHERE id > 10 EXCEPT SELECT segid FROM {table}_idx"


@dataclass(frozen=True, slots=True)
class WordsCheck:
    """Looks at the word index, and empties it; `emptied` is called when that is committed."""

    database: Database
    emptied: Callable[[], object]
    place: str = PLACE

    def find(self, *, deep: bool, head: Callable[[], int]) -> Mapping[str, str]:
        """Return what is wrong, by place; `head` is asked once what is looked at can not grow any more."""
        with self.database.reading() as connection:
            found = list(_looked(connection, head))
            if deep and not found:
                found = list(_compared(connection))
        if deep and not found:
            # FTS5 looks at itself by a statement that counts as a write: nobody else writes meanwhile, nor does it.
            with self.database.writing(guarded=False) as connection:
                found = list(_unsound(connection))
        return {PLACE: "; ".join(found[:3])} if found else {}

    def mend(self, connection: sqlite3.Connection) -> bool:
        """Empty the word index, inside the open transaction; returns whether it is sound."""
        empty_words(connection)
        return not [*_looked(connection, lambda: 0), *_compared(connection), *_unsound(connection)]


def empty_words(connection: sqlite3.Connection) -> None:
    """Make all tables anew, however damaged, and have the journal forget what it says of them."""
    remove_words(connection)
    make_words(connection)
    connection.executemany("DELETE FROM named_values WHERE name = ?", ((name,) for name in TOLD_OF_WORDS))


def _looked(connection: sqlite3.Connection, head: Callable[[], int]) -> Iterator[str]:
    """Yield what is wrong with numbers of rows, with settings, and with rows that can not be read."""
    try:
        (rows,) = connection.execute("SELECT count(*) FROM word_rows").fetchone()
        newest = head()  # the count took the snapshot: no row can be newer now
        (unreadable,) = connection.execute(
            f"SELECT count(*) FROM word_rows WHERE {_UNREADABLE}", {"head": newest}
        ).fetchone()
        if unreadable:
            yield f"{unreadable} of {rows} rows stand for nothing"
        for what, counted in _COUNTED.items():
            (count,) = connection.execute(f"SELECT {counted}").fetchone()
            if count != rows:
                yield f"{count} {what} for {rows} rows"
        for table in _SEARCHED:
            settings = dict(connection.execute(f"SELECT k, v FROM {table}_config"))
            wanted = {"rank": RANK} if table in TEXT_TABLES.values() else {}
            if settings.pop("version", None) not in _VERSIONS or settings != wanted:
                yield f"{table} has other settings"
    except sqlite3.DatabaseError as error:
        yield f"can not be read ({error})"


def _compared(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield where tables differ that say the same."""
    try:
        unlike = connection.execute(_UNLIKE).fetchall()
        if unlike:
            yield f"{len(unlike)} rows have no text, or one of another type"
        named: dict[int, str] = {}
        leading = 0
        for number, names in connection.execute("SELECT id, names FROM word_rows"):
            named[number] = names
            leading += len(names_of(names))
        found = connection.execute("SELECT folded, kind, row FROM word_names")
        right = sum(1 for folded, kind, row in found if f"{kind}{folded}" in named.get(row, "").split("\n"))
        (held,) = connection.execute("SELECT count(*) FROM word_names").fetchone()
        if not leading == held == right:
            yield f"{held} names lead to rows, {right} of them to the right one, of {leading}"
        shown = {
            number: "\n".join(name.folded for name in names_of(names) if name.kind >= NameKind.NAME)
            for number, names in named.items()
        }
        if shown != dict(connection.execute(f"SELECT id, c0 FROM {NAME_TRIGRAMS}_content")):
            yield "names are held that no row has, or not held"
        known = [word for (word,) in connection.execute("SELECT word FROM known_words ORDER BY word")]
        alike = [word for (word,) in connection.execute(f"SELECT c0 FROM {WORD_TRIGRAMS}_content ORDER BY c0")]
        if known != alike:
            yield "known words differ from those that are compared with misspelled ones"
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        yield f"can not be read ({error})"


def _unsound(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield which tables FTS5 itself finds damaged: it compares each with its texts, word for word."""
    for table in _SEARCHED:
        try:
            if connection.execute(_UNLED.format(table=table)).fetchone() is not None:
                yield f"{table}: a part of it is not found"
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 0)")
        except sqlite3.DatabaseError as error:
            yield f"{table} is not what its texts say ({error})"
