"""Range digests: what an index can say of many records without handing them over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from slipstream.domain.digests import KeyRange, RangeDigest


@runtime_checkable
class RangeDigests(Protocol):
    """
    An index that digests its own records; optional, an audit falls back to reading the stamps.

    A digest must reflect every write that happened before the call, also one that bypassed the adapter, as far as
    the store can tell. It may be cached only where the store itself notices such writes.
    """

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """
        Return the digest of the stored records (`stamp_term`, vectors checked) of each range, in order.

        Ranges are disjoint and ascending. Raises `UnavailableError` when the store is down.
        """
        ...
