"""What the engine knows: dirty keys, positions and counters, and the locks that guard them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from slipstream.domain.keys import RecordKey
from slipstream.domain.metrics import Histogram
from slipstream.domain.positions import Position
from slipstream.domain.work import Claim, Lane, WorkItem
from slipstream.engine.backlog import Backlog
from slipstream.engine.ledger import DirtyLedger
from slipstream.engine.progress import Progress, Reached
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DeadLetters, Journal

RECENT_MAX = 10_000
"""Latencies kept for the percentiles."""
LAG_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0)
"""Upper bounds of the histogram from commit to searchable: fine below a second, which is the promise."""
REASONS_MAX = 20
"""Different reasons of retries that are told apart; any further one counts as `other`."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Commit to searchable, in seconds, over the newest mutations."""

    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(slots=True)
class SyncStats:
    """
    What the engine did since it was opened. Guarded by the engine's lock.

    Counter names: `events`, `embedded`, `cached`, `unchanged`, `restamped`, `deleted`, `fenced`, `blocked`,
    `retried`, `dead_lettered`, `fanout_deferred`, `batches`. `outcomes` has the events by operation and outcome.
    """

    counters: Counter[str] = field(default_factory=Counter)
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    _in_bucket: list[int] = field(default_factory=lambda: [0] * (len(LAG_BOUNDS_S) + 1))
    _lag_sum_s: float = 0.0

    def observe(self, latencies_s: Iterable[float]) -> None:
        """Note how long mutations took from commit to searchable."""
        for latency_s in latencies_s:
            self.recent_s.append(latency_s)
            self._in_bucket[bisect_left(LAG_BOUNDS_S, latency_s)] += 1
            if latency_s > 0:  # a clock that was set back must not make the sum shrink
                self._lag_sum_s += latency_s

    def note_events(self, outcomes: Mapping[tuple[str, str], int]) -> None:
        """Count events that were read from the log."""
        for outcome, count in outcomes.items():
            self.outcomes[outcome] += count
            self.counters["events"] += count

    def note_retry(self, error: Exception) -> None:
        """Count a failed attempt that will be made again."""
        reason = type(error).__name__
        self.retries[reason if reason in self.retries or len(self.retries) < REASONS_MAX else "other"] += 1

    def lag(self) -> Histogram:
        """Return the histogram from commit to searchable."""
        return Histogram(LAG_BOUNDS_S, tuple(accumulate(self._in_bucket)), self._lag_sum_s)

    def freshness(self) -> Freshness:
        """Return the percentiles over the newest mutations."""
        if not self.recent_s:
            return Freshness(0, None, None, None)
        p50, p95, p99 = np.percentile(np.fromiter(self.recent_s, float), (50, 95, 99))
        return Freshness(len(self.recent_s), float(p50), float(p95), float(p99))


