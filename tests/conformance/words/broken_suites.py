"""The suite over every broken word index. Not collected by itself: `test_broken.py` wants it to fail."""

from __future__ import annotations

import pytest

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.ports.journal import Journal
from slipstream.ports.words import WordIndex
from slipstream.testkit.broken.words import BROKEN_WORDS, LosesRowsAtReopen, StaysOutOfTransactions
from slipstream.testkit.suites.words import ReopenWords
from tests.conformance.words.test_memory import MemoryWordsSuite


class BrokenSuite(MemoryWordsSuite):
    @pytest.fixture
    def reopen(self, words: WordIndex) -> ReopenWords | None:
        return words.reopened if isinstance(words, LosesRowsAtReopen) else None

    @pytest.fixture
    def journal(self, words: WordIndex) -> Journal | None:
        return MemoryJournal() if isinstance(words, StaysOutOfTransactions) else None


for _broken in BROKEN_WORDS:
    globals()[f"Test{_broken.__name__}"] = type(f"Test{_broken.__name__}", (BrokenSuite,), {"kind": _broken})
