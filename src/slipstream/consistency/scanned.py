"""Range digests for an index that makes none: its stamps and vectors are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slipstream.consistency.report import RowsRead
from slipstream.domain.digests import KeyRange, RangeDigest, digest_of
from slipstream.domain.stamps import Stamp
from slipstream.ports.digests import RangeDigests
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import scan_range

Damaged = Callable[[Sequence[Stamp]], Sequence[bool]]
"""Tells of each stamp whether its vector is damaged."""


class ScannedDigests:
    """Reads everything in the ranges that it is asked for, page by page."""

    def __init__(self, index: VectorIndex, damaged: Damaged, rows: RowsRead) -> None:
        self._index, self._damaged, self._rows = index, damaged, rows

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Return the digest of each range."""
        return [self._digest(bounds) for bounds in ranges]

    def _digest(self, bounds: KeyRange) -> RangeDigest:
        found = RangeDigest()
        for stamps in scan_range(self._index, bounds):
            self._rows.add(index=len(stamps))
            found.add(digest_of(stamps, self._damaged(stamps)))
        return found


def digests_of(index: VectorIndex, damaged: Damaged, rows: RowsRead) -> RangeDigests:
    """Return the index's own digests where it makes some; what is read otherwise is counted in `rows`."""
    return index if isinstance(index, RangeDigests) else ScannedDigests(index, damaged, rows)