class Changes(threading.Condition):
    """A condition that counts its notifications, so that who looks without the lock knows whether to look again."""

    def __init__(self) -> None:
        super().__init__(threading.RLock())
        self.count = 0

    def notify_all(self) -> None:
        """Wake everyone who waits; the lock is held."""
        self.count += 1
        super().notify_all()

    def wait_past(self, seen: int, timeout_s: float) -> None:
        """Wait until it has been notified since `count` was `seen`, or the time has run out."""
        with self:
            if self.count == seen:
                self.wait(timeout_s)

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread holds the lock."""
        return self._is_owned()  # type: ignore[attr-defined, no-any-return]  # of every `Condition`, over its RLock


class EngineState:
    """
    Shared by the stages.

    `writing` is held by whoever changes what is durable: for a whole write, and while work items are kept or lost.
    `changed` guards what is in memory (ledger, positions, counters), and no port is called while it is held. Who
    needs both takes `writing` first.
    """

    def __init__(
        self, journal: Journal, letters: DeadLetters, clock: Clock, pending_max: int, wait_s_max: float
    ) -> None:
        self.changed = Changes()
        self.writing = threading.Lock()
        self.ledger = DirtyLedger()
        # Half of the room: however much is owed and can not be done, there is room for live changes.
        limit = max(1, pending_max // 2)
        self.backlog = Backlog(journal, self.ledger, clock, limit, self.changed, wait_s_max=wait_s_max)
        self.progress = Progress(journal, self.ledger, self.backlog, self.changed)
        self.stats = SyncStats()
        self._journal, self._letters = journal, letters
        self.letter_count = letters.letter_count()
        self.live_at = float("-inf")
        """When a live change was read last, on the monotonic clock."""
        self.searched_at = float("-inf")
        """When somebody searched last, in this process."""
        self.owed: dict[RecordKey, int] = {}
        """Keys whose record beside the live one is still to be made, in the order in which they came."""
        self._owed_count = 0
        self.buried = 0
        """How many keys have become dead letters."""
        self.is_draining = False
        """Set while what is owed goes before live changes: for the moment of a cut-over."""
        self._pending_max = pending_max
        self.has_put_by = False
        """Set while keys that wait for a model are in the journal only; they are not loaded before it answers."""

    @property
    def room(self) -> int:
        """How many more keys may become dirty."""
        with self.changed:
            return self._pending_max - len(self.ledger)

    # ------------------------------------------------------------------ what the other generation is owed

    def owe(self, keys: Sequence[RecordKey]) -> None:
        """Note keys that the migration lane has to deal with; one that is owed already keeps its place."""
        for key in keys:
            self._owed_count += 1
            self.owed.setdefault(key, self._owed_count)

    def pay(self, keys: Iterable[RecordKey]) -> None:
        """Note keys that are dealt with, for better or worse."""
        for key in keys:
            self.owed.pop(key, None)

    def settle_debts(self, clean: Iterable[RecordKey], deferred: Sequence[RecordKey]) -> None:
        """Note what a batch has left: a clean key that is not deferred is owed nothing, `deferred` keys are owed."""
        if self.owed:
            self.pay(set(clean).difference(deferred))
        self.owe(deferred)

    def owes_since(self, mark: int) -> bool:
        """Whether something is owed that was owed already when `owed_mark` returned `mark`."""
        with self.changed:
            return self.backlog.has_more or next(iter(self.owed.values()), mark + 1) <= mark

    @property
    def owed_mark(self) -> int:
        """The number of the key that was owed last: a mark for `owes_since` and `still_owed`."""
        with self.changed:
            return self._owed_count

    # ------------------------------------------------------------------ work that lasts

    def load_work(self, *, migration: bool = True) -> None:
        """Take in work items that are only in the journal, when there may be some."""
        if self.backlog.has_more:
            with self.writing:
                self.backlog.load(migration=migration)
                with self.changed:
                    self.owe(self.ledger.keys_in(Lane.MIGRATION))
                    self.progress.move()

    def keep_work(self, items: Sequence[WorkItem]) -> None:
        """Mark keys dirty, durably."""
        # Never beside a write: it could remove the item of a key that is in flight right now.
        with self.writing:
            self.backlog.keep(items)
            with self.changed:
                self.owe([item.key for item in items if item.lane is Lane.MIGRATION])
                self.changed.notify_all()

    def put_work_by(self, items: Sequence[WorkItem], also: Callable[[], None]) -> None:
        """Keep work for when nothing else is dirty, durably, together with something else."""
        with self.writing:
            self.backlog.put_by(items, also)
            with self.changed:
                self.changed.notify_all()

    def put_held_by(self) -> None:
        """Leave keys that wait for models to the journal where they fill over half of the room."""
        with self.changed:
            surplus = sum(self.ledger.held().values()) - self._pending_max // 2
        if surplus <= 0:
            return
        with self.writing:
            with self.changed:
                items = self.ledger.held_items(surplus)
            self._journal.put_work(items)
            with self.changed:
                self.has_put_by = True
                self.backlog.leave_out(self.ledger.put_by(items))

    def recount_letters(self) -> None:
        """Count the dead letters again, after somebody has removed some."""
        with self.writing:
            count = self._letters.letter_count()
            with self.changed:
                self.letter_count = count

    # ------------------------------------------------------------------ who writes beside the engine

    def overtake(self, keys: Iterable[RecordKey]) -> None:
        """Have batches in flight that hold these keys read again instead of written; `writing` is held."""
        with self.changed:
            self.ledger.overtake(keys)

    def adopt(self, items: Sequence[WorkItem]) -> None:
        """Take in work items that are in the journal already, and are owed to the generation beside the live one."""
        with self.changed:
            self.backlog.adopt(items)
            self.owe([item.key for item in items])
            self.changed.notify_all()

    def is_overtaken(self, claims: Iterable[Claim]) -> bool:
        """Whether one of the claims was written by somebody else since it was claimed."""
        with self.changed:
            return self.ledger.is_overtaken(claims)

    # ------------------------------------------------------------------ what lags

    def lagging(self, position: Position, keys: Sequence[RecordKey]) -> Sequence[RecordKey]:
        """Return those of the keys that the index does not reflect up to the position."""
        with self.changed:
            if self.progress.frontier >= position:
                return ()
            if self.progress.consumed < position or self.backlog.has_more:
                return keys
            return [key for key in keys if self.progress.lags(key, position)]

    def still_owed(self, mark: int, keys: Sequence[RecordKey]) -> Sequence[RecordKey]:
        """Return those of the keys that were owed at `mark` (`owed_mark`) and are; all while work is not loaded."""
        with self.changed:
            return keys if self.backlog.has_more else [key for key in keys if self.owed.get(key, mark + 1) <= mark]

    # ------------------------------------------------------------------ asking and counting

    def pending(self) -> dict[Lane, int]:
        """Return how many dirty keys are held in memory, by lane."""
        with self.changed:
            return self.ledger.counts()

    def owed_by_lane(self) -> dict[Lane, int]:
        """Return how many keys are still to be done, by lane: the journal's work items, and keys without one."""
        kept = {lane: self._journal.work_count(lane) for lane in Lane} if self._journal.work_count() else {}
        with self.changed:
            counts = self.ledger.counts(volatile_only=True)
        return {lane: count + kept.get(lane, 0) for lane, count in counts.items()}

    def is_pending(self, keys: Sequence[RecordKey], *, migration: bool = True) -> list[bool]:
        """Return for each key whether it is dirty now; see `DirtyLedger.is_dirty`."""
        with self.changed:
            return [self.ledger.is_dirty(key, migration=migration) for key in keys]

    def count(self, **counts: int) -> None:
        """Add to the counters."""
        with self.changed:
            self.stats.counters.update(counts)


class Saving:
    """Saves checkpoint and frontier with every write; else now and then, when the engine idles, and when it stops."""

    def __init__(self, state: EngineState, journal: Journal, clock: Clock, every_s: float) -> None:
        self._state, self._journal, self._clock, self._every_s = state, journal, clock, every_s
        self._saved_at = clock.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last save is at least `every_s` ago."""
        return self._clock.monotonic() - self._saved_at >= self._every_s

    def save(self) -> None:
        """Save checkpoint and frontier when they have moved."""
        progress = self._state.progress
        with self._state.writing:
            with self._state.changed:
                reached = progress.now()
            if reached != progress.saved:
                with self._journal.transaction():
                    progress.save(reached)
                self.note(reached)

    def save_when_due(self) -> None:
        """Save when due, for those who wait in other processes; a write under way saves by itself."""
        if self.is_due and not self._state.writing.locked():
            self.save()

    def note(self, reached: Reached) -> None:
        """Note that both numbers are durable."""
        self._state.progress.note_saved(reached)
        self._saved_at = self._clock.monotonic()
