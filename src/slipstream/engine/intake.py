"""Intake: log entries, rescans and backfills become dirty keys."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from slipstream.apply.reconciler import Reconciler
from slipstream.apply.spans import StageSpans
from slipstream.domain.brake import BRAKE, Braked
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.journal_names import ADOPTED, FULL_SCAN, SWEEP_DUE
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import Rescan
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.work import Lane, WorkItem
from slipstream.engine.backfill import Backfill, BackfillProgress, Backfills
from slipstream.engine.failures import event_letters
from slipstream.engine.planner import Plan, Planner
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import EngineState
from slipstream.engine.taking import SHARE_EVERY_S
from slipstream.evolution.changes import changes_told
from slipstream.evolution.scanning import KeyScan
from slipstream.evolution.selections import Selections
from slipstream.evolution.selector import ReembeddingSelector
from slipstream.evolution.unexplained import Scales, UnexplainedScan, Verdict
from slipstream.ports.ages import since_s
from slipstream.ports.clock import Clock
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.recipes.in_force import Recipes

logger = logging.getLogger(__name__)


class Intake:
    """Reads the log as far as there is room, then scans in the background. One thread drives it."""

    def __init__(
        self,
        *,
        graph: GraphReader,
        log: ChangeFeed,
        index: VectorIndex,
        journal: Journal,
        dead_letters: DeadLetters,
        recipes: Recipes,
        reconciler: Reconciler,
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
        self._scales = Scales(reconciler, index, state.is_pending)
        self._scan: KeyScan | UnexplainedScan | None = None
        self._sweep: UnexplainedScan | None = None
        self._standing_back_since: float | None = None
        self._sweep_due = journal.get(SWEEP_DUE) is not None
        self.sweeps = True
        """Whether what the log does not explain is compared here; if not, it is left to the next process that may."""
        self.selections = Selections(index, journal, state.put_work_by)
        self._backfills = Backfills(graph, index, journal, clock, recipes.covers_anywhere)
        if journal.get(FULL_SCAN) is not None:
            self._backfills.begin(FULL_SCAN, Lane.BACKFILL, resume=True)

    def step(self) -> bool:
        """Turn the next log entries into dirty keys; False when there was nothing to do or no room."""
        room = self._state.room
        if room <= 0:
            return False
        if self._scan is not None:
            return self._continue_rescan(self._scan, room)
        entries = self._log.read(self._state.progress.consumed, min(self._settings.log_page, room))
        if entries:
            with self._spans.intake("receive", len(entries)):
                self._take_in(self.planner.plan(entries))
            now, room = self._clock.monotonic(), self._state.room
            if self._standing_back_since is None:
                self._standing_back_since = now
            if now - self._standing_back_since < SHARE_EVERY_S or room <= 0:
                return True
        self._standing_back_since = None
        return self._background(room) or bool(entries)

    def _take_in(self, plan: Plan) -> None:
        self._keep(plan)
        state, scan, through = self._state, None, plan.through
        if plan.rescan is not None:
            scan = self._rescan_of(plan.rescan)
            through = plan.through if scan is not None else plan.rescan.position
        # Most marks were committed together: one look at the clock for each time of commit.
        committed_s = {at: since_s(at, self._clock) for at in {mark.committed_at for mark in plan.marks}}
        with state.changed:
            for key, position, committed_at in plan.marks:
                state.ledger.mark_change(key, position, committed_s[committed_at])
            if plan.marks:
                state.live_at = self._clock.monotonic()
            state.stats.note_events(plan.outcomes)
            self._scan = scan
            state.progress.read_through(through)

    def _keep(self, plan: Plan) -> None:
        """Store what a restart could not rebuild from the log, before the log is passed."""
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
        """Have the records compared that a schema evolution can have changed without events of their own."""
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

    # ------------------------------------------------------------------ what the log does not explain

    def _rescan_of(self, rescan: Rescan) -> KeyScan | UnexplainedScan | None:
        """Return the scan of all that a write of unknown effect can have changed; None when that is put off."""
        if not self.sweeps:
            self._put_off(rescan.position)
            return None
        reached = self._recipes.types_reached_by(rescan.types)
        scan = self._key_scan(reached, Lane.LIVE, rescan.position)
        return scan if self._is_adopted(rescan.position) else self._weighed(scan)

    def _key_scan(self, types: frozenset[str] | None, lane: Lane, position: Position | None) -> KeyScan:
        return KeyScan(self._graph, self._index, types, lane, position, covers=self._recipes.covers_anywhere)

    def _weighed(self, scan: KeyScan) -> UnexplainedScan:
        return UnexplainedScan(scan, self._scales, self._index, self._settings.brake)

    def _is_adopted(self, position: Position) -> bool:
        """Whether somebody has taken the graph for the truth, as it was at that position or later."""
        return position <= int(self._journal.get(ADOPTED) or -1)

    def _continue_rescan(self, scan: KeyScan | UnexplainedScan, room: int) -> bool:
        size = min(room, self._settings.log_page)
        with self._spans.intake("scan", size):
            page = scan.page(size)
        state = self._state
        if scan.exhausted and isinstance(scan, UnexplainedScan) and scan.verdict is Verdict.BRAKED:
            self._put_off(scan.position or state.progress.consumed)  # the rest of the log may explain it
        with state.changed:
            for key in page:
                state.ledger.mark(key, scan.lane, scan.position)
            if scan.exhausted and scan.position is not None:
                self._scan = None
                state.progress.read_through(scan.position)
        return True

    def begin_sweep(self, position: Position) -> None:
        """
        Have everything compared, in the background, although the log does not say why; survives a restart.

        The brake limits it, except for a new index and an adopted graph. `position` is the log's head.
        """
        progress = self._state.progress
        logger.warning("the log no longer reaches back to %s: comparing everything", progress.consumed)
        if progress.saved.checkpoint == ORIGIN or self._is_adopted(position):
            progress.hold()
            self.begin_backfill(FULL_SCAN, Lane.BACKFILL)
        else:
            self._put_off(position)
        with self._state.changed:
            progress.read_through(position)

    def _put_off(self, position: Position) -> None:
        """Note durably that everything is to be compared; in the background, when the log has been read."""
        self._state.progress.hold()
        self._journal.set(SWEEP_DUE, str(position))
        self._sweep_due, self._sweep = True, None

    def _continue_sweep(self, room: int) -> bool:
        """Go on with the comparison in the background; returns whether one is due."""
        if not (self._sweep_due and self.sweeps):
            return False
        if self._sweep is None:
            position = Position(int(self._journal.get(SWEEP_DUE) or 0))
            if self._is_adopted(position):
                self.begin_backfill(FULL_SCAN, Lane.BACKFILL)
                self._end_sweep(None, is_over=False)
                return True
            self._sweep = self._weighed(self._key_scan(None, Lane.BACKFILL, None))
        sweep, size = self._sweep, min(room, self._page_size)
        with self._spans.intake("scan", size):
            page = sweep.page(size)
        if page:
            held = self._state.progress.held  # from now on each of these keys holds the frontier back itself
            at, why = None if held is None else Position(held + 1), "not explained by the log"
            self._state.keep_work([WorkItem(key, sweep.lane, at, reason=why) for key in page])
        if sweep.exhausted:
            self._end_sweep(sweep.found if sweep.verdict is Verdict.BRAKED else None)
        return True

    def _end_sweep(self, too_much: str | None, *, is_over: bool = True) -> None:
        """End the comparison, durably; what was too much for the brake is left until somebody confirms it."""
        with self._journal.transaction():
            if too_much is not None:
                why = f"both sides differ without a commit that says so: {too_much}"
                logger.error("braked: %s. Nothing of that was done", why)
                self._journal.set(BRAKE, Braked(why, self._clock.now()).dump())
            self._journal.set(SWEEP_DUE, None)
        self._sweep_due, self._sweep = False, None
        if is_over:
            self._state.progress.let_go()

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
        self._backfills.begin(name, lane, types, on_finished, resume=resume)
        with self._state.changed:
            self._state.changed.notify_all()

    def cancel_backfill(self, name: str) -> None:
        """Forget a backfill, and how far it was."""
        self._backfills.cancel(name)

    def progress(self) -> dict[str, BackfillProgress]:
        """Return how far each backfill is, by its name."""
        return self._backfills.progress()

    def is_done(self, *, migration: bool) -> bool:
        """Whether nothing is being scanned; without `migration` that lane's backfills do not count."""
        if migration and self.selections.due:
            return False
        if self._scan is not None or (self._sweep_due and self.sweeps):
            return False
        return not self._backfills.has_any(except_for=() if migration else (Lane.MIGRATION,))

    @property
    def is_comparing(self) -> bool:
        """Whether live records are still to be compared, so that a difference in them may be owed."""
        return bool(self.selections.due) or not self.is_done(migration=False)

    def is_to_scan(self, key: RecordKey, types: Collection[str], *, migration: bool) -> Lane | None:
        """Return the lane in which a key (without `migration`: its live record) is still to be compared, or None."""
        if self._sweep_due and self.sweeps:
            return Lane.BACKFILL
        return self._backfills.is_to_come(key, types, migration=migration)

    def _background(self, room: int) -> bool:
        if self.selections.step():
            return True
        if self._continue_sweep(room):
            return True
        # A backfill whose model is down would hold up those behind it.
        backfill = self._backfills.current(except_for=(Lane.MIGRATION,) if self._is_migration_down() else ())
        if self._load_work(None if backfill is None else backfill.lane):
            return True
        return backfill is not None and self._continue_backfill(backfill, room)

    def _load_work(self, before: Lane | None) -> bool:
        """Load durable work that is more urgent than a lane (None: any work); returns whether there was some."""
        state = self._state
        if not state.backlog.has_more or state.has_put_by:
            return False
        first = state.backlog.first()
        if first is None:
            state.load_work()  # notes that the journal has none
            return False
        dirty = state.pending()
        if before is None and sum(dirty.values()) > dirty[Lane.MIGRATION] + dirty[Lane.LIVE]:
            return False
        for migration in (True, False):
            # What the generation beside the live one is owed may wait for its model, the rest does not. Each kind is
            # loaded only when none of it is in memory, or work that can not be done would fill the memory.
            if dirty[Lane.MIGRATION if migration else Lane.REPAIR]:
                continue
            item = first if migration else state.backlog.first(migration=False)
            if item is not None and item.key not in state.ledger and (before is None or item.lane < before):
                state.load_work(migration=migration)
                return True
        return False

    def _is_full(self, *, migration: bool) -> bool:
        """Whether memory has work enough, not counting live changes and what a model that is down may hold up."""
        enough = self._page_size
        with self._state.changed:
            dirty = len(self._state.ledger) - sum(self._state.ledger.held().values())
        if dirty >= enough:
            pending = self._state.pending()
            dirty -= pending[Lane.LIVE] + (0 if migration else pending[Lane.MIGRATION])
        return dirty >= enough

    @property
    def _page_size(self) -> int:
        """How many keys a backfill reads at once: few enough to leave room for live changes."""
        return max(1, min(self._settings.log_page, self._settings.pending_max // 4))

    def _continue_backfill(self, backfill: Backfill, room: int) -> bool:
        state = self._state
        migration = backfill.lane is Lane.MIGRATION
        self._backfills.note_done(backfill, partial(state.is_pending, migration=migration))
        if backfill.is_finished:
            self._backfills.finish(backfill)
            if backfill.name == FULL_SCAN and state.progress.held is not None and not self._sweep_due:
                state.progress.let_go()
            with state.changed:
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
