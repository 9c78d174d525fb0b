"""The audit's memory in SQLite against the suite, in a new file and in one that was used, closed and opened anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.ports.journal import Journal
from slipstream.testkit.suites.audits import AuditsSuite, FullAudits, ReopenAudits, findings, leaf


class TestSqliteAudits(AuditsSuite):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        stores = [SqliteStore(tmp_path / "index.db")]
        yield stores
        for store in stores:
            store.close()

    @pytest.fixture
    def audits(self, stores: list[SqliteStore]) -> FullAudits:
        return stores[-1].audits

    @pytest.fixture
    def shared_journal(self, stores: list[SqliteStore]) -> Journal | None:
        return stores[-1].journal

    @pytest.fixture
    def reopen(self, stores: list[SqliteStore]) -> ReopenAudits | None:
        def open_again() -> FullAudits:
            path = stores[-1].path
            stores[-1].close()
            stores.append(SqliteStore(path))
            return stores[-1].audits

        return open_again


class TestSqliteAuditsAfterReopen(TestSqliteAudits):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        """Use a file that another store has filled and emptied."""
        path = tmp_path / "index.db"
        used = SqliteStore(path)
        used.audits.put_leaves([leaf("", "e:a"), leaf("e:a", "e:b")])
        used.audits.forget([used.audits.keep({"kind": "full"}, findings("stale", 5))])
        used.audits.clear_leaves()
        used.close()
        stores = [SqliteStore(path)]
        yield stores
        for store in stores:
            store.close()
