"""
The index and the journal in memory: the reference that durable adapters are compared with, and the simulator's own.

Deterministic and plain rather than fast. Nothing survives the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from slipstream.domain.elapsed import left_s
from slipstream.domain.errors import UnavailableError
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
    checked_query,
    checked_vector,
    still_needing,
)
from slipstream.domain.work import DeadLetter, Lane, LetterSize, WorkItem, merged_lane
from slipstream.ports.index import IndexCapabilities
from slipstream.ports.journal import DELAY_S_MAX


class MemoryIndex:
    """A `VectorIndex` in dictionaries, searched by brute force. Safe for threads: one lock around everything."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._records: dict[RecordKey, dict[Space, VectorRecord]] = {}
        self._tombstones: dict[RecordKey, Position] = {}
        self._closed = False

    @property
    def capabilities(self) -> IndexCapabilities:
        """Exact, and gone with the process."""
        return IndexCapabilities(exact=True, durable=False, system="memory")

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise UnavailableError("the in-memory index is closed; make a new one")
            yield

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write records, checking all of them first; returns the fenced keys."""
        with self._open():
            checked = [_kept(record) for record in records]
            accepted = [self._upsert(record) for record in checked]
            for record, is_accepted in zip(checked, accepted, strict=True):
                if is_accepted:  # after the whole batch: a record that revives its key must not let an older one in
                    self._tombstones.pop(record.stamp.key, None)
            return [r.stamp.key for r, is_accepted in zip(checked, accepted, strict=True) if not is_accepted]

    def _upsert(self, record: VectorRecord) -> bool:
        stamp = record.stamp
        spaces = self._records.get(stamp.key, {})
        stored = spaces.get(stamp.space)
        fence = self._tombstones.get(stamp.key, stamp.position)
        if stamp.position < fence or (stored is not None and stamp.position < stored.stamp.position):
            return False
        self._records.setdefault(stamp.key, spaces)[stamp.space] = record
        return True

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Remove keys, in the order given; returns the fenced keys."""
        with self._open():
            fenced = [deletion.key for deletion in deletions if not self._delete(deletion)]
            return list(dict.fromkeys(fenced))

    def _delete(self, deletion: Deletion) -> bool:
        key, position = deletion.key, deletion.position
        spaces = self._records.get(key, {})
        aimed = [space for space in spaces if deletion.space in (None, space)]
        for space in aimed:
            if spaces[space].stamp.position <= position:
                del spaces[space]
        if not spaces:
            self._records.pop(key, None)
        if any(space in spaces for space in aimed):
            return False
        if deletion.space is None:
            self._tombstones[key] = max(position, self._tombstones.get(key, position))
        return True

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Replace stamps where the same vector is stored at a position that is not newer."""
        with self._open():
            for stamp in stamps:
                stored = self._records.get(stamp.key, {}).get(stamp.space)
                if stored is None or stored.stamp.position > stamp.position:
                    continue
                if (stored.stamp.fingerprint, stored.stamp.checksum) == (stamp.fingerprint, stamp.checksum):
                    kept = still_needing(stored.stamp, _in_utc(stamp))
                    self._records[stamp.key][stamp.space] = VectorRecord(kept, stored.vector)

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Return what is held of the keys, the records of each ordered by space."""
        with self._open():
            held = {key: KeyStamps(self._stamps_of(key), self._tombstones.get(key)) for key in dict.fromkeys(keys)}
            return {key: stamps for key, stamps in held.items() if stamps.records or stamps.tombstone is not None}

    def _stamps_of(self, key: RecordKey) -> tuple[Stamp, ...]:
        return tuple(
            record.stamp for _, record in sorted(self._records.get(key, {}).items(), key=lambda item: item[0])
        )

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """Return stamps in the order of (key, space), the last key whole."""
        bound = None if after is None else after.encode()
        found: list[Stamp] = []
        with self._open():
            for text, key in sorted((key.encode(), key) for key in self._records):
                if len(found) >= limit:
                    break
                if bound is None or text > bound:
                    found.extend(self._stamps_of(key))
        return found

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """Return copies of the stored vectors."""
        with self._open():
            held = {key: self._records.get(key, {}).get(space) for key in keys}
            return {key: record.vector.copy() for key, record in held.items() if record is not None}

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """Score every record of the space that the filter lets through."""
        query = checked_query(vector, space.dimension).astype(np.float64)
        with self._open():
            pool = [spaces[space] for spaces in self._records.values() if space in spaces]
        hits = [
            VectorHit(record.stamp, float(np.clip((record.vector.astype(np.float64) * query).sum(), -1.0, 1.0)))
            for record in pool
            if where.admits(record.stamp)
        ]
        hits.sort(key=lambda hit: (-hit.score, hit.stamp.key.encode()))
        return hits[: max(k, 0)]

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        """Return keys whose tombstone is newer than a position, in key order."""
        with self._open():
            newer = {key.encode(): key for key, position in self._tombstones.items() if position > past}
            bound = "" if after is None else after.encode()
            return [newer[text] for text in sorted(newer) if text > bound][: max(limit, 0)]

    def vacuum(self, through: Position) -> int:
        """Forget tombstones up to and including the position; returns how many."""
        with self._open():
            gone = [key for key, position in self._tombstones.items() if position <= through]
            for key in gone:
                del self._tombstones[key]
            return len(gone)

    def close(self) -> None:
        """Forget everything; closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._records.clear()
            self._tombstones.clear()


def _kept(record: VectorRecord) -> VectorRecord:
    """Return the record as it is stored: checked, and sharing nothing with the caller."""
    vector = checked_vector(record.vector, record.stamp.space.dimension).copy()
    return VectorRecord(_in_utc(record.stamp), vector)


def _in_utc(stamp: Stamp) -> Stamp:
    validated = stamp.last_validated
    return stamp._replace(
        created_at=stamp.created_at.astimezone(UTC),
        last_validated=None if validated is None else validated.astimezone(UTC),
        metadata=dict(stamp.metadata),
    )


@dataclass(slots=True)
class _JournalState:
    """All that a journal holds; a transaction keeps a copy to go back to."""

    values: dict[str, str] = field(default_factory=dict)
    work: dict[RecordKey, WorkItem] = field(default_factory=dict)
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    messages: dict[int, tuple[str, str, datetime | None]] = field(default_factory=dict)
    last_message: int = 0

    def copy(self) -> _JournalState:
        return _JournalState(
            dict(self.values), dict(self.work), dict(self.letters), dict(self.messages), self.last_message
        )


class MemoryJournal:
    """A `Journal`, `DeadLetters` and `MessageStore` in dictionaries; a failed transaction restores a copy."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._state = _JournalState()
        self._closed = False

    @contextmanager
    def _open(self) -> Iterator[_JournalState]:
        with self._lock:
            if self._closed:
                raise UnavailableError("the in-memory journal is closed; make a new one")
            yield self._state

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock for the whole block; an exception, of whatever kind, takes back what the block did."""
        with self._open() as state:
            before = state.copy()
            try:
                yield
            except BaseException:
                self._state = before
                raise

    def get(self, name: str) -> str | None:
        """Return a named value."""
        with self._open() as state:
            return state.values.get(name)

    def set(self, name: str, value: str | None) -> None:
        """Set or remove a named value."""
        with self._open() as state:
            if value is None:
                state.values.pop(name, None)
            else:
                state.values[name] = value

    def put_work(self, items: Sequence[WorkItem]) -> None:
        """Add work items, merged with the ones that are there."""
        with self._open() as state:
            for item in items:
                state.work[item.key] = _merged(state.work.get(item.key), item)

    def remove_work(self, keys: Sequence[RecordKey]) -> None:
        """Forget work items."""
        with self._open() as state:
            for key in keys:
                state.work.pop(key, None)

    def work(self, after: WorkItem | None, limit: int, lane: Lane | None = None) -> Sequence[WorkItem]:
        """Return work items, the most urgent first."""
        with self._open() as state:
            found = [item for item in state.work.values() if lane in (None, item.lane)]
        found.sort(key=lambda item: item.order)
        return [item for item in found if after is None or item.order > after.order][:limit]

    def work_count(self, lane: Lane | None = None) -> int:
        """Count work items."""
        with self._open() as state:
            return sum(1 for item in state.work.values() if lane in (None, item.lane))

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters, by id."""
        with self._open() as state:
            state.letters.update((letter.id, letter) for letter in letters)

    def letters(self, after: str | None, limit: int) -> Sequence[DeadLetter]:
        """Return letters by id."""
        with self._open() as state:
            return [state.letters[i] for i in sorted(state.letters) if after is None or i > after][:limit]

    def find(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        """Return the letters with these ids."""
        with self._open() as state:
            return [state.letters[i] for i in sorted(set(ids)) if i in state.letters]

    def remove(self, ids: Sequence[str]) -> int:
        """Forget letters by id."""
        with self._open() as state:
            return sum(1 for i in ids if state.letters.pop(i, None) is not None)

    def remove_keys(self, keys: Sequence[RecordKey]) -> int:
        """Forget the letters of these keys."""
        wanted = set(keys)
        with self._open() as state:
            return self.remove([letter.id for letter in state.letters.values() if letter.key in wanted])

    def letter_count(self) -> int:
        """Count letters."""
        with self._open() as state:
            return len(state.letters)

    def refused_size(self) -> LetterSize:
        """Add up the letters without a key."""
        with self._open() as state:
            texts = [letter.error + (letter.payload or "") for letter in state.letters.values() if letter.key is None]
        return LetterSize(len(texts), sum(len(text.encode("utf-8", "surrogatepass")) for text in texts))

    def append(self, topic: str, payloads: Sequence[str], due_at: datetime | None = None) -> Sequence[int]:
        """Append messages; their ids are never given out again."""
        with self._open() as state:
            first = state.last_message + 1
            state.last_message += len(payloads)
            ids = range(first, state.last_message + 1)
            state.messages.update((i, (topic, payload, due_at)) for i, payload in zip(ids, payloads, strict=True))
            return list(ids)

    def pending(self, topic: str, after: int, limit: int, due_by: datetime) -> Sequence[tuple[int, str]]:
        """Return due messages by id."""
        with self._open() as state:
            due = [
                (i, payload)
                for i, (of, payload, due_at) in sorted(state.messages.items())
                if of == topic and i > after and left_s(due_at, due_by, DELAY_S_MAX) <= 0
            ]
            return due[:limit]

    def acknowledge(self, topic: str, ids: Sequence[int]) -> None:
        """Forget messages of the topic."""
        with self._open() as state:
            for i in ids:
                if i in state.messages and state.messages[i][0] == topic:
                    del state.messages[i]

    def depth(self, topic: str) -> int:
        """Count messages of the topic."""
        with self._open() as state:
            return sum(1 for of, _, _ in state.messages.values() if of == topic)

    def size_bytes(self, topic: str) -> int:
        """Add up the messages of the topic."""
        with self._open() as state:
            texts = [payload for of, payload, _ in state.messages.values() if of == topic]
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)

    def close(self) -> None:
        """Forget everything; closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._state = _JournalState()


def _merged(held: WorkItem | None, item: WorkItem) -> WorkItem:
    if held is None:
        return item
    positions = [position for position in (held.position, item.position) if position is not None]
    return replace(
        item,
        position=min(positions, default=None),
        lane=merged_lane(held.lane, item.lane, is_behind=bool(positions)),
        force=held.force or item.force,
        priority=max(held.priority, item.priority),
    )
