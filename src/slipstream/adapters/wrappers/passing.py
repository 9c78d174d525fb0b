"""An index that passes every call on: what a wrapper is made of that changes only some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Stamp, Vector, VectorHit, VectorRecord
from slipstream.ports.index import IndexCapabilities, VectorIndex, warming_of


class PassingIndex:
    """A `VectorIndex` that is as the index below it."""

    def __init__(self, inner: VectorIndex) -> None:
        self._inner = inner

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

    def vacuum(self, through: Position) -> int:
        """As of the index below."""
        return self._inner.vacuum(through)

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """As of the index below."""
        return self._inner.stamps(keys)

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """As of the index below."""
        return self._inner.scan(after, limit)

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """As of the index below."""
        return self._inner.vectors(keys, space)

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """As of the index below."""
        return self._inner.search(space, vector, k, where)

    def warm(self, space: Space) -> None:
        """As of the index below, if it has anything to load."""
        inner = warming_of(self._inner)
        if inner is not None:
            inner.warm(space)

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        """As of the index below."""
        return self._inner.buried(past, after, limit)

    def close(self) -> None:
        """Close the index below."""
        self._inner.close()
