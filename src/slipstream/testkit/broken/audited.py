"""Indexes that each hide damage from an audit or its repair in one way: the tampering suite must fail them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from slipstream.adapters.wrappers.passing import PassingIndex
from slipstream.domain.digests import KeyRange, RangeDigest, digest_of
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import (
    KeyStamps,
    Stamp,
    Vector,
    VectorRecord,
    vector_checksum,
)
from slipstream.ports.scans import scan_range


class HonestIndex(PassingIndex):
    """Passes everything on, and digests what it has read: the base of the broken ones."""

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """As of the index below, but for what is shown of each stamp."""
        return {
            key: KeyStamps(tuple(self._shown(held.records)), held.tombstone)
            for key, held in self._inner.stamps(keys).items()
        }

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """As of the index below, but for what is shown of each stamp."""
        return self._shown(self._inner.scan(after, limit))

    def _shown(self, stamps: Sequence[Stamp]) -> Sequence[Stamp]:
        return stamps

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Digest what is read."""
        found = [RangeDigest() for _ in ranges]
        for digest, bounds in zip(found, ranges, strict=True):
            for stamps in scan_range(self, bounds):
                digest.add(digest_of(stamps, self._damaged(stamps)))
        return found

    def _damaged(self, stamps: Sequence[Stamp]) -> list[bool]:
        return [
            vector is None or vector_checksum(vector) != stamp.checksum
            for stamp in stamps
            for vector in [self.vectors([stamp.key], stamp.space).get(stamp.key)]
        ]


class DigestsIgnoreVectors(HonestIndex):
    """Digests stamps alone, so that an incremental audit never looks at a vector."""

    def _damaged(self, stamps: Sequence[Stamp]) -> list[bool]:
        return [False] * len(stamps)


class MendsOnRead(HonestIndex):
    """Returns every vector at unit length, with the checksum of what it returns."""

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """Normalise the stored vectors, and invent one where that is impossible."""
        return {key: _unit(vector, space) for key, vector in super().vectors(keys, space).items()}

    def _shown(self, stamps: Sequence[Stamp]) -> Sequence[Stamp]:
        held = [self.vectors([stamp.key], stamp.space).get(stamp.key) for stamp in stamps]
        return [
            stamp if vector is None else stamp._replace(checksum=vector_checksum(vector))
            for stamp, vector in zip(stamps, held, strict=True)
        ]


class ShowsOneRecordOfAKey(HonestIndex):
    """Overlooks that a key may be in two spaces."""

    def _shown(self, stamps: Sequence[Stamp]) -> Sequence[Stamp]:
        return list({stamp.key: stamp for stamp in stamps}.values())


class HidesTheFuture(HonestIndex):
    """Shows positions modulo 2**32, so that larger ones look old."""

    def _shown(self, stamps: Sequence[Stamp]) -> Sequence[Stamp]:
        return [stamp._replace(position=Position(stamp.position % 2**32)) for stamp in stamps]


class SkipsNeedlessWrites(HonestIndex):
    """Does not write a record with an equal fingerprint, even if its vector has changed."""

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write what has another fingerprint."""
        held = self.stamps([record.stamp.key for record in records])
        known = {(stamp.key, stamp.space, stamp.fingerprint) for found in held.values() for stamp in found.records}
        news = [r for r in records if (r.stamp.key, r.stamp.space, r.stamp.fingerprint) not in known]
        return super().upsert(news)


class LosesFilterValues(HonestIndex):
    """Loses the metadata for filters when it reads a stamp."""

    def _shown(self, stamps: Sequence[Stamp]) -> Sequence[Stamp]:
        return [stamp._replace(metadata={}) for stamp in stamps]


def _unit(vector: Vector, space: Space) -> Vector:
    whole = np.nan_to_num(np.resize(vector, space.dimension))
    norm = np.float32(np.linalg.norm(whole))
    return whole / norm if norm > 0 else np.full_like(whole, space.dimension**-0.5)


BROKEN_AUDITED: Mapping[type[HonestIndex], str] = {
    DigestsIgnoreVectors: "one bit",
    MendsOnRead: "negated",
    ShowsOneRecordOfAKey: "copied to another space",
    HidesTheFuture: "position past the head",
    SkipsNeedlessWrites: "zero",
    LosesFilterValues: "filter value added",
}
"""Each broken index, and the way of tampering that must show its fault."""
