"""Requests in the embedded store against the suite: in a new file, and in one that was used before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.ports.requests import Requests
from slipstream.testkit.suites.requests import NOW, Reopen, RequestsSuite


class TestSqliteRequests(RequestsSuite):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        stores = [SqliteStore(tmp_path / "index.db", shared=True) for _ in range(2)]
        assert stores[0].lease.acquire(0)
        yield stores
        for store in stores:
            store.close()

    @pytest.fixture
    def requests(self, stores: list[SqliteStore]) -> Requests:
        return stores[0].requests

    @pytest.fixture
    def guest(self, stores: list[SqliteStore]) -> Requests:
        return stores[1].requests

    @pytest.fixture
    def reopen(self, stores: list[SqliteStore]) -> Reopen | None:
        def next_owner() -> Requests:
            path = stores[0].path
            for store in stores:
                store.close()
            stores.append(SqliteStore(path, shared=True))
            assert stores[-1].lease.acquire(0)
            return stores[-1].requests

        return next_owner


class TestSqliteRequestsAfterReopen(TestSqliteRequests):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        """Use a file in which requests were asked, answered and forgotten."""
        path = tmp_path / "index.db"
        used = SqliteStore(path)
        for _ in range(3):
            used.requests.answer(used.requests.submit("a", "{}", NOW), "1")
        used.requests.forget(NOW + timedelta(1), 0, 0)
        used.close()
        stores = [SqliteStore(path, shared=True) for _ in range(2)]
        assert stores[0].lease.acquire(0)
        yield stores
        for store in stores:
            store.close()
