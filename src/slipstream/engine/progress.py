"""How far the engine is: the only place where checkpoint and frontier move, and only behind what is durable."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from slipstream.domain.journal_names import CHECKPOINT, FRONTIER, HELD
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.engine.backlog import Backlog
from slipstream.engine.ledger import DirtyLedger
from slipstream.ports.journal import Journal


class Reached(NamedTuple):
    """Checkpoint and frontier at one moment."""

    checkpoint: Position
    frontier: Position


class Progress:
    """
    The numbers of one engine. Its condition guards them; what writes the journal is called without it.

    `frontier` is what waiting, searches, audits and the status ask, and what the journal tells other processes. It
    lies before the oldest mutation that is not in the index: in the ledger, in a work item that is only in the
    journal, or in a write that is not durable yet. `checkpoint` lies before the oldest one that only the log knows
    of. Both are always computed anew from these, so neither has to be kept from going back.
    """

    def __init__(self, journal: Journal, ledger: DirtyLedger, backlog: Backlog, changed: threading.Condition) -> None:
        self._journal, self._ledger, self._backlog, self._changed = journal, ledger, backlog, changed
        self.consumed = Position(int(journal.get(CHECKPOINT) or 0))
        """How far the log has been read: everything up to it is in the index, or is owed."""
        self.saved = Reached(self.consumed, Position(int(journal.get(FRONTIER) or 0)))
        """Both numbers as they are in the journal."""
        self.frontier = ORIGIN
        self._unwritten: Mapping[RecordKey, Position | None] = {}
        """The oldest mutation of each key in the write under way: the ledger counts it as reflected already."""
        held = journal.get(HELD)
        self.held = None if held is None else Position(int(held))
        """Where the frontier stands while both sides are compared, because the log did not tell what has changed."""

    def read_through(self, position: Position) -> None:
        """Note that the log has been read up to a position, and that the ledger knows what that dirties."""
        self.consumed = position
        self.move()

    def begin_write(self, firsts: Mapping[RecordKey, Position | None]) -> None:
        """Hold the frontier where it is until the write is durable, whatever the log brings meanwhile."""
        self._unwritten = firsts

    def end_write(self) -> None:
        """Let the frontier move again: the write is durable, or was taken back."""
        self._unwritten = {}

    def move(self) -> None:
        """Move the frontier to where it can be now, and tell everyone who waits for it."""
        self.frontier = self.now().frontier
        self._changed.notify_all()

    def now(self) -> Reached:
        """Return both as they are; between `settle` and `begin_write`, as they will be when that write is durable."""
        known = (self._ledger.frontier_floor(), self._backlog.floor, *self._unwritten.values())
        frontier = _before(self.consumed, known)
        return Reached(
            _before(self.consumed, [self._ledger.checkpoint_floor()]),
            frontier if self.held is None else min(frontier, self.held),
        )

    def hold(self) -> None:
        """
        Have the frontier stay where it is, durably, until `let_go`: the log is about to be passed unread.

        Called by the reader, which alone passes the log, without the condition.
        """
        with self._changed:
            self.held = self.frontier if self.held is None else self.held
        self._journal.set(HELD, str(self.held))

    def let_go(self) -> None:
        """Undo `hold`: what differed is in the index, or has a work item."""
        self._journal.set(HELD, None)
        with self._changed:
            self.held = None
            self.move()

    def lags(self, key: RecordKey, position: Position) -> bool:
        """Whether a mutation of the key, up to the position, is not durably in the index yet."""
        unwritten = self._unwritten.get(key)
        return self._ledger.owes(key, position) or (unwritten is not None and unwritten <= position)

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way."""
        return bool(self._unwritten)

    def save(self, reached: Reached) -> None:
        """Keep both, in the journal transaction that makes them true; follow with `note_saved` when it is durable."""
        self._journal.set(CHECKPOINT, str(reached.checkpoint))
        if reached.frontier != self.saved.frontier:
            self._journal.set(FRONTIER, str(reached.frontier))

    def note_saved(self, reached: Reached) -> None:
        """Note that both numbers are durable."""
        self.saved = reached


def _before(consumed: Position, floors: Iterable[Position | None]) -> Position:
    """Return the last position before all floors, but not past `consumed`: after a crash a floor may be past it."""
    return min([consumed, *(Position(floor - 1) for floor in floors if floor is not None)])
