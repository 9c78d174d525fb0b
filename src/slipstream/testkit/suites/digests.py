"""The conformance suite of `RangeDigests`: digests say what the index holds, however it came there."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from slipstream.domain.digests import KeyRange, RangeDigest, damaged_vectors, digest_of
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, Stamp, Vector
from slipstream.ports.digests import RangeDigests
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import scan_range
from slipstream.testkit.records import make_record

RECORDS = 60
_STEPS = 25


class DigestingVectorIndex(VectorIndex, RangeDigests, Protocol):
    """What is tested."""


class RangeDigestsSuite(ABC):
    """Subclass it, and give an empty index."""

    @abstractmethod
    def index(self) -> DigestingVectorIndex:
        """Return an empty index."""

    def _filled(self) -> DigestingVectorIndex:
        index = self.index()
        index.upsert([make_record(key_of(number), position=1) for number in range(RECORDS)])
        return index

    def test_an_empty_index_has_an_empty_digest(self) -> None:
        assert list(self.index().digests([KeyRange()])) == [RangeDigest()]

    def test_digests_are_of_what_the_index_holds(self) -> None:
        index = self._filled()
        assert_digests(index, [KeyRange()])
        assert_digests(index, cut([7, 20, 21, 44]))

    def test_each_kind_of_write_shows(self) -> None:
        index = self._filled()
        before = index.digests([KeyRange()])[0]
        index.upsert([make_record(key_of(3), position=2, fingerprint="other")])
        changed = index.digests([KeyRange()])[0]
        assert changed.total != before.total
        assert changed.position_max == 2
        index.delete([Deletion(key_of(4), Position(3))])
        assert index.digests([KeyRange()])[0].total.records == RECORDS - 1
        (stamp,) = index.stamps([key_of(5)])[key_of(5)].records
        index.restamp([replaced(stamp)])
        assert index.digests([KeyRange()])[0].schema_version_max == stamp.schema_version + 1
        assert_digests(index, cut([3, 4, 5, 6]))

    def test_a_write_that_is_fenced_changes_nothing(self) -> None:
        index = self._filled()
        before = index.digests([KeyRange()])
        assert index.upsert([make_record(key_of(3), position=0, fingerprint="older")]) == [key_of(3)]
        assert index.digests([KeyRange()]) == before

    def test_random_writes_and_random_ranges(self) -> None:
        index, rng = self._filled(), random.Random(7)
        for step in range(2, _STEPS + 2):
            for number in rng.sample(range(RECORDS + 10), 4):
                if rng.random() < 0.3:
                    index.delete([Deletion(key_of(number), Position(step))])
                else:
                    index.upsert([make_record(key_of(number), position=step, fingerprint=f"text {step}")])
            cuts = sorted(rng.sample(range(RECORDS + 10), rng.randrange(6)))
            assert_digests(index, cut(cuts))


def key_of(number: int) -> RecordKey:
    """Return a key; their order is that of the numbers."""
    return entity_key(f"k{number:04}")


def cut(numbers: Sequence[int]) -> list[KeyRange]:
    """Return ranges that cover all keys, cut at some."""
    bounds = ["", *(key_of(number).encode() for number in numbers)]
    return [
        KeyRange(after, bounds[place + 1] if place + 1 < len(bounds) else None) for place, after in enumerate(bounds)
    ]


def replaced(stamp: Stamp) -> Stamp:
    """Return a stamp of the next schema version."""

    return stamp._replace(schema_version=stamp.schema_version + 1)


def assert_digests(index: DigestingVectorIndex, ranges: Sequence[KeyRange]) -> None:
    """Check digests against what is read."""
    for bounds, found in zip(ranges, index.digests(ranges), strict=True):
        stamps = [stamp for page in scan_range(index, bounds) for stamp in page]
        assert found == digest_of(stamps, damaged_vectors(stamps, vectors_of(index, stamps))), bounds


def vectors_of(index: VectorIndex, stamps: Sequence[Stamp]) -> list[Vector | None]:
    """Return the stored vector of each stamp."""
    return [index.vectors([stamp.key], stamp.space).get(stamp.key) for stamp in stamps]
