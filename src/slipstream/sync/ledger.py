"""
The ledger: which keys are dirty, which are in flight, and what that means for checkpoint and frontier.

Pure bookkeeping in memory, one entry a key (coalescing). It is not durable and need not be: what is in it came
from the log behind the checkpoint, or has a work item in the journal.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane, merged_lane


class Claim(NamedTuple):
    """A key taken for processing. It is not given out again until it is settled, released or deferred."""

    key: RecordKey
    lane: Lane
    position: Position | None
    attempts: int
    force: bool
    durable: bool
    committed_at: datetime | None


class Settled(NamedTuple):
    """Keys that a write makes clean, and those of them that have a work item in the journal."""

    clean: list[RecordKey]
    durable: list[RecordKey]


def retry_lane(lane: Lane) -> Lane:
    """Return where a failed key waits: a migration is in no hurry, and must not fail in the way of what is."""
    return lane if lane is Lane.MIGRATION else Lane.RETRY


@dataclass(slots=True, eq=False)
class _Entry:
    key: RecordKey
    lane: Lane
    first: Position | None = None
    """Oldest mutation that the index does not reflect; None for a mark that no commit asked for."""
    last: Position | None = None
    committed_at: datetime | None = None
    attempts: int = 0
    due: float = 0.0
    force: bool = False
    durable: bool = False
    kept: Position | None = None
    """Position of its work item in the journal: what was dirtied before that is not covered by it."""
    in_flight: bool = False
    again: bool = False
    """Marked, without a position, while in flight."""
    queued: bool = False

    @property
    def is_covered(self) -> bool:
        """Whether the journal remembers all of it, so that the log is not needed for it any more."""
        return self.durable and self.kept is not None and self.first is not None and self.kept <= self.first


class _Watermark:
    """The smallest `first` over entries, kept in a heap whose outdated items are dropped when they surface."""

    def __init__(self) -> None:
        self._heap: list[tuple[Position, int, _Entry]] = []
        self._count = 0

    def push(self, entry: _Entry) -> None:
        if entry.first is not None:
            self._count += 1
            heapq.heappush(self._heap, (entry.first, self._count, entry))

    def floor(self, alive: dict[RecordKey, _Entry], *, durable_too: bool) -> _Entry | None:
        while self._heap:
            position, _, entry = self._heap[0]
            current = alive.get(entry.key) is entry and entry.first == position
            if current and (durable_too or not entry.is_covered):
                return entry
            heapq.heappop(self._heap)
        return None


class DirtyLedger:
    """Dirty keys by lane. Not thread-safe: the engine guards it with its lock."""

    def __init__(self) -> None:
        self._entries: dict[RecordKey, _Entry] = {}
        self._queues: dict[Lane, deque[_Entry]] = {lane: deque() for lane in Lane}
        self._delayed: list[tuple[float, int, _Entry]] = []
        self._delays = 0
        self._all = _Watermark()
        self._volatile = _Watermark()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: RecordKey) -> bool:
        return key in self._entries

    @property
    def in_flight(self) -> int:
        """How many keys are claimed."""
        return sum(1 for entry in self._entries.values() if entry.in_flight)

    def counts(self) -> dict[Lane, int]:
        """Return how many keys are dirty, by lane."""
        counts = dict.fromkeys(Lane, 0)
        for entry in self._entries.values():
            counts[entry.lane] += 1
        return counts

    def is_dirty(self, key: RecordKey, *, migration: bool = True) -> bool:
        """Whether a key is dirty; without `migration` one counts for clean that only the migration lane waits for."""
        entry = self._entries.get(key)
        return entry is not None and (migration or entry.lane is not Lane.MIGRATION)

    def keys_in(self, lane: Lane) -> list[RecordKey]:
        """Return the dirty keys of a lane."""
        return [entry.key for entry in self._entries.values() if entry.lane is lane]

    def mark(
        self,
        key: RecordKey,
        lane: Lane,
        position: Position | None = None,
        *,
        committed_at: datetime | None = None,
        force: bool = False,
        durable: bool = False,
        attempts: int = 0,
        due: float = 0.0,
    ) -> None:
        """Mark a key dirty; a key that is dirty already is merged, one in flight will run once more."""
        entry = self._entries.get(key)
        if entry is None:
            entry = _Entry(key, lane, attempts=attempts, due=due)
            self._entries[key] = entry
        else:
            merged = merged_lane(entry.lane, lane, is_behind=position is not None or entry.first is not None)
            if merged is not entry.lane or (lane is Lane.LIVE and entry.due):
                # A live change is a fresh start: it may have cured what the retry waits for.
                entry.lane, entry.due, entry.queued, entry.attempts = merged, due, False, attempts
        if durable:
            entry.durable = True
            entry.kept = position if entry.kept is None else min(entry.kept, position or entry.kept)
        entry.force = entry.force or force
        if entry.in_flight and position is None:
            entry.again = True
        self._note_position(entry, position, committed_at)
        self._enqueue(entry)

    def _note_position(self, entry: _Entry, position: Position | None, committed_at: datetime | None) -> None:
        if position is None:
            return
        entry.last = position if entry.last is None else max(entry.last, position)
        if entry.first is None or position < entry.first:
            entry.first, entry.committed_at = position, committed_at
            self._watch(entry)

    def _enqueue(self, entry: _Entry) -> None:
        if entry.in_flight or entry.queued:
            return
        entry.queued = True
        if entry.due:
            self._delays += 1
            heapq.heappush(self._delayed, (entry.due, self._delays, entry))
        else:
            self._queues[entry.lane].append(entry)

    def take(self, limit: int, now: float, lanes: Sequence[Lane] = tuple(Lane)) -> list[Claim]:
        """Claim up to `limit` keys, the most urgent lane first, oldest first within a lane."""
        self._wake(now)
        claims: list[Claim] = []
        for lane in lanes:
            queue = self._queues[lane]
            while queue and len(claims) < limit:
                entry = queue.popleft()
                if self._entries.get(entry.key) is entry and entry.lane is lane and not entry.in_flight:
                    claims.append(self._claim(entry))
        return claims

    def _wake(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            due, _, entry = heapq.heappop(self._delayed)
            if self._entries.get(entry.key) is entry and entry.due == due and not entry.in_flight:
                entry.due = 0.0
                self._queues[entry.lane].append(entry)

    @staticmethod
    def _claim(entry: _Entry) -> Claim:
        entry.in_flight, entry.queued, entry.again = True, False, False
        return Claim(
            entry.key, entry.lane, entry.last, entry.attempts, entry.force, entry.durable, entry.committed_at
        )

    def ready(self, lane: Lane) -> bool:
        """Whether something waits in this lane."""
        return bool(self._queues[lane])

    def next_due(self) -> float | None:
        """Return when the next delayed key is due, on the monotonic clock."""
        return self._delayed[0][0] if self._delayed else None

    def settle(self, claims: Iterable[Claim], position: Position) -> Settled:
        """
        Take claims out of the watermarks: the index is about to reflect them as of `position`.

        Keys that were dirtied again meanwhile are not clean, and keep their work item, if they have one. Follow
        with `finish` when the write is durable, or with `restore` when it failed.
        """
        clean: list[RecordKey] = []
        durable: list[RecordKey] = []
        for claim in claims:
            entry = self._entries[claim.key]
            if entry.last is not None and entry.last > position:
                entry.first = Position(position + 1)
                self._watch(entry)
            else:
                entry.first = None
                if not entry.again:
                    clean.append(claim.key)
                    if entry.durable:
                        durable.append(claim.key)
        return Settled(clean, durable)

    def finish(self, claims: Iterable[Claim], position: Position) -> None:
        """Forget settled claims; keys that were dirtied meanwhile go back into their queue."""
        for claim in claims:
            entry = self._entries[claim.key]
            entry.in_flight = False
            if entry.again or (entry.last is not None and entry.last > position):
                entry.attempts, entry.force = 0, entry.again and entry.force
                self._enqueue(entry)
            else:
                del self._entries[claim.key]

    def restore(self, claims: Iterable[Claim], firsts: dict[RecordKey, Position | None]) -> None:
        """Undo `settle`: the write failed. `firsts` is what the method of that name returned before it."""
        for claim in claims:
            entry = self._entries[claim.key]
            entry.first = firsts[claim.key]
            self._watch(entry)

    def firsts(self, claims: Iterable[Claim]) -> dict[RecordKey, Position | None]:
        """Return the oldest unreflected position of each claim."""
        return {claim.key: self._entries[claim.key].first for claim in claims}

    def release(self, claims: Iterable[Claim]) -> None:
        """Give claims back as they were: nothing happened, and it was not their fault."""
        for claim in claims:
            entry = self._entries[claim.key]
            entry.in_flight = False
            self._enqueue(entry)

    def defer(self, claim: Claim, attempts: int, due: float, kept: Position | None) -> None:
        """Put a failed key off until `due`; its work item is in the journal, so the checkpoint may pass `kept`."""
        entry = self._entries[claim.key]
        entry.in_flight, entry.durable, entry.attempts = False, True, attempts
        entry.kept = kept if entry.kept is None else min(entry.kept, kept or entry.kept)
        if entry.last == claim.position and not entry.again:
            entry.lane, entry.due = retry_lane(claim.lane), due
        self._enqueue(entry)

    def drop(self, claim: Claim) -> None:
        """Forget a key that became a dead letter; one that was dirtied meanwhile stays, as new."""
        entry = self._entries.pop(claim.key)
        if entry.last != claim.position or entry.again:
            self.mark(claim.key, Lane.LIVE, entry.last, committed_at=entry.committed_at)

    def _watch(self, entry: _Entry) -> None:
        self._all.push(entry)
        self._volatile.push(entry)

    def frontier_floor(self) -> Position | None:
        """Return the oldest mutation that the index does not reflect; None when there is none."""
        entry = self._all.floor(self._entries, durable_too=True)
        return entry.first if entry else None

    def checkpoint_floor(self) -> Position | None:
        """Return the same over keys without a work item in the journal: the log is still needed from there."""
        entry = self._volatile.floor(self._entries, durable_too=False)
        return entry.first if entry else None

    def owes(self, key: RecordKey, position: Position) -> bool:
        """Whether a mutation of the key, up to the position, is not reflected by the index."""
        entry = self._entries.get(key)
        return entry is not None and entry.first is not None and entry.first <= position

    def oldest_commit(self) -> datetime | None:
        """Return when the oldest unreflected mutation was committed."""
        entry = self._all.floor(self._entries, durable_too=True)
        return entry.committed_at if entry else None
