"""The word index in memory against the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipstream.adapters.indexes.sqlite.words_memory import MemoryWords
from slipstream.ports.words import WordIndex
from slipstream.testkit.suites.words import WordIndexSuite


class MemoryWordsSuite(WordIndexSuite):
    kind: type[MemoryWords] = MemoryWords

    @pytest.fixture
    def words(self) -> Iterator[WordIndex]:
        words = self.kind()
        yield words
        words.close()


class TestMemoryWords(MemoryWordsSuite):
    pass
