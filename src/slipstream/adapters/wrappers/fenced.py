"""Stores that can not compare the epoch: each write checks first that the lease is held."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from slipstream.adapters.wrappers.passing import PassingIndex, ReadingSyncView
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, Stamp, VectorRecord
from slipstream.ports.erasing import Erasing
from slipstream.ports.index import SealedIndex, VectorIndex
from slipstream.ports.selfcheck import SelfCheck
from slipstream.ports.sync_view import SyncState, SyncView


class SealedVectorIndex(VectorIndex, SealedIndex, Protocol):
    """An index in a store of its own, which can count its records without reading them."""

    def record_count(self) -> int:
        """Return how many records there are, of all spaces."""
        ...


class FencedIndex(PassingIndex):
    """
    A `VectorIndex` that writes only while `check` lets it (`Lease.renew`, which raises `LeaseLostError`).

    For an index that can not compare the epoch itself. A process that is stopped between check and write still writes
    when it goes on: that one batch is fenced by positions, record by record, and the next audit sees it.
    """

    def __init__(self, inner: VectorIndex, check: Callable[[], None]) -> None:
        super().__init__(inner)
        self._check = check

    @property
    def erasing(self) -> Erasing | None:
        """What erases from the index below, None when that can not."""
        found = getattr(self._inner, "erasing", None)
        return found if isinstance(found, Erasing) else None

    @property
    def selfcheck(self) -> SelfCheck | None:
        """The self-check of the index below, None when it has none."""
        found = getattr(self._inner, "selfcheck", None)
        return found if isinstance(found, SelfCheck) else None

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Check, then write."""
        self._check()
        return self._inner.upsert(records)

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Check, then delete."""
        self._check()
        return self._inner.delete(deletions)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Check, then restamp."""
        self._check()
        self._inner.restamp(stamps)

    def vacuum(self, through: Position) -> int:
        """Check, then forget."""
        self._check()
        return self._inner.vacuum(through)


class FencedSealedIndex(FencedIndex):
    """A `FencedIndex` over an index with a seal."""

    def __init__(self, inner: SealedVectorIndex, check: Callable[[], None]) -> None:
        super().__init__(inner, check)
        self._sealed = inner

    def seal(self) -> str | None:
        """As of the index below."""
        return self._sealed.seal()

    def set_seal(self, seal: str) -> None:
        """Check, then replace it."""
        self._check()
        self._sealed.set_seal(seal)

    def record_count(self) -> int:
        """As of the index below."""
        return self._sealed.record_count()


class FencedSyncView(ReadingSyncView):
    """
    A `SyncView` that writes only while `check` lets it: the graph's file has many writers, and no owner.

    A process that is stopped between check and write still writes derived data of a few entities, which their next
    change corrects.
    """

    def __init__(self, inner: SyncView, check: Callable[[], None]) -> None:
        super().__init__(inner)
        self._check = check

    def put(self, states: Iterable[SyncState]) -> None:
        """Check, then write."""
        rows = list(states)
        self._check()
        self._inner.put(rows)

    def remove(self, entity_ids: Iterable[str]) -> None:
        """Check, then forget."""
        self._check()
        self._inner.remove(entity_ids)

    def mark_verified(self, at: datetime, except_ids: Collection[str] = (), limit: int | None = None) -> int:
        """Check, then mark."""
        self._check()
        return self._inner.mark_verified(at, except_ids, limit)

    def prune(self, limit: int) -> int:
        """Check, then forget."""
        self._check()
        return self._inner.prune(limit)
