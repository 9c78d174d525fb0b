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
from itertools import islice
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.work import Claim, Lane, WorkItem, merged_lane

REFLECTED_MAX = 65_536
"""How many keys are remembered (13 MB with short ids) while the engine catches up."""


class Reflected:
    """
    The positions as of which keys were read, and the index made equal to them.

    A text holds all that was committed before it was read. So while the engine catches up, a log entry asks for
    nothing when its key was read at a later position: of a graph that was loaded at once each entity is read once,
    not again for each of its relationships. Losing a position costs one more comparison.
    """

    def __init__(self) -> None:
        self._positions: dict[RecordKey, Position] = {}
        self._newest = ORIGIN

    def __len__(self) -> int:
        return len(self._positions)

    def note(self, key: RecordKey, position: Position) -> None:
        """Remember that the index reflects a key as of a position, durably."""
        # The first keys stay, not the last: the log's next entries are about those that it has told of first.
        if key in self._positions or len(self._positions) < REFLECTED_MAX:
            self._positions[key] = position
            self._newest = max(self._newest, position)

    def forget(self, keys: Iterable[RecordKey]) -> None:
        """Forget keys that somebody else has written."""
        for key in keys:
            self._positions.pop(key, None)

    def covers(self, key: RecordKey, position: Position) -> bool:
        """Whether the index reflects what was committed of a key at a position; positions are asked for in order."""
        if position > self._newest:
            self._positions.clear()  # the log is past all of them: none can cover an entry any more
            return False
        return self._positions.get(key, ORIGIN) >= position


class _Before(NamedTuple):
    first: Position | None
    durable: bool
    kept: Position | None


class Settled(NamedTuple):
    """What a write makes of its claims."""

    clean: list[RecordKey]
    """Keys of which nothing is owed any more."""
    durable: list[RecordKey]
    """The clean keys that have a work item in the journal."""
    renewed: list[WorkItem]
    """New work items of keys that were dirtied meanwhile, with no more than is still owed: the kept ones say more."""
    before: dict[RecordKey, _Before]

    @property
    def firsts(self) -> dict[RecordKey, Position | None]:
        """The oldest mutation of each claim that the index does not reflect before the write."""
        return {key: before.first for key, before in self.before.items()}


def retry_lane(lane: Lane) -> Lane:
    """Return the lane that a failed key waits in: a migration's stays out of the way of urgent keys."""
    return lane if lane is Lane.MIGRATION else Lane.RETRY


@dataclass(slots=True, eq=False)
class _Entry:
    key: RecordKey
    lane: Lane
    first: Position | None = None
    """Oldest mutation that the index does not reflect; None for a mark that no commit asked for."""
    last: Position | None = None
    committed_s: float | None = None
    attempts: int = 0
    due: float = 0.0
    force: bool = False
    durable: bool = False
    kept: Position | None = None
    """Position of its work item in the journal, which does not cover older mutations."""
    in_flight: bool = False
    again: bool = False
    """Marked, without a position, while in flight."""
    overtaken: bool = False
    """Written by somebody else while in flight, so that what was read for it may be out of date."""
    queued: bool = False
    held: str | None = None
    """The model that it waits for."""

    @property
    def is_covered(self) -> bool:
        """Whether the journal remembers all of it, so that the log is not needed for it any more."""
        return self.durable and self.kept is not None and self.first is not None and self.kept <= self.first


def _renewed(entry: _Entry) -> WorkItem:
    """Return the work item of an entry that was dirtied while it was in flight, with no more than is still owed."""
    force = entry.again and entry.force
    return WorkItem(entry.key, entry.lane, entry.first, reason="changed meanwhile", force=force)


