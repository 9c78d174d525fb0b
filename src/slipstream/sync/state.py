"""What the engine knows: dirty keys, positions, and the locks that guard them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.work import Lane, WorkItem
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.sync.backlog import Backlog
from slipstream.sync.ledger import DirtyLedger
from slipstream.sync.names import CHECKPOINT
from slipstream.sync.stats import SyncStats


class EngineState:
    """
    Shared by the stages. `changed` guards ledger, positions and counters; `writing` is held for a whole write.

    The only I/O under `changed` is the journal's own, of durable marks.
    """

    def __init__(self, journal: Journal, letters: DeadLetters, clock: Clock, pending_max: int) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.writing = threading.Lock()
        self.ledger = DirtyLedger()
        # Half of the room: however much is owed and can not be done, live changes are taken in.
        self.backlog = Backlog(journal, self.ledger, clock, max(1, pending_max // 2))
        self.stats = SyncStats()
        self.checkpoint = self.consumed = Position(int(journal.get(CHECKPOINT) or 0))
        self.frontier = ORIGIN
        self.letter_count = letters.letter_count()
        self.live_at = float("-inf")
        """When a live change was read last, on the monotonic clock."""
        self.owed: dict[RecordKey, int] = {}
        """Keys whose record beside the live one is still to be made, in the order in which they came."""
        self._owed_count = 0
        self.buried = 0
        """How many keys have become dead letters."""
        self.is_draining = False
        """Set while what is owed goes before live changes: for the moment of a cut-over."""
        self._pending_max = pending_max

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
        """Note what a batch has left: a key that is clean and not deferred is owed nothing, whatever its lane was."""
        if self.owed:
            self.pay(set(clean).difference(deferred))
        self.owe(deferred)

    def owes_since(self, mark: int) -> bool:
        """Whether something is owed that was owed already when `owed_mark` returned that."""
        with self.changed:
            return self.backlog.has_more or next(iter(self.owed.values()), mark + 1) <= mark

    @property
    def owed_mark(self) -> int:
        """The number of the newest of them."""
        with self.changed:
            return self._owed_count

    # ------------------------------------------------------------------ work that lasts

    def load_work(self, *, migration: bool = True) -> None:
        """Take in work items that are only in the journal, when there may be some."""
        if self.backlog.has_more:
            with self.writing, self.changed:
                self.backlog.load(migration=migration)
                self.owe(self.ledger.keys_in(Lane.MIGRATION))
                self.advance_frontier()

    def keep_work(self, items: Sequence[WorkItem]) -> None:
        """Mark keys dirty, durably."""
        # Never beside a write: it could remove the item of a key that is in flight right now.
        with self.writing, self.changed:
            self.backlog.keep(items)
            self.owe([item.key for item in items if item.lane is Lane.MIGRATION])
            self.changed.notify_all()

    def put_work_by(self, items: Sequence[WorkItem], also: Callable[[], None]) -> None:
        """Keep work for when nothing else is dirty, durably, together with something else."""
        with self.writing, self.changed:
            self.backlog.put_by(items, also)
            self.changed.notify_all()

    # ------------------------------------------------------------------ positions

    def checkpoint_now(self) -> Position:
        """Return up to where the log is needed no more: the rest is in the journal."""
        floor = self.ledger.checkpoint_floor()
        return self.consumed if floor is None else min(self.consumed, Position(floor - 1))

    def frontier_now(self) -> Position:
        """Return up to where the index reflects the graph."""
        # A work item may come from an entry that a crash left unread: the floor can lie behind what is consumed.
        floors = [floor for floor in (self.ledger.frontier_floor(), self.backlog.floor) if floor is not None]
        return min([self.consumed, *(Position(floor - 1) for floor in floors)])

    def advance_frontier(self) -> None:
        """Move the frontier as far as it can go, and tell everyone who waits for it."""
        self.frontier = max(self.frontier, self.frontier_now())
        self.changed.notify_all()

    def lagging(self, position: Position, keys: Sequence[RecordKey]) -> Sequence[RecordKey]:
        """Return those of the keys that the index does not reflect up to the position."""
        with self.writing, self.changed:  # within a write the ledger says what is only about to be so
            if self.frontier >= position:
                return ()
            if self.consumed < position or self.backlog.has_more:
                return keys
            return [key for key in keys if self.ledger.owes(key, position)]

    def still_owed(self, mark: int, keys: Sequence[RecordKey]) -> Sequence[RecordKey]:
        """Return those of the keys that the generation beside the live one was owed when the mark was taken."""
        with self.changed:
            return keys if self.backlog.has_more else [key for key in keys if self.owed.get(key, mark + 1) <= mark]

    # ------------------------------------------------------------------ asking and counting

    def pending(self) -> dict[Lane, int]:
        """Return how many dirty keys are held in memory, by lane."""
        with self.changed:
            return self.ledger.counts()

    def is_pending(self, keys: Sequence[RecordKey], *, migration: bool = True) -> list[bool]:
        """Return for each key whether it is dirty now; see `DirtyLedger.is_dirty`."""
        with self.changed:
            return [self.ledger.is_dirty(key, migration=migration) for key in keys]

    def count(self, **counts: int) -> None:
        """Add to the counters."""
        with self.changed:
            self.stats.counters.update(counts)
