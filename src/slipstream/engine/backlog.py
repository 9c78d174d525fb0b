"""The backlog: durable work items of the journal, and as many of them in the ledger as fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from slipstream.domain.elapsed import left_s
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane, WorkItem
from slipstream.engine.ledger import DirtyLedger
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal

_BEHIND_MIGRATION = WorkItem(entity_key(""), Lane.MIGRATION, priority=float("-inf"))
"""Sorts before all work that is less urgent than the migration lane, and after all the rest."""


class Backlog:
    """
    Work that survives a restart: the journal owns it, and the engine works on what is in the ledger.

    What does not fit into the ledger stays in the journal, and holds the frontier back from there. `writing` is held
    around whatever changes or reads the journal's items, and `changed` where the ledger is changed: never around
    the journal.
    """

    def __init__(
        self,
        journal: Journal,
        ledger: DirtyLedger,
        clock: Clock,
        limit: int,
        changed: AbstractContextManager[bool] | None = None,
        *,
        wait_s_max: float,
    ) -> None:
        self._journal, self._ledger, self._clock, self._limit = journal, ledger, clock, limit
        self._wait_s_max = wait_s_max
        self._changed = changed or nullcontext()
        self.has_more = True
        """Whether the journal may hold items that the ledger does not."""
        self.floor: Position | None = None
        """The oldest position among the items that are only in the journal."""

    def load(self, *, migration: bool = True) -> None:
        """
        Take items into the ledger, the most urgent first, as many as fit; items of dirty keys are merged with these.

        Without `migration` only items less urgent than the migration lane are taken, and half as many fit: the others
        may have filled their part of the memory, and live changes need the rest.
        """
        start, limit = (None, self._limit) if migration else (_BEHIND_MIGRATION, max(1, self._limit // 2))
        urgent = self._journal.work(start, limit)
        with self._changed:
            for item in urgent:
                self._mark(item)
        floors: list[Position] = []
        is_whole = True
        for page in self._pages():
            with self._changed:
                left = self._taken(page, room=0)
            is_whole = is_whole and not left
            floors.extend(item.position for item in left if item.position is not None)
        with self._changed:
            self.has_more, self.floor = not is_whole, min(floors, default=None)

    def _pages(self) -> Iterator[Sequence[WorkItem]]:
        page = self._journal.work(None, self._limit)
        while page:
            yield page
            page = self._journal.work(page[-1], self._limit)

    def first(self, *, migration: bool = True) -> WorkItem | None:
        """Return the most urgent item of the journal, if any; without `migration` of the lanes below that one."""
        return next(iter(self._journal.work(None if migration else _BEHIND_MIGRATION, 1)), None)

    def among(self, keys: Collection[RecordKey]) -> dict[RecordKey, WorkItem]:
        """Return the work items that the journal holds of some keys; reads the whole journal."""
        return {item.key: item for page in self._pages() for item in page if item.key in keys}

    def keep(self, items: Sequence[WorkItem]) -> None:
        """Store items durably, then mark them dirty, as many as fit."""
        had_more = self._expect_more()
        self._journal.put_work(items)
        with self._changed:
            self.has_more = had_more
            self.adopt(items)

    def put_by(self, items: Sequence[WorkItem], also: Callable[[], None]) -> None:
        """Store items durably, together with something else; they are taken when nothing else is dirty."""
        had_more = self._expect_more()
        with self._journal.transaction():
            self._journal.put_work(items)
            also()
        with self._changed:
            self.has_more = had_more
            self.leave_out(self._taken(items, room=0))  # marks dirty keys: their item may be about to be removed

    def _expect_more(self) -> bool:
        """
        Set `has_more` before items are written: they may be durable sooner than is known, or their answer be lost.

        Returns what `has_more` was before.
        """
        with self._changed:
            had_more, self.has_more = self.has_more, True
        return had_more

    def adopt(self, items: Sequence[WorkItem]) -> None:
        """Mark items dirty that are in the journal already, as many as fit."""
        self.leave_out(self._taken(items, room=max(0, self._limit - len(self._ledger))))

    def _taken(self, items: Sequence[WorkItem], *, room: int) -> list[WorkItem]:
        """Mark items whose key is dirty already, and as many others as there is room for; return the rest."""
        left: list[WorkItem] = []
        for item in items:
            is_dirty = item.key in self._ledger
            if is_dirty or room > 0:
                self._mark(item)
                room -= not is_dirty
            else:
                left.append(item)
        return left

    def _mark(self, item: WorkItem) -> None:
        wait_s = left_s(item.due_at, self._clock.now(), self._wait_s_max)
        self._ledger.mark(
            item.key,
            item.lane,
            item.position,
            force=item.force,
            durable=True,
            attempts=item.attempts,
            due=self._clock.monotonic() + wait_s if wait_s > 0 else 0.0,
        )

    def leave_out(self, items: Sequence[WorkItem]) -> None:
        """Note items that are only in the journal."""
        self.has_more = self.has_more or bool(items)
        floors = [item.position for item in items if item.position is not None]
        if self.floor is not None:
            floors.append(self.floor)
        self.floor = min(floors, default=None)
