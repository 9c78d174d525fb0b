"""
The engine: mark dirty, read, render, embed, write; and the two numbers that say how far it is.

Every stage is a plain method, so that the threaded runner, a one-shot command and the simulator all run the same
code. The lock guards the ledger and the counters; the only I/O under it is the journal's own, of durable marks.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from slipstream.domain.errors import CorruptionError, PositionLostError, TransientError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.requests import EmbeddingResult
from slipstream.domain.work import URGENT, Lane, WorkItem
from slipstream.ports.clock import Clock
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.ports.log import ChangeLog
from slipstream.ports.recipe import Recipe
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.sync.failed_keys import FailedKeys
from slipstream.sync.failures import halts
from slipstream.sync.intake import Intake
from slipstream.sync.ledger import Claim, Settled
from slipstream.sync.names import CHECKPOINT, FULL_SCAN
from slipstream.sync.recipe import ViewRecipe
from slipstream.sync.recipes import RecipePair, Recipes
from slipstream.sync.reconciler import Prepared, Reconciler
from slipstream.sync.settings import SyncSettings
from slipstream.sync.spans import StageSpans
from slipstream.sync.state import EngineState
from slipstream.sync.stats import SyncStats
from slipstream.sync.taking import Taking, is_migration
from slipstream.views.viewset import ViewSet

logger = logging.getLogger(__name__)


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
        views: ViewSet | Recipes,
        service: EmbeddingService,
        clock: Clock,
        settings: SyncSettings | None = None,
        rng: random.Random | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.settings = settings or SyncSettings()
        self.recipes = views if isinstance(views, Recipes) else Recipes(ViewRecipe(views, service))
        self.recipe: Recipe = self.recipes
        self._log, self._journal, self._letters, self._clock = log, journal, dead_letters, clock
        self._rng = rng or random.Random()  # noqa: S311  (jitter, not cryptography)
        self._reconciler = Reconciler(
            graph, index, service, self.recipes, clock, confidence_gain=self.settings.reembed_confidence_gain
        )
        self._spans = StageSpans(tracer, graph, index)
        self._state = EngineState(journal, dead_letters, clock, self.settings.pending_max)
        self._taking = Taking(self.settings, self._state, clock, self._rng)
        self.intake_stage = Intake(
            graph=graph,
            log=log,
            index=index,
            journal=journal,
            dead_letters=dead_letters,
            recipes=self.recipes,
            clock=clock,
            settings=self.settings,
            spans=self._spans,
            state=self._state,
            is_migration_down=self._is_migration_down,
        )
        self._failed_keys = FailedKeys(self._state, journal, dead_letters, clock, self.settings, self._rng)
        self._halted: Exception | None = None
        self._saved_at = clock.monotonic()
        self._recover_position()

    # ------------------------------------------------------------------ opening

    def _recover_position(self) -> None:
        """Load unfinished work and make sure that the log still reaches back to the checkpoint."""
        head = self._log.head()
        if self._state.checkpoint > head:
            raise CorruptionError(
                f"the journal has consumed the log up to {self._state.checkpoint}, but the graph ends at {head}: it "
                "was restored from a backup, and `heal_timeline` must be called before an engine is made"
            )
        try:
            self._log.read(self._state.checkpoint, 1)
        except PositionLostError:
            logger.warning("the log no longer reaches back to %s: scanning the whole graph", self._state.checkpoint)
            self.request_full_scan()
            self._state.checkpoint = self._state.consumed = head
        self._state.load_work()
        self._state.frontier = self._state.frontier_now()

    def request_full_scan(self) -> None:
        """Compare every key of both sides by fingerprint, in the background; survives a restart."""
        self.intake_stage.begin_backfill(FULL_SCAN, Lane.BACKFILL)

    def swap_recipes(
        self, pair: RecipePair, commit: Callable[[], None], is_kept: Callable[[], bool], *, drained: bool = False
    ) -> bool:
        """
        Put other recipes in force between two writes; `commit` makes it durable.

        When it fails, `is_kept` is asked whether it was durable all the same (a lost acknowledgement). With `drained`
        only when the generation beside the live one lacks nothing of what is reflected: else False.
        """
        with self._state.writing:
            # Of any lane: a failure can have moved what is left for the other generation to a more urgent one.
            if drained and (self._journal.work_count() or self.pending()[Lane.MIGRATION]):
                return False
            try:
                commit()
            except Exception:
                if not is_kept():
                    raise
                logger.warning("the journal reported an error, but has kept the other recipes", exc_info=True)
            self.recipes.swap(pair)
        with self._state.changed:
            self._state.changed.notify_all()
        return True

    # ------------------------------------------------------------------ marking

    def mark(
        self, keys: Sequence[RecordKey], *, lane: Lane = Lane.REPAIR, reason: str = "", force: bool = False
    ) -> None:
        """
        Mark keys dirty, durably: create, repair, migrate and replay are all this one operation.

        With `force` they are embedded anew even when their fingerprint is unchanged.
        """
        items = [WorkItem(key, lane, reason=reason, force=force) for key in dict.fromkeys(keys)]
        self._state.keep_work(items)

    def replay(self, event: PKGEvent) -> None:
        """Mark everything dirty that an event affects, now: what a dead letter of an event asks for."""
        self.mark(self.intake_stage.planner.keys_of(event), reason=f"event {event.event_id} replayed")

    # ------------------------------------------------------------------ stages

    def intake(self) -> bool:
        """Turn the next log entries into dirty keys; False when there was nothing to do or no room."""
        return self.intake_stage.step()

    @property
    def is_busy(self) -> bool:
        """Whether live changes flow: work in the background then keeps out of their way."""
        return self._taking.is_busy

    def take(self, *, background: bool = True) -> list[Claim]:
        """Claim the next batch, without `background` only of what somebody waits for; empty when nothing is due."""
        with self._state.changed:
            return [] if self._halted is not None else self._taking.take(background=background)

    def prepare(self, claims: Sequence[Claim]) -> Prepared:
        """
        Read both sides and decide what is to be done for the claims.

        What a generation beside the live one needs is left to the migration lane, where its model may fail.
        """
        forced = frozenset(claim.key for claim in claims if claim.force)
        with self._spans.prepare(len(claims)) as span:
            prepared = self._reconciler.prepare(
                [claim.key for claim in claims], forced, live_only=not is_migration(claims)
            )
        prepared.span = span
        return prepared

    def embed(self, prepared: Prepared, *, urgent: bool = True) -> Sequence[EmbeddingResult]:
        """Compute the vectors that the batch needs."""
        started = self._clock.monotonic()
        with self._spans.embed(prepared):
            results = self._reconciler.embed(prepared)
        computed = sum(1 for result in results if not result.cached)
        self._taking.note_embedded(computed, self._clock.monotonic() - started, urgent=urgent)
        return results

    def write(self, claims: Sequence[Claim], prepared: Prepared, results: Sequence[EmbeddingResult]) -> None:
        """
        Write the batch and move the checkpoint with it, in one journal transaction; then the frontier.

        A batch that was prepared under recipes that are not in force any more is given back instead.
        """
        with self._state.writing:
            if prepared.recipes is not self.recipes.pair:
                with self._state.changed:
                    self._state.ledger.release(claims)
                return
            deferred = _deferred(prepared)
            with self._state.changed:
                firsts = self._state.ledger.firsts(claims)
                settled = self._state.ledger.settle(claims, prepared.position)
                checkpoint = self._state.checkpoint_now()
            try:
                self._write_durably(settled, prepared, results, checkpoint, deferred)
            except BaseException:
                with self._state.changed:
                    self._state.ledger.restore(claims, firsts)
                raise
            with self._state.changed:
                self._state.ledger.finish(claims, prepared.position)
                self._state.backlog.adopt(deferred)
                self._state.settle_debts(settled.clean, prepared.deferred)
                self._taking.close(claims)
                self._observe(claims)
                self._state.advance_frontier()

    def _write_durably(
        self,
        settled: Settled,
        prepared: Prepared,
        results: Sequence[EmbeddingResult],
        checkpoint: Position,
        deferred: Sequence[WorkItem],
    ) -> None:
        writes = bool(results or prepared.deletions or prepared.restamps or deferred)
        # Of what is only in the journal the ledger does not know.
        durable = settled.clean if self._state.backlog.has_more else settled.durable
        if not (writes or durable or self._state.letter_count or self._checkpoint_is_due()):
            self._state.count(unchanged=prepared.unchanged)
            return
        with self._spans.write(prepared), self._journal.transaction():
            applied = self._reconciler.apply(prepared, results)
            if durable:
                self._journal.remove_work(durable)
            if deferred:
                self._journal.put_work(deferred)
            resolved = self._letters.remove_keys(settled.clean) if self._state.letter_count else 0
            self._journal.set(CHECKPOINT, str(checkpoint))
        self._note_checkpoint(checkpoint)
        self._state.letter_count -= resolved
        self._state.count(
            embedded=applied.embedded,
            cached=applied.cached,
            restamped=applied.restamped,
            deleted=applied.deleted,
            unchanged=applied.unchanged,
            fenced=applied.fenced,
            blocked=len(applied.blocked),
            batches=1,
        )
        applied.warn_of_blocked()

    def process(self, claims: Sequence[Claim]) -> None:
        """Run one batch through all stages in the calling thread, whatever it meets."""
        is_urgent, started = claims[0].lane in URGENT, self._clock.monotonic()
        try:
            prepared = self.prepare(claims)
            self.write(claims, prepared, self.embed(prepared, urgent=is_urgent))
            if not is_urgent:
                self.note_background(len(claims), self._clock.monotonic() - started)
        except Exception as error:  # noqa: BLE001  (every failure ends in a retry, a dead letter or a halt)
            self.recover(claims, error)

    def note_background(self, keys: int, duration_s: float) -> None:
        """Note how long a batch in the background took, from its first read to its last write."""
        self._taking.note_background(keys, duration_s)

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
        with self._state.changed:
            if self._halted is not None or self._taking.breaker.wait_s(self._clock.monotonic()) > 0:
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
            self._pause(claims, error)
            logger.warning("sync pauses: %s: %s", type(error).__name__, error)
        elif len(claims) == 1:
            self._failed_keys.fail(claims[0], error)
        else:
            middle = len(claims) // 2
            self.process(claims[:middle])
            self.process(claims[middle:])

    def _pause(self, claims: Sequence[Claim], error: Exception) -> None:
        state = self._state
        with state.changed:
            state.ledger.release(claims)
            if is_migration(claims) and not isinstance(error, CorruptionError):
                self._taking.trip(claims, error)  # what nobody searches must not stop what somebody does
            elif isinstance(error, TransientError):
                self._taking.trip(claims, error)
            else:
                self._halted = error
            if isinstance(error, TransientError):
                state.stats.note_retry(error)
            state.changed.notify_all()

    def note_idle(self) -> None:
        """Close the breaker: nothing waits for a dependency any more, whoever failed last."""
        with self._state.changed:
            if self._taking.breaker.failures:
                self._taking.breaker.close()
                self._state.changed.notify_all()

    # ------------------------------------------------------------------ positions

    def _checkpoint_is_due(self) -> bool:
        return self._clock.monotonic() - self._saved_at >= self.settings.checkpoint_interval_s

    def save_checkpoint(self) -> None:
        """Save the checkpoint when it has moved (an idle or stopping engine calls this)."""
        with self._state.writing:
            with self._state.changed:
                checkpoint = self._state.checkpoint_now()
            if checkpoint != self._state.checkpoint:
                self._journal.set(CHECKPOINT, str(checkpoint))
                self._note_checkpoint(checkpoint)

    def _note_checkpoint(self, checkpoint: Position) -> None:
        self._state.checkpoint, self._saved_at = checkpoint, self._clock.monotonic()

    def _observe(self, claims: Sequence[Claim]) -> None:
        now = self._clock.now()
        self._state.stats.observe(
            (now - claim.committed_at).total_seconds() for claim in claims if claim.committed_at
        )

    # ------------------------------------------------------------------ what others may ask

    @property
    def changed(self) -> threading.Condition:
        """Notified whenever the frontier, the queue or the halt may have changed."""
        return self._state.changed

    @property
    def frontier(self) -> Position:
        """Everything up to it is in the index."""
        return self._state.frontier

    @property
    def consumed(self) -> Position:
        """How far the log has been read."""
        return self._state.consumed

    @property
    def checkpoint(self) -> Position:
        """The checkpoint as it was last saved."""
        return self._state.checkpoint

    @property
    def halted(self) -> Exception | None:
        """Why the engine has stopped for good, if it has."""
        return self._halted

    @property
    def has_live_work(self) -> bool:
        """Whether live changes wait to be taken."""
        with self._state.changed:
            return self._state.ledger.ready(Lane.LIVE)

    @property
    def is_down(self) -> bool:
        """Whether it has halted, or waits for a dependency of the live generation."""
        return self._halted is not None or self._taking.breaker.failures > 0

    @property
    def outage(self) -> str | None:
        """The error of the dependency that is down, if one is."""
        return self._taking.breaker.error

    @property
    def state(self) -> EngineState:
        """What it knows: shared with those who wait for the generation beside the live one."""
        return self._state

    def _is_migration_down(self) -> bool:
        """Whether the migration lane waits for its model; with nothing in it, nobody would find out that it is up."""
        return self._taking.migration_outage is not None and self.pending()[Lane.MIGRATION] > 0

    @property
    def migration_outage(self) -> str | None:
        """The error of what keeps a migration from going on, while everything else does."""
        return self._taking.migration_outage

    @property
    def letter_count(self) -> int:
        """How many dead letters there are."""
        return self._state.letter_count

    def recount_letters(self) -> None:
        """Look again how many dead letters there are: somebody has removed some."""
        with self._state.changed:
            self._state.letter_count = self._letters.letter_count()

    @property
    def stats(self) -> SyncStats:
        """What it did since it was opened."""
        return self._state.stats

    def pending(self) -> dict[Lane, int]:
        """Return how many dirty keys are held in memory, by lane."""
        return self._state.pending()

    def is_pending(self, keys: Sequence[RecordKey], *, migration: bool = True) -> list[bool]:
        """Return for each key whether it is dirty now; without `migration`, whether the live record may be behind."""
        return self._state.is_pending(keys, migration=migration)

    def oldest_commit(self) -> datetime | None:
        """Return when the oldest mutation was committed that was read but is not reflected yet."""
        with self._state.changed:
            return self._state.ledger.oldest_commit()

    def is_settled(self, *, migration: bool = True) -> bool:
        """
        Whether nothing is dirty, nothing is waiting and the log is consumed to its head.

        Without `migration` the migration lane and its backfills do not count: searches ask nothing of them.
        """
        if not self.intake_stage.is_done(migration=migration):
            return False
        counts = self.pending()
        if sum(counts.values()) > (0 if migration else counts[Lane.MIGRATION]):
            return False
        if self._state.backlog.has_more and (migration or not self._is_all_migration()):
            return False
        return self._state.consumed >= self._log.head()

    def _is_all_migration(self) -> bool:
        return self._journal.work_count() == self._journal.work_count(Lane.MIGRATION)

    def wait_s(self) -> float:
        """Return how long an idle caller may wait before it must look again."""
        now = self._clock.monotonic()
        with self._state.changed:
            due = self._state.ledger.next_due()
            breaker_s = self._taking.breaker.wait_s(now)
        wait_s = self.settings.idle_wait_s if due is None else min(self.settings.idle_wait_s, max(0.0, due - now))
        return max(breaker_s, wait_s) if breaker_s else wait_s


def _deferred(prepared: Prepared) -> list[WorkItem]:
    """Return the work that is left for the generation beside the live one."""
    return [WorkItem(key, Lane.MIGRATION, reason="next generation") for key in prepared.deferred]
