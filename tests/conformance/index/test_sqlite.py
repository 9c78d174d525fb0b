"""The embedded SQLite index against the suite: kept open, and closed and opened anew before every single call."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from threading import RLock

import numpy as np
import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Stamp, Vector, VectorHit, VectorRecord
from slipstream.ports.index import IndexCapabilities, VectorIndex
from slipstream.testkit.suites.index import RawRecord, Reopen, VectorIndexSuite

_FILE = "index.db"
_RECORD = """
    FROM records r JOIN spaces s ON s.id = r.space
    WHERE r.key = ? AND (s.model_id, s.model_version, s.dimension, s.generation) = (?, ?, ?, ?)
"""


class _SqliteSuite(VectorIndexSuite):
    """Raw hooks through a connection of their own."""

    @pytest.fixture(autouse=True)
    def _keep_path(self, tmp_path: Path) -> None:
        self.path = tmp_path / _FILE

    def read_raw(self, index: VectorIndex, key: RecordKey, space: Space) -> RawRecord | None:
        identity = (key.encode(), space.model_id, space.model_version, space.dimension, space.generation)
        query = f"SELECT r.position, r.fingerprint, (SELECT vector FROM vectors WHERE record = r.id) {_RECORD}"  # noqa: S608
        with closing(sqlite3.connect(self.path)) as connection:
            row = connection.execute(query, identity).fetchone()
        return None if row is None else RawRecord(row[0], row[1], np.frombuffer(row[2], "<f4"))

    def write_raw(self, index: VectorIndex, key: RecordKey, space: Space, vector: Vector) -> None:
        identity = (key.encode(), space.model_id, space.model_version, space.dimension, space.generation)
        update = f"UPDATE vectors SET vector = ? WHERE record = (SELECT r.id {_RECORD})"  # noqa: S608
        with closing(sqlite3.connect(self.path)) as connection, connection:
            assert connection.execute(update, (vector.astype("<f4").tobytes(), *identity)).rowcount == 1


class TestSqliteIndex(_SqliteSuite):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[SqliteStore]]:
        stores = [SqliteStore(tmp_path / _FILE)]
        yield stores
        for store in stores:
            store.close()

    @pytest.fixture
    def index(self, stores: list[SqliteStore]) -> VectorIndex:
        return stores[0].index

    @pytest.fixture
    def reopen(self, stores: list[SqliteStore]) -> Reopen | None:
        def open_again() -> VectorIndex:
            stores[-1].close()
            stores.append(SqliteStore(self.path))
            return stores[-1].index

        return open_again


class ReopeningIndex:
    """The same index, opened anew for every call: nothing may depend on what a process remembers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = RLock()
        self._store = SqliteStore(path)
        self._closed = False

    @property
    def capabilities(self) -> IndexCapabilities:
        return self._store.index.capabilities

    def _anew(self) -> VectorIndex:
        if not self._closed:
            self._store.close()
            self._store = SqliteStore(self._path)
        return self._store.index

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        with self._lock:
            return self._anew().upsert(records)

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        with self._lock:
            return self._anew().delete(deletions)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        with self._lock:
            self._anew().restamp(stamps)

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        with self._lock:
            return self._anew().stamps(keys)

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        with self._lock:
            return self._anew().scan(after, limit)

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        with self._lock:
            return self._anew().vectors(keys, space)

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        with self._lock:
            return self._anew().search(space, vector, k, where)

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        with self._lock:
            return self._anew().buried(past, after, limit)

    def vacuum(self, through: Position) -> int:
        with self._lock:
            return self._anew().vacuum(through)

    def close(self) -> None:
        self._closed = True
        self._store.close()


class TestSqliteIndexReopenedForEveryCall(_SqliteSuite):
    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[VectorIndex]:
        index = ReopeningIndex(tmp_path / _FILE)
        yield index
        index.close()

    @pytest.fixture
    def reopen(self, index: VectorIndex) -> Reopen | None:
        return lambda: index
