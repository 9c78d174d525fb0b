"""
The engine: mark dirty, read, render, embed, write; and the two numbers that say how far it is.

Every stage is a plain method, so that the threaded runner, a one-shot command and the simulator all run the same
code. The lock guards the ledger and the counters; the only I/O under it is the journal's own, of durable marks.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from slipstream.domain.errors import CorruptionError, PoisonEventError, PositionLostError, TransientError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.requests import EmbeddingResult
from slipstream.domain.work import URGENT, DeadLetter, Lane, WorkItem
from slipstream.ports.clock import Clock
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.ports.log import ChangeLog
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.sync.backlog import Backlog
from slipstream.sync.failures import CircuitBreaker, backoff_s, event_letters, halts
from slipstream.sync.ledger import Claim, DirtyLedger, Settled
from slipstream.sync.names import CHECKPOINT, FULL_SCAN
from slipstream.sync.planner import Plan, Planner
from slipstream.sync.recipe import ViewRecipe
from slipstream.sync.reconciler import Prepared, Reconciler
from slipstream.sync.scanning import KeyScan
from slipstream.sync.settings import SyncSettings
from slipstream.sync.sizing import BatchSizer
from slipstream.sync.spans import StageSpans
from slipstream.sync.stats import SyncStats
from slipstream.views.viewset import ViewSet

logger = logging.getLogger(__name__)

_BACKGROUND = (Lane.MIGRATION, Lane.REPAIR, Lane.BACKFILL)


class SyncEngine:
    """Keeps an index behind a graph. See the package's ARCHITECTURE page for the loop."""

    def __init__(
        self,
        *,
        graph: Graph,
        log: ChangeLog,
        index: VectorIndex,
        journal: Journal,
        dead_letters: DeadLetters,
        views: ViewSet,
        service: EmbeddingService,
        clock: Clock,
        settings: SyncSettings | None = None,
        rng: random.Random | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.settings = settings or SyncSettings()
        self.recipe = ViewRecipe(views, service)
        self.stats = SyncStats()
        self._graph, self._log, self._index = graph, log, index
        self._journal, self._letters = journal, dead_letters
        self._views, self._clock = views, clock
        self._rng = rng or random.Random()  # noqa: S311  (jitter, not cryptography)
        self._reconciler = Reconciler(graph, index, service, self.recipe, clock)
        self._spans = StageSpans(tracer, graph, index)
        self._planner = Planner(graph, views, self.settings.fanout_live_max)
        self._breaker = CircuitBreaker(self.settings.backoff_base_s, self.settings.backoff_max_s, self._rng)
        self._sizer = BatchSizer(self.settings)
        self._ledger = DirtyLedger()
        self._backlog = Backlog(journal, self._ledger, clock, self.settings.pending_max)
        self._changed = threading.Condition(threading.RLock())
        self._writing = threading.Lock()
        self._scan: KeyScan | None = None
        self._full_scan_due = journal.get(FULL_SCAN) is not None
        self._halted: Exception | None = None
        self._checkpoint = self._consumed = self._saved_checkpoint()
        self._frontier = ORIGIN
        self._saved_at = clock.monotonic()
        self._letter_count = dead_letters.letter_count()
        self._recover_position()

    # ------------------------------------------------------------------ opening

    def _saved_checkpoint(self) -> Position:
        return Position(int(self._journal.get(CHECKPOINT) or 0))

    def _recover_position(self) -> None:
        """Load unfinished work and make sure that the log still reaches back to the checkpoint."""
        head = self._log.head()
        if self._checkpoint > head:
            raise CorruptionError(
                f"the journal has consumed the log up to {self._checkpoint}, but the graph ends at {head}: it was "
                "restored from a backup, and `heal_timeline` must be called before an engine is made"
            )
        try:
            self._log.read(self._checkpoint, 1)
        except PositionLostError:
            logger.warning("the log no longer reaches back to %s: scanning the whole graph", self._checkpoint)
            self.request_full_scan()
            self._checkpoint = self._consumed = head
        self._load_work()
        self._frontier = self._frontier_now()

    def request_full_scan(self) -> None:
        """Compare every key of both sides by fingerprint, in the background; survives a restart."""
        self._journal.set(FULL_SCAN, "1")
        self._full_scan_due = True

    def _load_work(self) -> None:
        if self._backlog.has_more:
            with self._writing, self._changed:
                self._backlog.load()
                self._advance_frontier()

    # ------------------------------------------------------------------ marking

    def mark(
        self, keys: Sequence[RecordKey], *, lane: Lane = Lane.REPAIR, reason: str = "", force: bool = False
    ) -> None:
        """
        Mark keys dirty, durably: create, repair, migrate and replay are all this one operation.

        With `force` they are embedded anew even when their fingerprint is unchanged.
        """
        items = [WorkItem(key, lane, reason=reason, force=force) for key in dict.fromkeys(keys)]
        self._keep_work(items)

    def replay(self, event: PKGEvent) -> None:
        """Mark everything dirty that an event affects, now: what a dead letter of an event asks for."""
        self.mark(self._planner.keys_of(event), reason=f"event {event.event_id} replayed")

    def _keep_work(self, items: Sequence[WorkItem]) -> None:
        # Never beside a write: it could remove the item of a key that is in flight right now.
        with self._writing, self._changed:
            self._backlog.keep(items)
            self._changed.notify_all()

    # ------------------------------------------------------------------ stages

    def intake(self) -> bool:
        """Turn the next log entries into dirty keys; False when there was nothing to do or no room."""
        with self._changed:
            room = self.settings.pending_max - len(self._ledger)
        if room <= 0:
            return False
        if self._scan is not None and self._scan.position is not None:
            return self._continue_scan(self._scan, room)
        entries = self._log.read(self._consumed, min(self.settings.log_page, room))
        if not entries:
            return self._intake_background(room)
        with self._spans.intake("receive", len(entries)):
            self._take_in(self._planner.plan(entries))
        return True

    def _take_in(self, plan: Plan) -> None:
        self._keep(plan)
        with self._changed:
            for mark in plan.marks:
                self._ledger.mark(mark.key, Lane.LIVE, mark.position, committed_at=mark.committed_at)
            self._consumed = plan.through
            self.stats.note_events(plan.outcomes)
            if plan.rescan is not None:
                reached = self._views.types_reached_by(plan.rescan.types)
                self._scan = KeyScan(self._graph, self._index, reached, Lane.LIVE, plan.rescan.position)
            self._advance_frontier()

    def _keep(self, plan: Plan) -> None:
        """Store what no ledger would rebuild after a restart, before the log is passed."""
        if plan.deferred:
            logger.warning("%d neighbours past the live fan-out limit go to the backfill lane", len(plan.deferred))
            self._keep_work(plan.deferred)
        if plan.poisoned:
            self._letters.bury(event_letters(plan.poisoned, self._clock.now()))
            logger.warning("%d events could not be planned and are dead letters now", len(plan.poisoned))
        with self._changed:
            self._letter_count += len(plan.poisoned)
            self.stats.counters["dead_lettered"] += len(plan.poisoned)
            self.stats.counters["fanout_deferred"] += len(plan.deferred)

    def _intake_background(self, room: int) -> bool:
        if self._scan is None and self._full_scan_due:
            self._scan = KeyScan(self._graph, self._index, None, Lane.BACKFILL, None)
        if self._scan is not None and not self._scan.exhausted:
            return len(self._ledger) < self.settings.log_page and self._continue_scan(self._scan, room)
        if len(self._ledger):
            return False
        if self._scan is not None:
            # Only now: none of the keys it marked has a work item of its own.
            self._journal.set(FULL_SCAN, None)
            self._scan, self._full_scan_due = None, False
        self._load_work()
        return len(self._ledger) > 0

    def _continue_scan(self, scan: KeyScan, room: int) -> bool:
        size = min(room, self.settings.log_page)
        with self._spans.intake("scan", size):
            page = scan.page(size)
        with self._changed:
            for key in page:
                self._ledger.mark(key, scan.lane, scan.position)
            if scan.exhausted and scan.position is not None:
                self._consumed, self._scan = scan.position, None
                self._advance_frontier()
        return bool(page) or scan.position is not None

    def take(self) -> list[Claim]:
        """Claim the next batch; empty when nothing is due or a dependency is down."""
        now = self._clock.monotonic()
        with self._changed:
            if self._halted is not None or self._breaker.wait_s(now) > 0:
                return []
            limit = 1 if self._breaker.failures else self._sizer.live
            claims = self._ledger.take(limit, now, URGENT)
            return claims or self._ledger.take(min(limit, self._sizer.background), now, _BACKGROUND)

    def prepare(self, claims: Sequence[Claim]) -> Prepared:
        """Read both sides and decide what is to be done for the claims."""
        forced = frozenset(claim.key for claim in claims if claim.force)
        with self._spans.prepare(len(claims)) as span:
            prepared = self._reconciler.prepare([claim.key for claim in claims], forced)
        prepared.span = span
        return prepared

    def embed(self, prepared: Prepared) -> Sequence[EmbeddingResult]:
        """Compute the vectors that the batch needs."""
        started = self._clock.monotonic()
        with self._spans.embed(prepared):
            results = self._reconciler.embed(prepared)
        computed = sum(1 for result in results if not result.cached)
        self._sizer.observe(computed, self._clock.monotonic() - started)
        return results

    def write(self, claims: Sequence[Claim], prepared: Prepared, results: Sequence[EmbeddingResult]) -> None:
        """Write the batch and move the checkpoint with it, in one journal transaction; then the frontier."""
        with self._writing:
            with self._changed:
                firsts = self._ledger.firsts(claims)
                settled = self._ledger.settle(claims, prepared.position)
                checkpoint = self._checkpoint_now()
            try:
                self._write_durably(settled, prepared, results, checkpoint)
            except BaseException:
                with self._changed:
                    self._ledger.restore(claims, firsts)
                raise
            with self._changed:
                self._ledger.finish(claims, prepared.position)
                self._breaker.close()
                self._observe(claims)
                self._advance_frontier()

    def _write_durably(
        self, settled: Settled, prepared: Prepared, results: Sequence[EmbeddingResult], checkpoint: Position
    ) -> None:
        writes = bool(results or prepared.deletions or prepared.restamps)
        if not (writes or settled.durable or self._letter_count or self._checkpoint_is_due()):
            self._count(unchanged=prepared.unchanged)
            return
        with self._spans.write(prepared), self._journal.transaction():
            applied = self._reconciler.apply(prepared, results)
            if settled.durable:
                self._journal.remove_work(settled.durable)
            resolved = self._letters.remove_keys(settled.clean) if self._letter_count else 0
            self._journal.set(CHECKPOINT, str(checkpoint))
        self._note_checkpoint(checkpoint)
        self._letter_count -= resolved
        self._count(
            embedded=applied.embedded,
            cached=applied.cached,
            restamped=applied.restamped,
            deleted=applied.deleted,
            unchanged=applied.unchanged,
            fenced=applied.fenced,
            batches=1,
        )

    def process(self, claims: Sequence[Claim]) -> None:
        """Run one batch through all stages in the calling thread, whatever it meets."""
        try:
            prepared = self.prepare(claims)
            self.write(claims, prepared, self.embed(prepared))
        except Exception as error:  # noqa: BLE001  (every failure ends in a retry, a dead letter or a halt)
            self.recover(claims, error)

    def step(self) -> bool:
        """Do one round of the loop in the calling thread; False when there was nothing to do."""
        taken_in = self.guarded_intake()
        claims = self.take()
        if claims:
            self.process(claims)
        return taken_in or bool(claims)

    # ------------------------------------------------------------------ failures

    def guarded_intake(self) -> bool:
        """Take in what there is; an outage of the graph or the log opens the breaker, corruption halts."""
        with self._changed:
            if self._halted is not None or self._breaker.wait_s(self._clock.monotonic()) > 0:
                return False
        try:
            return self.intake()
        except Exception as error:
            if not halts(error) and not isinstance(error, TransientError):
                raise  # a defect: it ends the pipeline, loudly
            self.recover([], error)
            return False

    def recover(self, claims: Sequence[Claim], error: Exception) -> None:
        """Deal with a failed batch: wait out an outage, halt on corruption, bisect for the key at fault."""
        if halts(error) or isinstance(error, TransientError):
            with self._changed:
                self._ledger.release(claims)
                if isinstance(error, TransientError):
                    self._breaker.trip(error, self._clock.monotonic())
                    self.stats.note_retry(error)
                else:
                    self._halted = error
                self._changed.notify_all()
            logger.warning("sync pauses: %s: %s", type(error).__name__, error)
        elif len(claims) == 1:
            self._fail(claims[0], error)
        else:
            middle = len(claims) // 2
            self.process(claims[:middle])
            self.process(claims[middle:])

    def note_idle(self) -> None:
        """Close the breaker: nothing waits for a dependency any more, whoever failed last."""
        with self._changed:
            if self._breaker.failures:
                self._breaker.close()
                self._changed.notify_all()

    def _fail(self, claim: Claim, error: Exception) -> None:
        attempts = claim.attempts + 1
        final = isinstance(error, PoisonEventError) or attempts >= self.settings.attempts_max
        text = f"{type(error).__name__}: {error}"
        logger.warning("%s failed (attempt %d): %s", claim.key.encode(), attempts, text)
        with self._changed:
            position = self._ledger.firsts([claim])[claim.key]
        if final:
            self._bury(claim, attempts, text, position)
            return
        delay_s = backoff_s(attempts, self.settings.backoff_base_s, self.settings.backoff_max_s, self._rng)
        due_at = self._clock.now() + timedelta(seconds=delay_s)
        self._journal.put_work(
            [WorkItem(claim.key, Lane.RETRY, position, attempts, due_at, "retry", text, claim.force)]
        )
        with self._changed:
            self._ledger.defer(claim, attempts, self._clock.monotonic() + delay_s)
            self.stats.counters["retried"] += 1
            self.stats.note_retry(error)

    def _bury(self, claim: Claim, attempts: int, error: str, position: Position | None) -> None:
        letter = DeadLetter(claim.key.encode(), claim.key, error, attempts, self._clock.now(), position)
        with self._journal.transaction():
            self._letters.bury([letter])
            self._journal.remove_work([claim.key])
        with self._changed:
            self._ledger.drop(claim)
            self._letter_count = self._letters.letter_count()
            self.stats.counters["dead_lettered"] += 1
            self._advance_frontier()

    # ------------------------------------------------------------------ positions

    def _checkpoint_now(self) -> Position:
        floor = self._ledger.checkpoint_floor()
        return self._consumed if floor is None else min(self._consumed, Position(floor - 1))

    def _frontier_now(self) -> Position:
        # A work item may come from an entry that a crash left unread: the floor can lie behind what is consumed.
        floors = [floor for floor in (self._ledger.frontier_floor(), self._backlog.floor) if floor is not None]
        return min([self._consumed, *(Position(floor - 1) for floor in floors)])

    def _advance_frontier(self) -> None:
        self._frontier = max(self._frontier, self._frontier_now())
        self._changed.notify_all()

    def _checkpoint_is_due(self) -> bool:
        return self._clock.monotonic() - self._saved_at >= self.settings.checkpoint_interval_s

    def save_checkpoint(self) -> None:
        """Save the checkpoint when it has moved (an idle or stopping engine calls this)."""
        with self._writing:
            with self._changed:
                checkpoint = self._checkpoint_now()
            if checkpoint != self._checkpoint:
                self._journal.set(CHECKPOINT, str(checkpoint))
                self._note_checkpoint(checkpoint)

    def _note_checkpoint(self, checkpoint: Position) -> None:
        self._checkpoint, self._saved_at = checkpoint, self._clock.monotonic()

    def _count(self, **counts: int) -> None:
        with self._changed:
            self.stats.counters.update(counts)

    def _observe(self, claims: Sequence[Claim]) -> None:
        now = self._clock.now()
        self.stats.observe((now - claim.committed_at).total_seconds() for claim in claims if claim.committed_at)

    # ------------------------------------------------------------------ what others may ask

    @property
    def changed(self) -> threading.Condition:
        """Notified whenever the frontier, the queue or the halt may have changed."""
        return self._changed

    @property
    def frontier(self) -> Position:
        """Everything up to it is in the index."""
        return self._frontier

    @property
    def consumed(self) -> Position:
        """How far the log has been read."""
        return self._consumed

    @property
    def checkpoint(self) -> Position:
        """The checkpoint as it was last saved."""
        return self._checkpoint

    @property
    def halted(self) -> Exception | None:
        """Why the engine has stopped for good, if it has."""
        return self._halted

    @property
    def outage(self) -> str | None:
        """The error of the dependency that is down, if one is."""
        return self._breaker.error

    @property
    def letter_count(self) -> int:
        """How many dead letters there are."""
        return self._letter_count

    def recount_letters(self) -> None:
        """Look again how many dead letters there are: somebody has removed some."""
        with self._changed:
            self._letter_count = self._letters.letter_count()

    def pending(self) -> dict[Lane, int]:
        """Return how many dirty keys are held in memory, by lane."""
        with self._changed:
            return self._ledger.counts()

    def is_pending(self, keys: Sequence[RecordKey]) -> list[bool]:
        """Return for each key whether it is dirty now."""
        with self._changed:
            return [key in self._ledger for key in keys]

    def oldest_commit(self) -> datetime | None:
        """Return when the oldest mutation was committed that was read but is not reflected yet."""
        with self._changed:
            return self._ledger.oldest_commit()

    def is_settled(self) -> bool:
        """Whether nothing is dirty, nothing is waiting and the log is consumed to its head."""
        with self._changed:
            if len(self._ledger) or self._scan is not None or self._backlog.has_more or self._full_scan_due:
                return False
        return self._consumed >= self._log.head()

    def wait_s(self) -> float:
        """Return how long an idle caller may wait before it must look again."""
        now = self._clock.monotonic()
        with self._changed:
            due = self._ledger.next_due()
            breaker_s = self._breaker.wait_s(now)
        wait_s = self.settings.idle_wait_s if due is None else min(self.settings.idle_wait_s, max(0.0, due - now))
        return max(breaker_s, wait_s) if breaker_s else wait_s
