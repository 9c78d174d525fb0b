"""The word index of the embedded store against the suite: in a new file, and opened anew before every call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.keys import RecordKey
from slipstream.domain.word_queries import WordQuery
from slipstream.domain.words import Excerpt, NameHit, WordDeletion, WordHit, WordRow, WordStamp
from slipstream.ports.journal import Journal
from slipstream.ports.words import Types, WordIndex
from slipstream.testkit.suites.words import ReopenWords, WordIndexSuite


class TestSqliteWords(WordIndexSuite):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        stores = [SqliteStore(tmp_path / "index.db")]
        yield stores
        for store in stores:
            store.close()

    @pytest.fixture
    def words(self, stores: list[SqliteStore]) -> WordIndex:
        return stores[0].words

    @pytest.fixture
    def journal(self, stores: list[SqliteStore]) -> Journal | None:
        return stores[0].journal

    @pytest.fixture
    def reopen(self, stores: list[SqliteStore]) -> ReopenWords | None:
        def open_again() -> WordIndex:
            path = stores[-1].path
            stores[-1].close()
            stores.append(SqliteStore(path))
            return stores[-1].words

        return open_again


class ReopeningWords:
    """The same index, opened anew for every call: nothing may depend on what a process remembers."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        with _opened(self._path) as words:
            return words.put(rows, deletions)

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordStamp]:
        with _opened(self._path) as words:
            return words.stamps(keys)

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        with _opened(self._path) as words:
            return words.scan(after, limit)

    def rows(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        with _opened(self._path) as words:
            return words.rows(keys)

    def count(self) -> int:
        with _opened(self._path) as words:
            return words.count()

    def clear(self) -> None:
        with _opened(self._path) as words:
            words.clear()

    def named(self, folded: str, types: Types, limit: int) -> Sequence[NameHit]:
        with _opened(self._path) as words:
            return words.named(folded, types, limit)

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        with _opened(self._path) as words:
            return words.match(query, types, limit)

    def frequencies(self, words: Sequence[str]) -> Mapping[str, int]:
        with _opened(self._path) as index:
            return index.frequencies(words)

    def alike_names(self, folded: str, limit: int) -> Sequence[NameHit]:
        with _opened(self._path) as words:
            return words.alike_names(folded, limit)

    def alike_words(self, word: str, limit: int) -> Mapping[str, int]:
        with _opened(self._path) as words:
            return words.alike_words(word, limit)

    def excerpts(self, query: WordQuery, texts: Sequence[str], stemmer: str = "english") -> Sequence[Excerpt]:
        with _opened(self._path) as words:
            return words.excerpts(query, texts, stemmer)


@contextmanager
def _opened(path: Path) -> Iterator[WordIndex]:
    store = SqliteStore(path)
    try:
        yield store.words
    finally:
        store.close()


class TestSqliteWordsReopened(WordIndexSuite):
    @pytest.fixture
    def words(self, tmp_path: Path) -> WordIndex:
        return ReopeningWords(tmp_path / "index.db")

    @pytest.fixture
    def reopen(self, words: WordIndex) -> ReopenWords | None:
        return lambda: words
