"""Ports that pass every call on: bases for wrappers that change only some calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Stamp, Vector, VectorHit, VectorRecord
from slipstream.domain.work import Lane, WorkItem
from slipstream.ports.index import IndexCapabilities, VectorIndex, warming_of
from slipstream.ports.journal import Journal
from slipstream.ports.sync_view import EntitySync, SyncState, SyncView


class PassingIndex:
    """A `VectorIndex` that passes everything on to the index below it."""

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


class PassingJournal:
    """A `Journal` that passes everything on to the journal below it."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner

    def transaction(self) -> AbstractContextManager[None]:
        """As of the journal below."""
        return self._inner.transaction()

    def get(self, name: str) -> str | None:
        """As of the journal below."""
        return self._inner.get(name)

    def set(self, name: str, value: str | None) -> None:
        """As of the journal below."""
        self._inner.set(name, value)

    def put_work(self, items: Sequence[WorkItem]) -> None:
        """As of the journal below."""
        self._inner.put_work(items)

    def remove_work(self, keys: Sequence[RecordKey]) -> None:
        """As of the journal below."""
        self._inner.remove_work(keys)

    def work(self, after: WorkItem | None, limit: int, lane: Lane | None = None) -> Sequence[WorkItem]:
        """As of the journal below."""
        return self._inner.work(after, limit, lane)

    def work_count(self, lane: Lane | None = None) -> int:
        """As of the journal below."""
        return self._inner.work_count(lane)

    def close(self) -> None:
        """Close the journal below."""
        self._inner.close()


class ReadingSyncView:
    """The reads of a wrapper around a `SyncView`, passed on to the view below."""

    def __init__(self, inner: SyncView) -> None:
        self._inner = inner

    def read(self, entity_ids: Sequence[str]) -> Mapping[str, SyncState]:
        """As of the view below."""
        return self._inner.read(entity_ids)

    def find(self, state: EntitySync, limit: int) -> Sequence[SyncState]:
        """As of the view below."""
        return self._inner.find(state, limit)

    def counts(self) -> Mapping[EntitySync, int]:
        """As of the view below."""
        return self._inner.counts()
