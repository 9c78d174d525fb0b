"""The backlog: durable work items of the journal, and as many of them in the ledger as fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane, WorkItem
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal
from slipstream.sync.ledger import DirtyLedger

_BEHIND_MIGRATION = WorkItem(entity_key(""), Lane.MIGRATION, priority=float("-inf"))
"""Behind it is everything that is less urgent than the migration lane."""


class Backlog:
    """
    Work that survives a restart. Not thread-safe: the engine guards it.

    What does not fit into the ledger stays in the journal, and holds the frontier back from there.
    """

    def __init__(self, journal: Journal, ledger: DirtyLedger, clock: Clock, limit: int) -> None:
        self._journal, self._ledger, self._clock, self._limit = journal, ledger, clock, limit
        self.has_more = True
        """Whether the journal may hold items that the ledger does not."""
        self.floor: Position | None = None
        """The oldest position among the items that are only in the journal."""

    def load(self, *, migration: bool = True) -> None:
        """
        Take items into the ledger, the most urgent first, as many as fit; one that is in there is looked at again.

        Without `migration` those of the migration lane, and what is more urgent, are left where they are, and half as
        many fit: the others may fill their part of the memory, and there has to be some left for live changes.
        """
        start, limit = (None, self._limit) if migration else (_BEHIND_MIGRATION, max(1, self._limit // 2))
        for item in self._journal.work(start, limit):
            self._mark(item)
        self.has_more, self.floor = False, None
        page = self._journal.work(None, self._limit)
        while page:
            self._adopt(page, room=0)
            page = self._journal.work(page[-1], self._limit)

    def first(self, *, migration: bool = True) -> WorkItem | None:
        """Return the most urgent item of the journal; without `migration` of those behind the migration lane."""
        return next(iter(self._journal.work(None if migration else _BEHIND_MIGRATION, 1)), None)

    def keep(self, items: Sequence[WorkItem]) -> None:
        """Store items durably, then mark them dirty, as many as fit."""
        self._journal.put_work(items)
        self.adopt(items)

    def put_by(self, items: Sequence[WorkItem], also: Callable[[], None]) -> None:
        """Store items durably, together with something else; they are taken when nothing else is dirty."""
        with self._journal.transaction():
            self._journal.put_work(items)
            also()
        self._adopt(items, room=0)  # of a dirty key: its own item may be on the point of being removed

    def adopt(self, items: Sequence[WorkItem]) -> None:
        """Mark items dirty that are in the journal already, as many as fit."""
        self._adopt(items, room=max(0, self._limit - len(self._ledger)))

    def _adopt(self, items: Sequence[WorkItem], *, room: int) -> None:
        """Mark those whose key is dirty already, by whatever mark, and of the others as many as there is room for."""
        left: list[WorkItem] = []
        for item in items:
            is_dirty = item.key in self._ledger
            if is_dirty or room > 0:
                self._mark(item)
                room -= not is_dirty
            else:
                left.append(item)
        self._leave_out(left)

    def _mark(self, item: WorkItem) -> None:
        wait_s = (item.due_at - self._clock.now()).total_seconds() if item.due_at else 0.0
        self._ledger.mark(
            item.key,
            item.lane,
            item.position,
            force=item.force,
            durable=True,
            attempts=item.attempts,
            due=self._clock.monotonic() + wait_s if wait_s > 0 else 0.0,
        )

    def _leave_out(self, items: Sequence[WorkItem]) -> None:
        self.has_more = self.has_more or bool(items)
        floors = [item.position for item in items if item.position is not None]
        if self.floor is not None:
            floors.append(self.floor)
        self.floor = min(floors, default=None)
