"""A vector index as one generation sees it: records of the one beside it are left out of what is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from slipstream.domain.digests import KeyRange, RangeDigest, damaged_vectors, digest_of
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Stamp, Vector, VectorHit, VectorRecord
from slipstream.ports.digests import RangeDigests
from slipstream.ports.index import IndexCapabilities, VectorIndex
from slipstream.ports.scans import scan_range

Hides = Callable[[], Callable[[Stamp], bool] | None]
"""Returns what tells whether a record is of another generation; None while there is only one."""


class ScopedIndex:
    """
    Reads of one generation. Writes go through as they are, and so do searches: they name their space.

    While there is only one generation it costs nothing; beside another one, digests are computed from what is read.
    """

    def __init__(self, inner: VectorIndex, hides: Hides) -> None:
        self._inner, self._hides = inner, hides

    @property
    def capabilities(self) -> IndexCapabilities:
        """As of the index below."""
        return self._inner.capabilities

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """As of the index below."""
        return self._inner.upsert(records)

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """As of the index below."""
        return self._inner.delete(deletions)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """As of the index below."""
        self._inner.restamp(stamps)

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Return what this generation holds of the keys."""
        held, is_hidden = self._inner.stamps(keys), self._hides()
        if is_hidden is None:
            return held
        shown = {
            key: KeyStamps(tuple(s for s in found.records if not is_hidden(s)), found.tombstone)
            for key, found in held.items()
        }
        return {key: found for key, found in shown.items() if found.records or found.tombstone is not None}

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """Return stamps of this generation, in the order of the index below."""
        is_hidden = self._hides()
        while page := self._inner.scan(after, limit):
            shown = page if is_hidden is None else [stamp for stamp in page if not is_hidden(stamp)]
            if shown:
                return shown
            after = page[-1].key  # a whole page of the other one is not the end
        return ()

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """As of the index below."""
        return self._inner.vectors(keys, space)

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """As of the index below."""
        return self._inner.search(space, vector, k, where)

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        """As of the index below."""
        return self._inner.buried(past, after, limit)

    def vacuum(self, through: Position) -> int:
        """As of the index below."""
        return self._inner.vacuum(through)

    def close(self) -> None:
        """Close the index below."""
        self._inner.close()


class ScopedDigestingIndex(ScopedIndex):
    """The same over an index that digests its own records."""

    def __init__(self, inner: VectorIndex, digests: RangeDigests, hides: Hides) -> None:
        super().__init__(inner, hides)
        self._digests = digests

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Return the digest of each range."""
        if self._hides() is None:
            return self._digests.digests(ranges)
        return [self._digest(bounds) for bounds in ranges]

    def _digest(self, bounds: KeyRange) -> RangeDigest:
        found = RangeDigest()
        for stamps in scan_range(self, bounds):
            found.add(digest_of(stamps, damaged_vectors(stamps, self._vectors_of(stamps))))
        return found

    def _vectors_of(self, stamps: Sequence[Stamp]) -> list[Vector | None]:
        keys_of: dict[Space, list[RecordKey]] = {}
        for stamp in stamps:
            keys_of.setdefault(stamp.space, []).append(stamp.key)
        held = {space: self.vectors(keys, space) for space, keys in keys_of.items()}
        return [held[stamp.space].get(stamp.key) for stamp in stamps]


def scoped(index: VectorIndex, hides: Hides) -> ScopedIndex:
    """Return the index as one generation sees it, with digests of its own where it has some."""
    return ScopedDigestingIndex(index, index, hides) if isinstance(index, RangeDigests) else ScopedIndex(index, hides)
