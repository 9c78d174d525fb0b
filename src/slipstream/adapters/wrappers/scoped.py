"""A vector index as one generation sees it: reads leave out the records of the generation beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from slipstream.adapters.wrappers.passing import PassingIndex
from slipstream.domain.digests import KeptTerm, KeyRange, RangeDigest, damaged_vectors, digest_of
from slipstream.domain.held import HeldPage, Placed
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import KeyStamps, Stamp
from slipstream.ports.digests import KeptDigests, RangeDigests
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import read_contents, scan_range, vectors_of

Hides = Callable[[], Callable[[Placed], bool] | None]
"""Returns a test for records of another generation; None while there is only one generation."""


class ScopedIndex(PassingIndex):
    """
    Reads of one generation. Writes and searches are passed on as they are: they name their space.

    With only one generation this costs nothing; with two, digests are computed from what is read.
    """

    def __init__(self, inner: VectorIndex, hides: Hides) -> None:
        super().__init__(inner)
        self._hides = hides

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
            after = page[-1].key  # a page with records of the other generation only is not the end
        return ()

    def contents(self, after: str, limit: int) -> HeldPage:
        """Return records of this generation."""
        is_hidden = self._hides()
        while (page := read_contents(self._inner, after, limit)).last is not None:
            shown = page if is_hidden is None else page.without(is_hidden)
            if shown.last is not None:
                return shown
            after = page.last
        return page


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
            found.add(digest_of(stamps, damaged_vectors(stamps, vectors_of(self, stamps))))
        return found


class ScopedKeptIndex(ScopedDigestingIndex):
    """The same over an index whose digests are kept beside it."""

    def __init__(self, inner: VectorIndex, digests: KeptDigests, hides: Hides) -> None:
        super().__init__(inner, digests, hides)
        self._kept = digests

    def missed(self, bounds: KeyRange, read: Sequence[KeptTerm]) -> Sequence[RecordKey]:
        """As of the index below; nothing while there are two generations."""
        return [] if self._hides() is not None else self._kept.missed(bounds, read)


def scoped(index: VectorIndex, hides: Hides) -> ScopedIndex:
    """Return the index as one generation sees it, with digests of its own where it has some."""
    if isinstance(index, KeptDigests):
        return ScopedKeptIndex(index, index, hides)
    return ScopedDigestingIndex(index, index, hides) if isinstance(index, RangeDigests) else ScopedIndex(index, hides)
