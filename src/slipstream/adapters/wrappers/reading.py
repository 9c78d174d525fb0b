"""A vector index that is only read from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slipstream.adapters.wrappers.passing import PassingIndex
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, Stamp, VectorRecord
from slipstream.ports.index import VectorIndex


class ReadOnlyIndex(PassingIndex):
    """A `VectorIndex` that refuses whatever would change it, for the reason that `refusal` returns."""

    def __init__(self, inner: VectorIndex, refusal: Callable[[], SlipstreamError]) -> None:
        super().__init__(inner)
        self._refusal = refusal

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Refuse."""
        del records
        raise self._refusal()

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Refuse."""
        del deletions
        raise self._refusal()

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Refuse."""
        del stamps
        raise self._refusal()

    def vacuum(self, through: Position) -> int:
        """Refuse."""
        del through
        raise self._refusal()
