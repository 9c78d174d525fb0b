"""Range digests for an index that makes none: its stamps and vectors are read once, at the audit's pace."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import groupby

from slipstream.audit.findings import RowsRead
from slipstream.audit.pacing import Pace, paced
from slipstream.audit.tree import DigestTree
from slipstream.domain.digests import KeyRange, RangeDigest, digest_of
from slipstream.domain.stamps import Stamp
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import scan_index

Damaged = Callable[[Sequence[Stamp]], Sequence[bool]]
"""Tells of each stamp whether its vector is damaged."""


class ScannedDigests:
    """Digests of the leaves of a tree, as they were read; wider ranges are sums of them."""

    def __init__(self, tree: DigestTree, digests: Sequence[RangeDigest]) -> None:
        self._afters = [head.after for head in tree.heads]
        self._digests = digests

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Return the digest of each range, which must begin and end where leaves do."""
        return [self._sum(bounds) for bounds in ranges]

    def _sum(self, bounds: KeyRange) -> RangeDigest:
        found = RangeDigest()
        first = bisect_left(self._afters, bounds.after)
        last = len(self._afters) if bounds.through is None else bisect_left(self._afters, bounds.through)
        for digest in self._digests[first:last]:
            found.add(digest)
        return found


def scanned(
    tree: DigestTree,
    index: VectorIndex,
    damaged: Damaged,
    rows: RowsRead,
    pace: Pace,
    on_page: Callable[[], None] = lambda: None,
) -> ScannedDigests:
    """Read the whole index, and digest it leaf by leaf."""
    leaves = [RangeDigest() for _ in tree.heads]
    for stamps in paced(scan_index(index, lambda: pace.page), pace):
        rows.add(index=len(stamps))
        judged = zip(stamps, damaged(stamps), strict=True)
        for place, group in groupby(judged, lambda item: tree.leaf_of(item[0].key.encode())):
            of_leaf, flags = zip(*group, strict=True)
            leaves[place].add(digest_of(of_leaf, flags))
        pace.rest()
        on_page()
    return ScannedDigests(tree, leaves)
