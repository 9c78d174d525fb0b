"""The embedded SQLite journal against the suite, on a new file and on one that was closed and opened anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.ports.index import VectorIndex
from slipstream.testkit.suites.journal import FullJournal, JournalSuite, ReopenJournal, fill


class TestSqliteJournal(JournalSuite):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        stores = [SqliteStore(tmp_path / "index.db")]
        yield stores
        for store in stores:
            store.close()

    @pytest.fixture
    def journal(self, stores: list[SqliteStore]) -> FullJournal:
        return stores[-1].journal

    @pytest.fixture
    def shared_index(self, stores: list[SqliteStore]) -> VectorIndex | None:
        return stores[-1].index

    @pytest.fixture
    def reopen(self, stores: list[SqliteStore]) -> ReopenJournal | None:
        def open_again() -> FullJournal:
            path = stores[-1].path
            stores[-1].close()
            stores.append(SqliteStore(path))
            return stores[-1].journal

        return open_again


class TestSqliteJournalAfterReopen(TestSqliteJournal):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        """Use a file that another store has filled and emptied."""
        path = tmp_path / "index.db"
        used = SqliteStore(path)
        fill(used.journal)
        used.journal.set("checkpoint", None)
        used.journal.remove_work([item.key for item in used.journal.work(None, 10)])
        used.journal.remove(["a"])
        used.journal.acknowledge("t", range(1, 100))
        used.close()
        stores = [SqliteStore(path)]
        yield stores
        for store in stores:
            store.close()
