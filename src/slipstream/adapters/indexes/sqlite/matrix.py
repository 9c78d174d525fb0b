"""The vectors of one space in memory, as codes; searched exactly, with the vectors on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.adapters.indexes.sqlite.coding import Block, CodedRows, VectorCodes, coded, sound_rows
from slipstream.adapters.indexes.sqlite.scanning import products
from slipstream.domain.stamps import MetadataValue, SearchFilter, Vector

MatrixRow = tuple[int, str, int, bytes]
"""Record id, entity type, schema version, vector."""
ReadVectors = Callable[[Sequence[int]], Iterable[tuple[int, bytes]]]
"""Returns the stored vectors of records by id; missing ones are left out."""
Metadata = Mapping[int, Mapping[str, MetadataValue]]
"""The metadata for filters, by record id."""

_CAPACITY_MIN = 64
_RESCORED_MIN = 32
"""How many of the best are read at first; their k-th score says which others may still be among the first k."""
_RESCORED_AT_ONCE = 1024
_DEAD = -1
"""The type of a removed row."""
_COLUMNS = ("_ids", "_types", "_versions", "_scales", "_errors", "_codes")

Slots = npt.NDArray[np.intp]
Bounds = npt.NDArray[np.float32]


class SpaceMatrix:
    """
    Int8 codes of vectors and the columns that filters look at, in the order of the record ids.

    A quarter of the vectors' size. The distance of each code from its vector is known, so a scan of the codes bounds
    each score; rows that may be among the first are read and scored exactly. The answer is provably that of a scan of
    the vectors (docs/adr/0031). Damaged vectors (wrong length, not of unit length, NaN) are left out: they must not
    win a search, and the audit finds them. A removed row stays, dead, until half of the rows are. Not safe for
    threads: its owner holds a lock.
    """

    def __init__(self, dimension: int, capacity: int = 0) -> None:
        self.dimension = dimension
        self._size, self._dead = 0, 0
        self._error_max = 0.0
        """No row is further from its vector."""
        self._type_codes: dict[str, int] = {}
        capacity = max(capacity, _CAPACITY_MIN)
        self._ids: npt.NDArray[np.int64] = np.empty(capacity, np.int64)
        self._types: npt.NDArray[np.int32] = np.empty(capacity, np.int32)
        self._versions: npt.NDArray[np.int64] = np.empty(capacity, np.int64)
        self._scales: npt.NDArray[np.float32] = np.empty(capacity, np.float32)
        self._errors: npt.NDArray[np.float32] = np.empty(capacity, np.float32)
        self._codes: npt.NDArray[np.int8] = np.empty((capacity, dimension), np.int8)

    def __len__(self) -> int:
        return self._size - self._dead

    # ------------------------------------------------------------------ rows

    def put(self, rows: Iterable[MatrixRow]) -> None:
        """Add or replace rows with distinct ids; a damaged row removes the one that was there."""
        ordered = sorted(rows)
        whole = [row for row in ordered if len(row[3]) == self.dimension * 4]
        block = _block([row[3] for row in whole], self.dimension)
        sound = sound_rows(block)
        kept = [row for row, is_sound in zip(whole, sound, strict=True) if is_sound]
        if len(kept) < len(ordered):
            self.drop({row[0] for row in ordered} - {row[0] for row in kept})
        ids, versions = (np.array([row[column] for row in kept], np.int64) for column in (0, 2))
        names = [row[1] for row in kept]
        self.put_coded(CodedRows(ids, names, np.arange(len(kept), dtype=np.int32), versions, coded(block[sound])))

    def put_coded(self, rows: CodedRows) -> None:
        """Add or replace rows that are coded already."""
        slots = self._placed(rows.ids)
        types = [self._type_codes.setdefault(name, len(self._type_codes)) for name in rows.names]
        self._types[slots] = np.array(types, np.int32)[rows.types]
        self._versions[slots] = rows.versions
        self._set_codes(slots, rows.rows)
        self._count_dead()

    def _set_codes(self, slots: Slots, rows: VectorCodes) -> None:
        self._codes[slots], self._scales[slots], self._errors[slots] = rows
        self._error_max = max(self._error_max, float(rows.errors.max(initial=0.0)))

    def drop(self, records: Iterable[int]) -> None:
        """Remove rows by record id; unknown ids are no error."""
        slots = self._slots(np.array(list(records), np.int64))
        self._types[slots[slots >= 0]] = _DEAD
        self._count_dead()
        if self._dead * 2 > self._size > _CAPACITY_MIN:
            self._arrange(np.flatnonzero(self._types[: self._size] != _DEAD))
            self._dead = 0

    def _count_dead(self) -> None:
        self._dead = int(np.count_nonzero(self._types[: self._size] == _DEAD))

    def _slots(self, ids: npt.NDArray[np.int64]) -> Slots:
        """Return the slots of ids, -1 for unknown ones."""
        held = self._ids[: self._size]
        if not len(held):
            return np.full(len(ids), -1, np.intp)
        places = np.minimum(np.searchsorted(held, ids), len(held) - 1)
        return np.where(held[places] == ids, places, -1)

    def _placed(self, ids: npt.NDArray[np.int64]) -> Slots:
        """Return the slots of ids, adding new ones."""
        slots = self._slots(ids)
        new = ids[slots < 0]
        if not len(new):
            return slots
        last = self._ids[self._size - 1] if self._size else None
        self._reserve(self._size + len(new))
        self._ids[self._size : self._size + len(new)] = new
        self._types[self._size : self._size + len(new)] = _DEAD
        self._size += len(new)
        if last is not None and new[0] < last:  # rare: SQLite gives out ascending ids
            self._arrange(np.argsort(self._ids[: self._size], kind="stable"))
        return self._slots(ids)

    def _arrange(self, order: Slots) -> None:
        """Keep these rows, in this order."""
        for name in _COLUMNS:
            column = getattr(self, name)
            column[: len(order)] = column[order]
        self._size = len(order)

    def _reserve(self, count: int) -> None:
        capacity = len(self._ids)
        if count > capacity:
            capacity = max(count, capacity + capacity // 2)
            for name in _COLUMNS:
                setattr(self, name, _grown(getattr(self, name), capacity, self._size))

    # ------------------------------------------------------------------ search

    def nearest(
        self, query: Vector, k: int, where: SearchFilter, read: ReadVectors, metadata: Metadata | None = None
    ) -> list[tuple[int, float]]:
        """
        Return record ids and scores of the `k` best rows, and of all that tie with the last of them, in any order.

        Scores are float64 products, computed row by row, so that equal vectors get equal scores wherever they lie.
        `metadata` is needed when the filter asks for some.
        """
        while True:
            slots, lowest, highest = self._candidates(query, k, where, metadata)
            taken, scores = self._rescored(slots, highest, query, k, read)
            slots = slots[taken]
            wrong = ~((scores >= lowest[taken]) & (scores <= highest[taken]))  # also for rows that are gone
            if not wrong.any():
                break
            self._mend(slots[wrong], read)
        scores = scores.clip(-1.0, 1.0)
        reached = np.flatnonzero(scores >= _kth(scores, k))
        return list(zip(self._ids[slots[reached]].tolist(), scores[reached].tolist(), strict=True))

    def _candidates(
        self, query: Vector, k: int, where: SearchFilter, metadata: Metadata | None
    ) -> tuple[Slots, Bounds, Bounds]:
        """
        Return the rows that can be among the first `k`, and lower and upper bounds of their scores.

        For a row v = s·c + e and a query q = t·d + f the score is s·t·(c·d) + s·(c·f) + e·q; the last two terms are
        at most |s·c|·|f| and |e|·|q|. With the exact query instead of its code, only the last term is unknown.

        There are few passes over all rows, and the first one uses the largest error of all as its bound: numpy
        releases Python's lock in each pass, and beside a busy engine it may take milliseconds to get it back.
        """
        slots = self._chosen(where, metadata)
        codes, scales = self._codes[: self._size], self._scales[: self._size]
        if slots is not None and len(slots) * 4 < self._size:
            codes, scales = codes[slots], scales[slots]
        whole = coded(query[np.newaxis])
        lost, scale = float(whole.errors[0]), float(whole.scales[0])
        scores = products(whole.codes[0], codes)
        scores *= scales  # still without the query's scale
        if slots is not None and len(slots) != len(scores):
            scores = scores[slots]
        most = self._error_max * (1.01 + lost) + 1.01 * lost + self._rounding
        reached = np.flatnonzero(scores >= (_kth(scores, k, scale, most) - most) / scale)
        scores, slots = scores[reached] * np.float32(scale), reached if slots is None else slots[reached]
        slack = self._errors[slots] * np.float32(1.01 + lost) + np.float32(1.01 * lost + self._rounding)
        slots = slots[np.flatnonzero(scores + slack >= _kth(scores - slack, k))]
        rows = self._codes[slots].astype(np.float32)
        scores = np.einsum("ij,j->i", rows, query) * self._scales[slots]
        slack = self._errors[slots] * np.float32(1.01) + np.float32(self._rounding)
        reached = np.flatnonzero(scores + slack >= _kth(scores - slack, k))
        return slots[reached], (scores - slack)[reached], (scores + slack)[reached]

    @property
    def _rounding(self) -> float:
        """A generous bound of the rounding error of a float32 product of unit vectors."""
        return 2 * self.dimension * float(np.finfo(np.float32).eps)

    def _rescored(
        self, slots: Slots, highest: Bounds, query: Vector, k: int, read: ReadVectors
    ) -> tuple[Slots, npt.NDArray[np.float64]]:
        """Score exactly the candidates whose upper bound reaches the k-th score; return their places and scores."""
        order = np.argsort(-highest)
        first = order[: max(2 * k, _RESCORED_MIN)]
        scores = self._exact(slots[first], query, read)
        rest = order[len(first) :]
        rest = rest[highest[rest] >= _kth(scores, k)]
        if not len(rest):
            return first, scores
        return np.concatenate([first, rest]), np.concatenate([scores, self._exact(slots[rest], query, read)])

    def _exact(self, slots: Slots, query: Vector, read: ReadVectors) -> npt.NDArray[np.float64]:
        """Return the exact scores of the stored vectors; -inf for one that is missing or damaged."""
        records = self._ids[slots].tolist()
        stored, places = self._stored(records, read)
        scores = np.full(len(records), -np.inf)
        wide = query.astype(np.float64)
        for start in range(0, len(places), _RESCORED_AT_ONCE):
            rows = stored[start : start + _RESCORED_AT_ONCE].astype(np.float64)
            scores[places[start : start + _RESCORED_AT_ONCE]] = (rows * wide).sum(axis=1)
        return scores

    def _stored(self, records: Sequence[int], read: ReadVectors) -> tuple[Block, Slots]:
        """Return the sound stored vectors, and their places in `records`."""
        blobs = dict(read(records)) if records else {}
        size = self.dimension * 4
        places = [at for at, record in enumerate(records) if len(blobs.get(record, b"")) == size]
        block = _block([blobs[records[at]] for at in places], self.dimension)
        sound = sound_rows(block)
        return block[sound], np.array(places, np.intp)[sound]

    def _mend(self, slots: Slots, read: ReadVectors) -> None:
        """Code rows anew that differ from what is stored, because somebody wrote without noting a change."""
        stored, places = self._stored(self._ids[slots].tolist(), read)
        self._set_codes(slots[places], coded(stored))
        self._types[np.delete(slots, places)] = _DEAD
        self._count_dead()

    def _chosen(self, where: SearchFilter, metadata: Metadata | None) -> Slots | None:
        """Return the rows that pass the filter; None means all."""
        types, conditions = self._types[: self._size], list[npt.NDArray[np.bool_]]()
        if where.entity_types is not None:
            codes = [self._type_codes[name] for name in where.entity_types if name in self._type_codes]
            conditions.append(types == codes[0] if len(codes) == 1 else np.isin(types, codes))
        elif self._dead:
            conditions.append(types != _DEAD)
        if where.schema_version_min is not None:
            conditions.append(self._versions[: self._size] >= where.schema_version_min)
        if where.metadata:
            wanted = list(where.metadata.items())
            passed = [record for record, held in (metadata or {}).items() if _has(held, wanted)]
            conditions.append(np.isin(self._ids[: self._size], passed))
        return np.flatnonzero(np.logical_and.reduce(conditions)) if conditions else None


def kept_metadata(text: str | None) -> Mapping[str, MetadataValue] | None:
    """Return a record's metadata for filters; None when there is none, or it can not be read."""
    try:
        found = None if text is None else json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _kth(scores: npt.NDArray[Any], k: int, scale: float = 1.0, slack: float = 0.0) -> float:
    """
    Return the k-th best score, scaled and less some slack; -inf when every row reaches it.

    Clipped as scores are: beyond -1 and 1 all are equal.
    """
    if len(scores) <= k:
        return -np.inf
    kth = float(np.partition(scores, len(scores) - k)[len(scores) - k]) * scale - slack
    return min(kth, 1.0) if kth > -1.0 else -np.inf


def _block(blobs: Sequence[bytes], dimension: int) -> Block:
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), dimension)


def _grown(array: npt.NDArray[Any], capacity: int, used: int) -> npt.NDArray[Any]:
    grown = np.empty((capacity, *array.shape[1:]), array.dtype)
    grown[:used] = array[:used]
    return grown


def _has(metadata: Mapping[str, MetadataValue], wanted: Sequence[tuple[str, MetadataValue]]) -> bool:
    """Compare metadata values; a boolean never equals a number."""
    for name, value in wanted:
        held = metadata.get(name)
        if held != value or isinstance(held, bool) is not isinstance(value, bool):
            return False
    return True
