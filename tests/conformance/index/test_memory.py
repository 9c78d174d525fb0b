"""The in-memory index against the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.stamps import Vector, VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.testkit.broken.index import FaultyIndex
from slipstream.testkit.suites.index import RawRecord, VectorIndexSuite


def read_raw(index: VectorIndex, key: RecordKey, space: Space) -> RawRecord | None:
    """Look into the dictionaries."""
    assert isinstance(index, MemoryIndex | FaultyIndex)
    record = index._records.get(key, {}).get(space)
    return None if record is None else RawRecord(record.stamp.position, record.stamp.fingerprint, record.vector)


def write_raw(index: VectorIndex, key: RecordKey, space: Space, vector: Vector) -> None:
    """Change the dictionaries."""
    assert isinstance(index, MemoryIndex | FaultyIndex)
    record = index._records[key][space]
    index._records[key][space] = VectorRecord(record.stamp, vector)


class TestMemoryIndex(VectorIndexSuite):
    @pytest.fixture
    def index(self) -> Iterator[VectorIndex]:
        index = MemoryIndex()
        yield index
        index.close()

    def read_raw(self, index: VectorIndex, key: RecordKey, space: Space) -> RawRecord | None:
        return read_raw(index, key, space)

    def write_raw(self, index: VectorIndex, key: RecordKey, space: Space, vector: Vector) -> None:
        write_raw(index, key, space, vector)
