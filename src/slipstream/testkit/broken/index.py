"""
Faulty wrappers around any index: the suite of `VectorIndex` must fail every one of them.

Around the in-memory index they prove the suite; around an index of your own, your fixture and raw hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.adapters.wrappers.passing import PassingIndex
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Stamp, Vector, VectorHit, VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import scan_index

_EVERYTHING = SearchFilter()
_LATEST = Position(2**53 - 1)


class FaultyIndex(PassingIndex):
    """A fault over a sound index; other attributes of that index are reached through it, as raw hooks need them."""

    def __init__(self, inner: VectorIndex | None = None) -> None:
        super().__init__(MemoryIndex() if inner is None else inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ForgetsDeletes(FaultyIndex):
    """Acknowledges deletions without making them."""

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Do nothing."""
        del deletions
        return []


class IgnoresPositions(FaultyIndex):
    """The last writer wins, however old its position is."""

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Make room for each record first."""
        super().vacuum(_LATEST)
        super().delete([Deletion(record.stamp.key, _LATEST, record.stamp.space) for record in records])
        return super().upsert(records)


class AcknowledgesBeforeWriting(FaultyIndex):
    """Keeps a batch in a buffer until the next write comes."""

    def __init__(self, inner: VectorIndex | None = None) -> None:
        super().__init__(inner)
        self._buffer: list[VectorRecord] = []

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write the batch before this one."""
        late, self._buffer = self._buffer, list(records)
        return super().upsert(late)


class DropsHalfABatch(FaultyIndex):
    """Writes only the first half of a batch, and says nothing."""

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write half of it."""
        return super().upsert(records[: (len(records) + 1) // 2])


class WritesBeforeChecking(FaultyIndex):
    """Checks vectors one at a time, when others of the batch are written already."""

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write one by one."""
        write = super().upsert
        return [key for record in records for key in write([record])]


class ResurrectsDeleted(FaultyIndex):
    """Forgets tombstones as soon as something is written to the key."""

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Drop all tombstones first."""
        super().vacuum(_LATEST)
        return super().upsert(records)


class LeavesNoTombstoneForAbsentKeys(FaultyIndex):
    """Ignores the deletion of an absent key."""

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Delete what is there."""
        held = super().stamps([deletion.key for deletion in deletions])
        return super().delete([deletion for deletion in deletions if deletion.key in held])


class DeletesEverySpace(FaultyIndex):
    """Deletes in every space even when a deletion names one."""

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Delete everywhere."""
        return super().delete([replace(deletion, space=None) for deletion in deletions])


class ScansBackwards(FaultyIndex):
    """Returns the right records in a wrong order."""

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """Turn each page round."""
        return list(super().scan(after, limit))[::-1]


class ScansHalfAKey(FaultyIndex):
    """Cuts a page at the limit, in the middle of a key."""

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """Cut the page."""
        return super().scan(after, limit)[:limit]


class RestampsAnything(FaultyIndex):
    """Puts a stamp on whatever vector is there."""

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Compare nothing."""
        for stamp in stamps:
            for vector in super().vectors([stamp.key], stamp.space).values():
                super().upsert([VectorRecord(stamp, vector)])


class MovesTheBaseline(FaultyIndex):
    """Takes the confidence of a restamp for that of the vector."""

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Overwrite the vector's confidence by the restamp's."""
        super().restamp([stamp._replace(embedded_confidence=stamp.extraction_confidence) for stamp in stamps])


class SearchesWithoutFilters(FaultyIndex):
    """Filters nothing."""

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """Drop the filter."""
        del where
        return super().search(space, vector, k, _EVERYTHING)


class FiltersAfterCutting(FaultyIndex):
    """Filters the best `k` instead of finding the best `k` that the filter lets through."""

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """Cut first."""
        allowed = {hit.stamp.key for hit in super().search(space, vector, 10**9, where)}
        return [hit for hit in super().search(space, vector, k, _EVERYTHING) if hit.stamp.key in allowed]


class SearchesAFrozenSnapshot(FaultyIndex):
    """Answers every search of a space from what the first one saw."""

    def __init__(self, inner: VectorIndex | None = None) -> None:
        super().__init__(inner)
        self._frozen: dict[Space, MemoryIndex] = {}

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """Search the copy."""
        if space not in self._frozen:
            stamps = {stamp.key: stamp for stamp in scan_index(self) if stamp.space == space}
            copy = self._frozen[space] = MemoryIndex()
            copy.upsert([VectorRecord(stamps[key], held) for key, held in self.vectors(list(stamps), space).items()])
        return self._frozen[space].search(space, vector, k, where)


class ChangesVectorsOnRead(FaultyIndex):
    """Returns other vectors than it stores, so that no audit can find damage."""

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """Return absolute values."""
        return {key: abs(vector) for key, vector in super().vectors(keys, space).items()}


class VacuumsTooMuch(FaultyIndex):
    """Forgets every tombstone."""

    def vacuum(self, through: Position) -> int:
        """Ignore the position."""
        del through
        return super().vacuum(_LATEST)


class ForgetsMetadata(FaultyIndex):
    """Loses a part of the stamps."""

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Return stamps without their metadata."""
        return {
            key: KeyStamps(tuple(stamp._replace(metadata={}) for stamp in held.records), held.tombstone)
            for key, held in super().stamps(keys).items()
        }


class RoundsPositions(FaultyIndex):
    """Keeps positions as single-precision floats."""

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Round."""
        return super().upsert(
            [
                VectorRecord(r.stamp._replace(position=Position(r.stamp.position // 1024 * 1024)), r.vector)
                if r.stamp.position > 2**24
                else r
                for r in records
            ]
        )


BROKEN_INDEXES: Mapping[type[FaultyIndex], str] = {
    ForgetsDeletes: "test_delete_leaves_a_tombstone",
    IgnoresPositions: "test_stale_upsert_is_fenced",
    AcknowledgesBeforeWriting: "test_upsert_stores_stamp_and_vector",
    DropsHalfABatch: "test_big_batch_is_stored_whole",
    WritesBeforeChecking: "test_bad_vector_is_refused_before_any_write",
    ResurrectsDeleted: "test_late_upsert_is_fenced_by_the_tombstone",
    LeavesNoTombstoneForAbsentKeys: "test_delete_of_absent_key_leaves_a_tombstone",
    DeletesEverySpace: "test_delete_in_one_space_leaves_the_other_and_no_tombstone",
    ScansBackwards: "test_scan_pages_through_everything_in_order",
    ScansHalfAKey: "test_scan_pages_through_everything_in_order",
    RestampsAnything: "test_restamp_of_another_record_is_ignored",
    MovesTheBaseline: "test_restamp_keeps_both_confidences_apart",
    SearchesWithoutFilters: "test_search_agrees_with_brute_force",
    FiltersAfterCutting: "test_search_agrees_with_brute_force",
    SearchesAFrozenSnapshot: "test_search_follows_every_kind_of_write",
    ChangesVectorsOnRead: "test_vectors_are_returned_as_stored",
    VacuumsTooMuch: "test_vacuum_forgets_tombstones_up_to_the_position_only",
    ForgetsMetadata: "test_every_stamp_field_comes_back_exactly",
    RoundsPositions: "test_positions_are_compared_exactly",
}
"""Each fault, and the case that was written for it."""
