"""The lease over the embedded store against the suite: a new file, and one that processes have used before."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.lease import LeaseTiming, SqliteLease
from slipstream.testkit.suites.lease import Engine, LeaseSuite, OpenEngine


class SqliteEngine:
    def __init__(self, path: Path, silence_s: float) -> None:
        timing = LeaseTiming(beat_s=0.03, silence_s_max=silence_s, poll_s=0.01)
        self.store = SqliteStore(path, shared=True, timing=timing)

    @property
    def lease(self) -> SqliteLease:
        return self.store.lease

    def write(self, value: str) -> None:
        self.store.journal.set("value", value)


class TestSqliteLease(LeaseSuite):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "index.db"

    @pytest.fixture
    def engines(self) -> Iterator[list[SqliteEngine]]:
        engines: list[SqliteEngine] = []
        yield engines
        for engine in engines:
            engine.store.close()

    @pytest.fixture
    def open_engine(self, silence_s: float, path: Path, engines: list[SqliteEngine]) -> OpenEngine:
        def another() -> SqliteEngine:
            engines.append(SqliteEngine(path, silence_s))
            return engines[-1]

        return another

    def stall(self, engine: Engine) -> None:
        assert isinstance(engine, SqliteEngine)
        engine.lease._stopping.set()  # its thread beats no more; the lock file stays locked

    def read_raw(self, engine: Engine) -> str | None:
        assert isinstance(engine, SqliteEngine)
        with closing(sqlite3.connect(engine.store.path)) as connection:
            row = connection.execute("SELECT value FROM named_values WHERE name = 'value'").fetchone()
        return None if row is None else str(row[0])

    @pytest.fixture
    def reopen(self, open_engine: OpenEngine, engines: list[SqliteEngine]) -> Callable[[], OpenEngine] | None:
        def begin_anew() -> OpenEngine:
            for engine in engines:
                engine.store.close()
            return open_engine

        return begin_anew


class TestSqliteLeaseAfterReopen(TestSqliteLease):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Use a file that other processes have owned, one of them replaced."""
        path = tmp_path / "index.db"
        first, second = SqliteEngine(path, self.silence_s_max), SqliteEngine(path, self.silence_s_max)
        assert first.lease.acquire(0)
        self.stall(first)
        assert second.lease.acquire(self.patience_s)
        first.store.close()
        second.store.close()
        return path