class _Watermark:
    """The smallest `first` over entries, kept in a heap whose outdated items are dropped when they surface."""

    def __init__(self) -> None:
        self._heap: list[tuple[Position, int, _Entry]] = []

    def push(self, item: tuple[Position, int, _Entry]) -> None:
        heapq.heappush(self._heap, item)

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
        self._held: dict[str, dict[RecordKey, _Entry]] = {}
        self._watched = 0
        self._all = _Watermark()
        self._volatile = _Watermark()
        self._reflected = Reflected()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: RecordKey) -> bool:
        return key in self._entries

    @property
    def in_flight(self) -> int:
        """How many keys are claimed."""
        return sum(1 for entry in self._entries.values() if entry.in_flight)

    def counts(self, *, volatile_only: bool = False) -> dict[Lane, int]:
        """Return how many keys are dirty, by lane; with `volatile_only` those that have no work item."""
        counts = dict.fromkeys(Lane, 0)
        for entry in self._entries.values():
            counts[entry.lane] += not (volatile_only and entry.durable)
        return counts

    def is_dirty(self, key: RecordKey, *, migration: bool = True) -> bool:
        """Whether a key is dirty; without `migration` keys of the migration lane count as clean."""
        entry = self._entries.get(key)
        return entry is not None and (migration or entry.lane is not Lane.MIGRATION)

    def waits(self, key: RecordKey) -> tuple[Lane, bool] | None:
        """Return the lane of a dirty key and whether it is embedded whatever its text is; None for a clean one."""
        entry = self._entries.get(key)
        return None if entry is None else (entry.lane, entry.force)

    def keys_in(self, lane: Lane) -> list[RecordKey]:
        """Return the dirty keys of a lane."""
        return [entry.key for entry in self._entries.values() if entry.lane is lane]

    def mark_change(self, key: RecordKey, position: Position, committed_s: float) -> None:
        """Mark a key dirty for a log entry, unless the index reflects it already; call it in the log's order."""
        if self._reflected.covers(key, position):
            return
        entry = self._entries.get(key)
        if entry is None:  # as `mark` would, in a third of the time: nearly all marks are such
            entry = self._entries[key] = _Entry(key, Lane.LIVE, position, position, committed_s, queued=True)
            self._watch(entry)
            self._queues[Lane.LIVE].append(entry)
        elif entry.queued and entry.lane is Lane.LIVE and not entry.due and entry.first and entry.first <= position:
            entry.last = max(position, entry.last or position)  # it waits for an older one already
        else:
            self.mark(key, Lane.LIVE, position, committed_s=committed_s)

    def mark(
        self,
        key: RecordKey,
        lane: Lane,
        position: Position | None = None,
        *,
        committed_s: float | None = None,
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
        self._note_position(entry, position, committed_s)
        self._enqueue(entry)

    def _note_position(self, entry: _Entry, position: Position | None, committed_s: float | None) -> None:
        if position is None:
            return
        entry.last = position if entry.last is None else max(entry.last, position)
        if entry.first is None or position < entry.first:
            entry.first, entry.committed_s = position, committed_s
            self._watch(entry)

    def _enqueue(self, entry: _Entry) -> None:
        if entry.in_flight or entry.queued:
            return
        if entry.held is not None:
            self._held[entry.held].pop(entry.key, None)
            entry.held = None
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
        entry.in_flight, entry.queued, entry.again, entry.overtaken = True, False, False, False
        return Claim(entry.key, entry.lane, entry.last, entry.attempts, entry.force, entry.durable, entry.committed_s)

    def ready(self, lane: Lane) -> bool:
        """Whether something waits in this lane."""
        return bool(self._queues[lane])

    def next_due(self) -> float | None:
        """Return when the next delayed key is due, on the monotonic clock."""
        return self._delayed[0][0] if self._delayed else None

    def settle(self, claims: Iterable[Claim], position: Position) -> Settled:
        """
        Take claims out of the watermarks: the index is about to reflect them as of `position`.

        Keys that were dirtied again meanwhile are not clean, and keep a work item, if they have one. Follow with
        `finish` when the write is durable, or with `restore` when it failed.
        """
        settled = Settled([], [], [], {})
        for claim in claims:
            entry = self._entries[claim.key]
            settled.before[claim.key] = _Before(entry.first, entry.durable, entry.kept)
            is_behind = entry.last is not None and entry.last > position
            # What is left lies behind `position`, and not before the oldest mutation that was known.
            entry.first = max(entry.first or ORIGIN, Position(position + 1)) if is_behind else None
            if is_behind or entry.again:
                if entry.durable:
                    entry.kept = entry.first
                    settled.renewed.append(_renewed(entry))
            else:
                settled.clean.append(claim.key)
                if entry.durable:
                    settled.durable.append(claim.key)
                # A mutation that dirties it while the write is under way has no work item.
                entry.durable, entry.kept = False, None
            self._watch(entry)
        return settled

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
                self._reflected.note(claim.key, position)

    def restore(self, claims: Iterable[Claim], settled: Settled) -> None:
        """Undo `settle` after a failed write; what the log has brought meanwhile stays."""
        for claim in claims:
            entry, before = self._entries[claim.key], settled.before[claim.key]
            firsts = [first for first in (before.first, entry.first) if first is not None]
            entry.first, entry.durable, entry.kept = min(firsts, default=None), before.durable, before.kept
            self._watch(entry)

    def first(self, claim: Claim) -> Position | None:
        """Return the oldest unreflected position of a claim."""
        return self._entries[claim.key].first

    def overtake(self, keys: Iterable[RecordKey]) -> None:
        """Note keys that somebody else has written."""
        keys = list(keys)
        self._reflected.forget(keys)
        for key in keys:
            if (entry := self._entries.get(key)) is not None:
                entry.overtaken = True

    def is_overtaken(self, claims: Iterable[Claim]) -> bool:
        """Whether one of the keys was written by somebody else since it was claimed."""
        return any(self._entries[claim.key].overtaken for claim in claims)

    def release(self, claims: Iterable[Claim]) -> None:
        """Give claims back as they were: nothing happened, and it was not their fault."""
        for claim in claims:
            entry = self._entries[claim.key]
            entry.in_flight = False
            self._enqueue(entry)

    def hold(self, claim: Claim, model_id: str) -> None:
        """Give a claim back that waits for a model: it is not given out until `free`, or until it is marked again."""
        entry = self._entries[claim.key]
        entry.in_flight = False
        if self.is_as_claimed(claim):
            entry.held = model_id
            self._held.setdefault(model_id, {})[entry.key] = entry
        else:
            self._enqueue(entry)  # dirtied meanwhile: it may not need this model any more

    def free(self, model_id: str, limit: int | None = None) -> None:
        """Let keys that wait for a model be taken again: all of them, or `limit`."""
        for entry in list(islice(self._held.get(model_id, {}).values(), limit)):
            self._enqueue(entry)

    def held(self) -> dict[str, int]:
        """Return how many keys wait for each model."""
        return {model_id: len(entries) for model_id, entries in self._held.items() if entries}

    def held_items(self, limit: int) -> list[WorkItem]:
        """Return work items of up to `limit` keys that wait for models."""
        entries = (entry for waiting in self._held.values() for entry in waiting.values())
        return [
            WorkItem(e.key, retry_lane(e.lane), e.first, e.attempts, reason="its model is down", force=e.force)
            for e in islice(entries, limit)
        ]

    def put_by(self, items: Iterable[WorkItem]) -> list[WorkItem]:
        """Forget held keys that the journal has now; returns their items. Keys that were taken meanwhile stay."""
        gone: list[WorkItem] = []
        for item in items:
            entry = self._entries.get(item.key)
            if entry is not None and entry.held is not None:
                self._held[entry.held].pop(entry.key)
                del self._entries[entry.key]
                gone.append(item)
            elif entry is not None:
                self.mark(item.key, item.lane, item.position, force=item.force, durable=True)
        return gone

    def free_floor(self) -> Position | None:
        """Return the oldest mutation that the index does not reflect, of the keys that wait for no model."""
        if not self.held():
            return self.frontier_floor()
        firsts = (entry.first for entry in self._entries.values() if entry.held is None)
        return min((first for first in firsts if first is not None), default=None)

    def defer(self, claim: Claim, attempts: int, due: float, kept: Position | None) -> None:
        """Put a failed key off until `due`; its work item is in the journal, so the checkpoint may pass `kept`."""
        entry = self._entries[claim.key]
        entry.in_flight, entry.durable, entry.attempts = False, True, attempts
        entry.kept = kept if entry.kept is None else min(entry.kept, kept or entry.kept)
        if self.is_as_claimed(claim):
            entry.lane, entry.due = retry_lane(claim.lane), due
        self._enqueue(entry)

    def is_as_claimed(self, claim: Claim) -> bool:
        """Whether nothing has dirtied the key since it was claimed."""
        entry = self._entries[claim.key]
        return entry.last == claim.position and not entry.again

    def refresh(self, claim: Claim) -> None:
        """Give a claim back as if it had never failed, because it was dirtied meanwhile."""
        self._entries[claim.key].attempts = 0
        self.release([claim])

    def drop(self, claim: Claim) -> None:
        """Forget a key that became a dead letter; one that was dirtied meanwhile stays, as new."""
        entry = self._entries.pop(claim.key)
        if entry.last != claim.position or entry.again:
            first = entry.first if claim.position is None else Position(claim.position + 1)
            for position in (first, entry.last):
                self.mark(claim.key, Lane.LIVE, position, committed_s=entry.committed_s)

    def _watch(self, entry: _Entry) -> None:
        if entry.first is not None:
            self._watched += 1
            item = (entry.first, self._watched, entry)
            self._all.push(item)
            self._volatile.push(item)

    def frontier_floor(self) -> Position | None:
        """Return the oldest mutation that the index does not reflect; None when there is none."""
        entry = self._all.floor(self._entries, durable_too=True)
        return entry.first if entry else None

    def checkpoint_floor(self) -> Position | None:
        """Return the oldest such mutation that no work item covers: the log is still needed from there."""
        entry = self._volatile.floor(self._entries, durable_too=False)
        return entry.first if entry else None

    def owes(self, key: RecordKey, position: Position) -> bool:
        """Whether a mutation of the key, up to the position, is not reflected by the index."""
        entry = self._entries.get(key)
        return entry is not None and entry.first is not None and entry.first <= position

    def oldest_commit_s(self) -> float | None:
        """Return when the oldest unreflected mutation was committed, on the monotonic clock."""
        entry = self._all.floor(self._entries, durable_too=True)
        return entry.committed_s if entry else None
