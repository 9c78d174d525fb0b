"""Range digests: what an index can say of many records without handing them over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from slipstream.domain.digests import KeptTerm, KeyRange, RangeDigest
from slipstream.domain.held import HeldPage
from slipstream.domain.keys import RecordKey


@runtime_checkable
class ContentScan(Protocol):
    """An index that can read its records as audits compare them; optional: stamps and vectors do as well."""

    def contents(self, after: str, limit: int) -> HeldPage:
        """
        Return about `limit` records of all spaces in key order, behind the encoded key `after`.

        All records of the last key are among them; none at the end. Records and vectors are read from the store
        itself, in one snapshot. Raises `UnavailableError` when the store is down.
        """
        ...


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


@runtime_checkable
class KeptDigests(RangeDigests, Protocol):
    """
    Range digests of an index whose store can not notice writes: they are kept beside it.

    They follow every write through this index, at whatever point the process dies. Of writes past it they notice only
    that records came or went; a full audit hands over all that it reads (`missed`), and finds what they lack.
    """

    def missed(self, bounds: KeyRange, read: Sequence[KeptTerm]) -> Sequence[RecordKey]:
        """
        Return the keys of a range, in order, whose kept terms differ from those in `read`; then keep the latter.

        `read` has all records of the range, in key order. Raises `UnavailableError` when a store is down.
        """
        ...


class TermStore(Protocol):
    """
    What is known of each record of an index in another store, and which keys were written since.

    Every call is a durable, atomic step, and harmless when it is repeated; raises `UnavailableError` when the store
    is down, and `LeaseLostError` where only the owner of the lease may write.
    """

    def doubt(self, keys: Sequence[str]) -> None:
        """Note that what is known of these keys may not hold any more."""
        ...

    def doubted(self, bounds: KeyRange, limit: int) -> Sequence[str]:
        """Return the keys of a range that are in doubt, in order."""
        ...

    def settle(self, keys: Sequence[str], terms: Sequence[KeptTerm]) -> None:
        """Replace what is known of some keys by terms, which are of these keys only, and doubt them no more."""
        ...

    def terms(self, bounds: KeyRange) -> Sequence[KeptTerm]:
        """Return what is known of the keys of a range, in order."""
        ...

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Return the digest of what is known of each range, in order; ranges are disjoint and ascending."""
        ...

    def known(self) -> int:
        """Return how many records are known of."""
        ...

    def forget(self) -> None:
        """Forget all that is known; what is in doubt stays so, for it may be written right now."""
        ...
