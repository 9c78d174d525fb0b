"""What FTS5 makes of words and texts, asked of tables in memory that hold nothing else."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence

from slipstream.adapters.indexes.sqlite.words_schema import TOKENIZERS

_STEMS_KEPT_MAX = 20_000
_OPENED, _CLOSED = "\x01", "\x02"


class Scratch:
    """Tables in memory, tokenised as the rows are; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._stems: dict[tuple[str, str], tuple[str, ...]] = {}

    def stems(self, words: Iterable[str], stemmer: str) -> Mapping[str, tuple[str, ...]]:
        """Return the terms that each word is held as, mostly one."""
        wanted = set(words)
        with self._lock:
            unknown = [word for word in wanted if (word, stemmer) not in self._stems]
            if unknown:
                if len(self._stems) > _STEMS_KEPT_MAX:
                    self._stems.clear()
                    unknown = list(wanted)
                self._learn(unknown, stemmer)
            return {word: self._stems[word, stemmer] for word in wanted}

    def _learn(self, words: Sequence[str], stemmer: str) -> None:
        connection, table = self._opened(), f"texts_{stemmer}"
        found: dict[int, list[str]] = {}
        self._fill(connection, table, words)
        for row, term in connection.execute(f"SELECT doc, term FROM {table}_terms ORDER BY doc, offset"):
            found.setdefault(row, []).append(term)
        for row, word in enumerate(words):
            self._stems[word, stemmer] = tuple(found.get(row, ()))

    def marked(self, texts: Sequence[str], expression: str, stemmer: str) -> Mapping[int, list[bool]]:
        """
        Return which words of each text fit an expression, by the number of a text with any.

        The texts consist of words with one blank between them.
        """
        with self._lock:
            connection, table = self._opened(), f"texts_{stemmer}"
            self._fill(connection, table, texts)
            rows = connection.execute(
                f"SELECT rowid, highlight({table}, 0, ?, ?) FROM {table} WHERE {table} MATCH ?",
                (_OPENED, _CLOSED, expression),
            ).fetchall()
        return {number: list(_marks(text)) for number, text in rows}

    def _fill(self, connection: sqlite3.Connection, table: str, texts: Sequence[str]) -> None:
        connection.execute(f"DELETE FROM {table}")
        connection.executemany(f"INSERT INTO {table} (rowid, text) VALUES (?, ?)", enumerate(texts))

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, connection.close)  # for who forgets to close this
            for stemmer, tokenizer in TOKENIZERS.items():
                connection.execute(f"CREATE VIRTUAL TABLE texts_{stemmer} USING fts5(text, tokenize='{tokenizer}')")
                connection.execute(
                    f"CREATE VIRTUAL TABLE texts_{stemmer}_terms USING fts5vocab(texts_{stemmer}, instance)"
                )
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Free the memory; a later call makes the tables anew."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._stems.clear()


def _marks(text: str) -> Iterable[bool]:
    is_open = False
    for word in text.split(" "):
        is_open = is_open or _OPENED in word
        yield is_open
        is_open = is_open and _CLOSED not in word
