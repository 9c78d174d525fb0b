"""The suite over every broken index. Not collected by itself: `test_broken.py` runs it and wants it to fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.stamps import Vector
from slipstream.ports.index import VectorIndex
from slipstream.testkit.broken.index import BROKEN_INDEXES, FaultyIndex
from slipstream.testkit.suites.index import RawRecord, VectorIndexSuite
from tests.conformance.index.test_memory import read_raw, write_raw


class _BrokenSuite(VectorIndexSuite):
    broken: type[FaultyIndex]

    @pytest.fixture
    def index(self) -> Iterator[VectorIndex]:
        index = self.broken()
        yield index
        index.close()

    def read_raw(self, index: VectorIndex, key: RecordKey, space: Space) -> RawRecord | None:
        return read_raw(index, key, space)

    def write_raw(self, index: VectorIndex, key: RecordKey, space: Space, vector: Vector) -> None:
        write_raw(index, key, space, vector)


for _broken in BROKEN_INDEXES:
    globals()[f"Test{_broken.__name__}"] = type(f"Test{_broken.__name__}", (_BrokenSuite,), {"broken": _broken})
