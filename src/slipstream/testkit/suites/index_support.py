"""What the cases of the index suite share: the raw hooks to fill in, records to search, and comparisons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.domain.models import Space
from slipstream.domain.stamps import KeyStamps, SearchFilter, Stamp, Vector, VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.testkit.records import SPACE, make_record, unit_vector

Reopen = Callable[[], VectorIndex]

ANYTHING = SearchFilter()
POSITION_MAX = 2**53 - 1
"""The largest position; every index must compare positions exactly up to it."""

ODD_KEYS = (
    entity_key("ä ö ü ß é 日本語 🦊"),
    entity_key("quote ' double \" back \\ slash / percent % _ * ? [x]"),
    entity_key("a:b:c"),
    entity_key("  spaces around  "),
    entity_key("new\nline\ttab"),
    entity_key("e:e:e"),
    entity_key("-1"),
    entity_key("NULL"),
    entity_key("\uffff"),
    entity_key("\U0001f600"),
    entity_key("long " + "x" * 1019),
    relationship_key("KNOWS:a:b"),
    relationship_key("KNOWS:a%3A:b:2"),
)


@dataclass(frozen=True, slots=True)
class RawRecord:
    """What a raw hook found in the store, past the adapter."""

    position: int
    fingerprint: str
    vector: Vector


class IndexHooks(ABC):
    """What an adapter's test file fills in."""

    @pytest.fixture
    @abstractmethod
    def index(self) -> VectorIndex:
        """Return an empty index; the fixture closes it."""

    @pytest.fixture
    def reopen(self) -> Reopen | None:
        """Return what closes the index and opens it anew; must be given where `capabilities.durable`."""
        return None

    @abstractmethod
    def read_raw(self, index: VectorIndex, key: RecordKey, space: Space) -> RawRecord | None:
        """Read a stored record past the adapter; None when there is none."""

    @abstractmethod
    def write_raw(self, index: VectorIndex, key: RecordKey, space: Space, vector: Vector) -> None:
        """Overwrite the stored vector past the adapter and leave the stamp as it is: silent damage."""


def held(index: VectorIndex, entity_id: str) -> KeyStamps:
    """Return what an index holds of an entity."""
    return index.stamps([entity_key(entity_id)]).get(entity_key(entity_id), KeyStamps())


def assert_holds(index: VectorIndex, records: Sequence[VectorRecord]) -> None:
    """Check that the index holds exactly these records: stamps by scan and by key, and vectors."""
    wanted = sorted((record.stamp for record in records), key=lambda stamp: (stamp.key.encode(), stamp.space))
    scanned: list[Stamp] = []
    while page := index.scan(scanned[-1].key if scanned else None, 1000):
        scanned.extend(page)
    assert scanned == wanted
    by_key = index.stamps([stamp.key for stamp in wanted])
    assert sorted(s.embedding_id for held in by_key.values() for s in held.records) == sorted(
        stamp.embedding_id for stamp in wanted
    )
    assert all(stamp in by_key[stamp.key].records for stamp in wanted)
    for space in {record.stamp.space for record in records}:
        here = {record.stamp.key: record.vector for record in records if record.stamp.space == space}
        stored = index.vectors(list(here), space)
        assert stored.keys() == here.keys()
        for key, vector in here.items():
            np.testing.assert_array_equal(stored[key], vector)


def searchable_records(count: int) -> list[VectorRecord]:
    """Return records of several types, schema versions and metadata."""
    types = ("Person", "Place", "Event")
    records = []
    for i in range(count):
        metadata: dict[str, str | int | float | bool] = {}
        if i % 5:
            metadata = {
                "city": ("Zürich", "Bern")[i % 2],
                "age": i % 7,
                "score": (i % 4) / 4,
                "active": i % 3 == 0,
                "flag": 1 if i % 2 else True,
            }
        records.append(make_record(f"n{i:03}", entity_type=types[i % 3], schema_version=1 + i % 4, metadata=metadata))
    return records


def matches(stamp: Stamp, where: SearchFilter) -> bool:
    """Say whether a filter lets a record through; a boolean never equals a number."""
    return (
        (where.entity_types is None or stamp.entity_type in where.entity_types)
        and (where.schema_version_min is None or stamp.schema_version >= where.schema_version_min)
        and all(_equal(stamp.metadata, name, value) for name, value in where.metadata.items())
    )


def _equal(metadata: Mapping[str, object], name: str, value: object) -> bool:
    return (
        name in metadata and metadata[name] == value and isinstance(metadata[name], bool) is isinstance(value, bool)
    )


def assert_search(
    index: VectorIndex, query: Vector, k: int, where: SearchFilter, records: Sequence[VectorRecord]
) -> None:
    """Compare a search of `SPACE` with brute force; an approximate index may miss a tenth, but never invents."""
    pool = {record.stamp.key: record for record in records if matches(record.stamp, where)}
    exact = {key: float(record.vector.astype(np.float64) @ query.astype(np.float64)) for key, record in pool.items()}
    best = sorted(exact, key=lambda key: (-exact[key], key.encode()))[:k]
    hits = index.search(SPACE, query, k, where)
    found = [hit.stamp.key for hit in hits]
    assert len(set(found)) == len(found) == len(best)
    for hit in hits:
        assert hit.stamp == pool[hit.stamp.key].stamp
        assert hit.score == pytest.approx(exact[hit.stamp.key], abs=1e-4)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    if index.capabilities.exact:
        assert found == best
    else:
        assert len(set(found) & set(best)) >= 0.9 * len(best)


def assert_consistent_read(index: VectorIndex, keys: Sequence[RecordKey]) -> None:
    """Check one read of everything: nothing missing, and each hit's score is that of a vector of its key."""
    assert set(index.stamps(keys)) == set(keys)
    assert {stamp.key for stamp in index.scan(None, 100)} == set(keys)
    query = unit_vector("query")
    for hit in index.search(SPACE, query, 5, ANYTHING):
        vector = unit_vector((hit.stamp.key.encode(), int(hit.stamp.position), SPACE))
        assert hit.score == pytest.approx(float(vector @ query), abs=1e-4)
