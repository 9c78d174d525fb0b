"""The vectors of one space in memory, searched exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.domain.stamps import MetadataValue, SearchFilter, Vector

MatrixRow = tuple[int, str, int, str | None, bytes]
"""Record id, entity type, schema version, metadata as JSON, vector."""

_CAPACITY_MIN = 64
_RESCORED_AT_ONCE = 1024


class SpaceMatrix:
    """
    Rows of float32 vectors and the columns that filters look at, by record id.

    Rows lie without gaps: a removed one is filled with the last. Room grows by half, so writing a row costs the
    same however many there are. Damaged vectors (wrong length, not of unit length, NaN) are left out: they must not
    win a search, and the audit finds them. Not safe for threads: its owner holds a lock.
    """

    def __init__(self, dimension: int, capacity: int = 0) -> None:
        self.dimension = dimension
        self._size = 0
        self._slots: dict[int, int] = {}
        self._type_codes: dict[str, int] = {}
        self._metadata: list[Mapping[str, MetadataValue] | None] = []
        capacity = max(capacity, _CAPACITY_MIN)
        self._vectors: npt.NDArray[np.float32] = np.empty((capacity, dimension), np.float32)
        self._ids: npt.NDArray[np.int64] = np.empty(capacity, np.int64)
        self._types: npt.NDArray[np.int32] = np.empty(capacity, np.int32)
        self._versions: npt.NDArray[np.int64] = np.empty(capacity, np.int64)

    def __len__(self) -> int:
        return self._size

    def put(self, rows: Sequence[MatrixRow]) -> None:
        """Add or replace rows with distinct ids."""
        size = self.dimension * 4
        whole = [row for row in rows if len(row[4]) == size]
        block = np.frombuffer(b"".join(row[4] for row in whole), dtype="<f4").reshape(len(whole), self.dimension)
        with np.errstate(over="ignore", invalid="ignore"):
            sound = np.abs(np.einsum("ij,ij->i", block, block) - 1.0) < 1e-3
        kept = [row for row, is_sound in zip(whole, sound, strict=True) if is_sound]
        if len(kept) < len(rows):
            self.drop({row[0] for row in rows} - {row[0] for row in kept})
        self._reserve(self._size + len(kept))
        slots = [self._slot(row[0]) for row in kept]
        self._vectors[slots] = block[sound]
        self._ids[slots] = [row[0] for row in kept]
        self._types[slots] = [self._type_codes.setdefault(row[1], len(self._type_codes)) for row in kept]
        self._versions[slots] = [row[2] for row in kept]
        for slot, row in zip(slots, kept, strict=True):
            self._metadata[slot] = _kept_metadata(row[3])

    def _slot(self, record: int) -> int:
        slot = self._slots.get(record)
        if slot is None:
            slot = self._slots[record] = self._size
            self._size += 1
            self._metadata.append(None)
        return slot

    def drop(self, records: Iterable[int]) -> None:
        """Remove rows by record id; unknown ids are no error."""
        for record in records:
            slot = self._slots.pop(record, None)
            if slot is None:
                continue
            self._size -= 1
            last = self._size
            moved = self._metadata.pop()
            if slot != last:
                for column in (self._vectors, self._ids, self._types, self._versions):
                    column[slot] = column[last]
                self._metadata[slot] = moved
                self._slots[int(self._ids[slot])] = slot

    def _reserve(self, count: int) -> None:
        capacity = len(self._ids)
        if count <= capacity:
            return
        capacity = max(count, capacity + capacity // 2)
        self._vectors = _grown(self._vectors, capacity, self._size)
        self._ids = _grown(self._ids, capacity, self._size)
        self._types = _grown(self._types, capacity, self._size)
        self._versions = _grown(self._versions, capacity, self._size)

    def nearest(self, query: Vector, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """
        Return record ids and scores of the `k` best rows, and of all that tie with the last of them, in any order.

        A fast float32 product finds candidates, no further below the k-th than its rounding error; these are
        scored again in float64, row by row, so that equal vectors get equal scores wherever they lie.
        """
        scores = self._vectors[: self._size] @ query
        chosen = self._chosen(where)
        if chosen is not None:
            scores[~chosen] = -np.inf
        k = min(k, self._size if chosen is None else int(np.count_nonzero(chosen)))
        if k <= 0:
            return []
        kth = np.partition(scores, self._size - k)[self._size - k]
        rounding = 2 * self.dimension * np.finfo(np.float32).eps
        slots = np.flatnonzero(scores >= kth - rounding)
        exact = self._exact_scores(slots, query)
        kept = exact >= np.partition(exact, len(exact) - k)[len(exact) - k]
        return list(zip(self._ids[slots[kept]].tolist(), exact[kept].tolist(), strict=True))

    def _exact_scores(self, slots: npt.NDArray[np.intp], query: Vector) -> npt.NDArray[np.float64]:
        wide = query.astype(np.float64)
        parts = [
            (self._vectors[slots[start : start + _RESCORED_AT_ONCE]].astype(np.float64) * wide).sum(axis=1)
            for start in range(0, len(slots), _RESCORED_AT_ONCE)
        ]
        scores: npt.NDArray[np.float64] = np.concatenate(parts)
        return scores.clip(-1.0, 1.0)

    def _chosen(self, where: SearchFilter) -> npt.NDArray[np.bool_] | None:
        """Return which rows the filter lets through; None means all."""
        conditions: list[npt.NDArray[np.bool_]] = []
        if where.entity_types is not None:
            codes = [self._type_codes[name] for name in where.entity_types if name in self._type_codes]
            conditions.append(np.isin(self._types[: self._size], codes))
        if where.schema_version_min is not None:
            conditions.append(self._versions[: self._size] >= where.schema_version_min)
        chosen = np.logical_and.reduce(conditions) if conditions else None
        if not where.metadata:
            return chosen
        slots = range(self._size) if chosen is None else np.flatnonzero(chosen).tolist()
        wanted = list(where.metadata.items())
        passed = [slot for slot in slots if _has(self._metadata[slot], wanted)]
        chosen = np.zeros(self._size, np.bool_)
        chosen[passed] = True
        return chosen


def _kept_metadata(text: str | None) -> Mapping[str, MetadataValue] | None:
    """Return what a filter looks at; of what can not be read nothing, so that it spoils no search."""
    try:
        found = None if text is None else json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _grown(array: npt.NDArray[Any], capacity: int, used: int) -> npt.NDArray[Any]:
    grown = np.empty((capacity, *array.shape[1:]), array.dtype)
    grown[:used] = array[:used]
    return grown


def _has(metadata: Mapping[str, MetadataValue] | None, wanted: Sequence[tuple[str, MetadataValue]]) -> bool:
    """Compare metadata values; a boolean never equals a number."""
    if metadata is None:
        return False
    for name, value in wanted:
        held = metadata.get(name)
        if held != value or isinstance(held, bool) is not isinstance(value, bool):
            return False
    return True
