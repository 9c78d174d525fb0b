"""The vector index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import (
    Deletion,
    KeyStamps,
    SearchFilter,
    Stamp,
    Vector,
    VectorHit,
    VectorRecord,
)


@dataclass(frozen=True, slots=True)
class IndexCapabilities:
    """Optional abilities of an index adapter."""

    transactional: bool = False
    """Joins a journal transaction on the same store, so a batch and its checkpoint commit as one."""
    exact: bool = False
    """Search is exact, not approximate."""
    durable: bool = True
    """Acknowledged writes survive a kill."""
    system: str = "other"
    """The store's name in telemetry, as OpenTelemetry spells it (`db.system.name`)."""


@runtime_checkable
class VectorIndex(Protocol):
    """
    Vectors keyed by record, each stamped with the position it was read at; several spaces side by side.

    All writes are idempotent and fenced: an older position never overwrites a newer one (record or tombstone),
    an equal one may. A batch may be applied in part when the call raises; repeating it is harmless. When a call
    returns, its effect is durable and visible to every later call. Raises `UnavailableError` when the store is
    down, `InvalidInputError` (field `embedding`) for NaN, zero or wrongly shaped vectors before any is written.
    """

    @property
    def capabilities(self) -> IndexCapabilities:
        """What this adapter can do beyond the contract."""
        ...

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """
        Write records in place, each into the space of its stamp; return the keys that were fenced off, in any order.

        Accepted when `incoming.position >=` the stored record's position and any tombstone's position; an
        accepted record removes the key's tombstone. Keys must be distinct within one call and space.
        """
        ...

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """
        Remove keys and return those that were fenced off (a stored record is newer than the deletion), in any order.

        An absent key is no error: the deletion leaves its tombstone all the same (see `Deletion`).
        """
        ...

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """
        Replace the stamps of stored records without touching their vectors.

        Applies only where a record with the same key, space, fingerprint and checksum is stored, at a position
        not newer than the given one; others are left alone silently. A record that needs embedding anew goes on
        needing it, for the reason given last: only a new vector ends that.
        """
        ...

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Return what is held of the keys, in every space; keys of which nothing is held are absent."""
        ...

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """
        Return stamps of all spaces, without tombstones, ordered by (`key.encode()`, space), behind key `after`.

        About `limit` of them, and always all the records of the last key returned; empty at the end.
        """
        ...

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """Return the stored vectors, as they are stored, of those keys that are in the space."""
        ...

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """
        Return the `k` nearest records of a space by cosine similarity, best first, ties by key.

        Raises `InvalidInputError` (field `query_vector`) for a vector that is not of the space's dimension,
        NaN or zero. An unknown space is an empty one. Tombstones are never returned.
        """
        ...

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        """Return keys whose tombstone is newer than a position, ordered by `key.encode()`, behind key `after`."""
        ...

    def vacuum(self, through: Position) -> int:
        """Forget tombstones up to and including the position; returns how many."""
        ...

    def close(self) -> None:
        """Release everything; closing twice is harmless. A closed index raises `UnavailableError`."""
        ...


class WarmingIndex(Protocol):
    """An index that loads something before it can be searched; optional."""

    def warm(self, space: Space) -> None:
        """Load what searches of a space need; harmless whenever it is called, and an unknown space needs nothing."""
        ...


def warming_of(index: VectorIndex) -> WarmingIndex | None:
    """Return the index as a `WarmingIndex`, None when its class has no `warm` (`__getattr__` does not count)."""
    return cast("WarmingIndex", index) if hasattr(type(index), "warm") else None


@runtime_checkable
class SealedIndex(Protocol):
    """
    An index in a store of its own, beside its journal; optional.

    It bears a seal, by which the journal knows whether the index is the one that it was kept with. Raises
    `UnavailableError` when the store is down.
    """

    def seal(self) -> str | None:
        """Return the seal that was set last, None when there never was one."""
        ...

    def set_seal(self, seal: str) -> None:
        """Replace the seal, durably; atomic, and harmless when it is repeated. It is no change of any record."""
        ...
