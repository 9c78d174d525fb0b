"""Intake: log entries, rescans and backfills become dirty keys."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.work import Lane
from slipstream.ports.clock import Clock
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.ports.log import ChangeLog
from slipstream.schema.changes import changes_told
from slipstream.schema.selector import ReembeddingSelector
from slipstream.sync.backfill import Backfill, BackfillProgress, Backfills
from slipstream.sync.failures import event_letters
from slipstream.sync.names import FULL_SCAN
from slipstream.sync.planner import Plan, Planner
from slipstream.sync.recipes import Recipes
from slipstream.sync.scanning import KeyScan
from slipstream.sync.selections import Selections
from slipstream.sync.settings import SyncSettings
from slipstream.sync.spans import StageSpans
from slipstream.sync.state import EngineState

logger = logging.getLogger(__name__)


class Intake:
    """Reads the log as far as there is room, then what is to be compared in the background. One thread drives it."""

    def __init__(
        self,
        *,
        graph: Graph,
        log: ChangeLog,
        index: VectorIndex,
        journal: Journal,
        dead_letters: DeadLetters,
        recipes: Recipes,
        clock: Clock,
        settings: SyncSettings,
        spans: StageSpans,
        state: EngineState,
        is_migration_down: Callable[[], bool],
    ) -> None:
        self._graph, self._log, self._index = graph, log, index
        self._journal, self._letters, self._clock = journal, dead_letters, clock
        self._recipes, self._settings, self._spans, self._state = recipes, settings, spans, state
        self._is_migration_down = is_migration_down
        self.planner = Planner(graph, recipes, settings.fanout_live_max)
        self._scan: KeyScan | None = None
        self.selections = Selections(index, journal, state.put_work_by)
        self._backfills = Backfills(graph, index, journal, clock)
        if journal.get(FULL_SCAN) is not None:
            self._backfills.begin(FULL_SCAN, Lane.BACKFILL)

    def step(self) -> bool:
        """Turn the next log entries into dirty keys; False when there was nothing to do or no room."""
        room = self._state.room
        if room <= 0:
            return False
        if self._scan is not None:
            return self._continue_rescan(self._scan, room)
        entries = self._log.read(self._state.consumed, min(self._settings.log_page, room))
        if not entries:
            return self._background(room)
        with self._spans.intake("receive", len(entries)):
            self._take_in(self.planner.plan(entries))
        return True

    def _take_in(self, plan: Plan) -> None:
        self._keep(plan)
        state = self._state
        with state.changed:
            for mark in plan.marks:
                state.ledger.mark(mark.key, Lane.LIVE, mark.position, committed_at=mark.committed_at)
            state.consumed = plan.through
            if plan.marks:
                state.live_at = self._clock.monotonic()
            state.stats.note_events(plan.outcomes)
            if plan.rescan is not None:
                reached = self._recipes.types_reached_by(plan.rescan.types)
                self._scan = KeyScan(self._graph, self._index, reached, Lane.LIVE, plan.rescan.position)
            state.advance_frontier()

    def _keep(self, plan: Plan) -> None:
        """Store what no ledger would rebuild after a restart, before the log is passed."""
        if plan.deferred:
            logger.warning("%d neighbours past the live fan-out limit go to the backfill lane", len(plan.deferred))
            self._state.keep_work(plan.deferred)
        if plan.poisoned:
            self._letters.bury(event_letters(plan.poisoned, self._clock.now()))
            logger.warning("%d events could not be planned and are dead letters now", len(plan.poisoned))
        for event in plan.evolutions:
            self._follow(event)
        with self._state.changed:
            self._state.letter_count += len(plan.poisoned)
            self._state.count(dead_lettered=len(plan.poisoned), fanout_deferred=len(plan.deferred))

    def _follow(self, event: PKGEvent) -> None:
        """Have looked at again what a schema evolution can have changed without an event of its own."""
        try:
            changes = changes_told(event, self._graph.schema_at, self._recipes)
        except InvalidInputError as error:
            logger.warning(
                "schema evolution %s can not be read, so everything is compared: %s", event.event_id, error
            )
            self.begin_backfill(FULL_SCAN, Lane.BACKFILL)
            return
        types = (*changes.views_stale, *changes.removed_types)
        if types:
            logger.info("schema version %d: looking at the records of %s", changes.new_version, ", ".join(types))
            reason = f"schema version {changes.new_version}"
            self.selections.add(ReembeddingSelector(entity_types=types), reason, force=False)

    def _continue_rescan(self, scan: KeyScan, room: int) -> bool:
        size = min(room, self._settings.log_page)
        with self._spans.intake("scan", size):
            page = scan.page(size)
        state = self._state
        with state.changed:
            for key in page:
                state.ledger.mark(key, scan.lane, scan.position)
            if scan.exhausted and scan.position is not None:
                state.consumed, self._scan = scan.position, None
                state.advance_frontier()
        return True

    # ------------------------------------------------------------------ backfills

    def begin_backfill(
        self,
        name: str,
        lane: Lane,
        types: frozenset[str] | None = None,
        *,
        resume: bool = False,
        on_finished: Callable[[], None] | None = None,
    ) -> None:
        """
        Have every key of some types (None: all) compared, in the background; its progress survives a restart.

        With `resume` it goes on where the last process was. `on_finished` is called in the journal transaction that
        ends it.
        """
        if not resume:
            self._journal.set(name, "1")
        with self._state.changed:
            self._backfills.begin(name, lane, types, on_finished)
            self._state.changed.notify_all()

    def cancel_backfill(self, name: str) -> None:
        """Forget a backfill, and how far it was."""
        with self._state.changed:
            self._backfills.cancel(name)
        self._journal.set(name, None)

    def progress(self) -> dict[str, BackfillProgress]:
        """Return how far each backfill is, by its name."""
        return self._backfills.progress()

    def is_done(self, *, migration: bool) -> bool:
        """Whether nothing is being scanned; without `migration` that lane's backfills do not count."""
        if migration and self.selections.due:
            return False
        return self._scan is None and not self._backfills.has_any(except_for=() if migration else (Lane.MIGRATION,))

    def _background(self, room: int) -> bool:
        if self.selections.step():
            return True
        # One whose model is down would hold up those behind it.
        with self._state.changed:
            backfill = self._backfills.current(except_for=(Lane.MIGRATION,) if self._is_migration_down() else ())
        if self._load_work(None if backfill is None else backfill.lane):
            return True
        return backfill is not None and self._continue_backfill(backfill, room)

    def _load_work(self, before: Lane | None) -> bool:
        """Take in durable work that is more urgent than the backfill of a lane; whether some came."""
        state = self._state
        if not state.backlog.has_more:
            return False
        first = state.backlog.first()
        if first is None:
            state.load_work()  # there was none, and now it is known
            return False
        dirty = state.pending()
        if before is None and sum(dirty.values()) > dirty[Lane.MIGRATION]:
            return False
        for migration in (True, False):
            # What the generation beside the live one is owed may wait for its model: the rest does not. Either only
            # when none of its kind is in memory, or more and more of what can not be done would fill it.
            if dirty[Lane.MIGRATION if migration else Lane.REPAIR]:
                continue
            item = first if migration else state.backlog.first(migration=False)
            if item is not None and item.key not in state.ledger and (before is None or item.lane < before):
                state.load_work(migration=migration)
                return True
        return False

    def _is_full(self, *, migration: bool) -> bool:
        """Whether there is work enough in memory; what a dead model holds up must not hold up other backfills."""
        dirty, enough = len(self._state.ledger), self._page_size
        if dirty >= enough and not migration:
            dirty -= self._state.pending()[Lane.MIGRATION]
        return dirty >= enough

    @property
    def _page_size(self) -> int:
        """How many keys a backfill reads at once: few enough to leave room for live changes."""
        return max(1, min(self._settings.log_page, self._settings.pending_max // 4))

    def _continue_backfill(self, backfill: Backfill, room: int) -> bool:
        state = self._state
        migration = backfill.lane is Lane.MIGRATION
        backfill.note_done(partial(state.is_pending, migration=migration))
        if backfill.is_finished:
            with state.changed:
                self._backfills.finish(backfill)
                state.changed.notify_all()
            return True
        if backfill.is_read or self._is_full(migration=migration):
            return False
        size = min(room, self._page_size)
        with self._spans.intake("scan", size):
            page = backfill.page(size)
        with state.changed:
            for key in page:
                state.ledger.mark(key, backfill.lane)
        return True
