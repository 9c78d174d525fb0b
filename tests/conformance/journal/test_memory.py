"""The in-memory journal against the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.testkit.suites.journal import FullJournal, JournalSuite


class TestMemoryJournal(JournalSuite):
    @pytest.fixture
    def journal(self) -> Iterator[FullJournal]:
        journal = MemoryJournal()
        yield journal
        journal.close()
