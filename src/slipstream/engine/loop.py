"""
The engine: mark dirty, read, render, embed, write; and the two numbers that say how far it is.

Every stage is a plain method, so that the threaded runner, a one-shot command and the simulator all run the same
code. `EngineState` says what each lock guards.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from functools import partial

from slipstream.apply.applying import applied
from slipstream.apply.reconciler import Prepared, Reconciler
from slipstream.apply.spans import StageSpans
from slipstream.apply.stamping import Stamping
from slipstream.domain.errors import (
    CorruptionError,
    IncidentError,
    LeaseLostError,
    PoisonEventError,
    PositionLostError,
    TransientError,
    UnavailableError,
)
from slipstream.domain.events import PKGEvent
from slipstream.domain.journal_names import FULL_SCAN
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import EmbeddingResult
from slipstream.domain.work import URGENT, Claim, Lane, WorkItem
from slipstream.engine.facts import EngineFacts
from slipstream.engine.failures import FailedKeys, halts
from slipstream.engine.intake import Intake
from slipstream.engine.ledger import Settled
from slipstream.engine.outages import Outages, is_of_model, models_of
from slipstream.engine.progress import Reached
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import EngineState, Saving
from slipstream.engine.taking import Taking, is_migration
from slipstream.ports.clock import Clock
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.ports.recipe import Recipe
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.recipes.in_force import RecipePair, Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.viewset import ViewSet

logger = logging.getLogger(__name__)

_ENDING = (CorruptionError, LeaseLostError, IncidentError)
"""What ends the engine, whichever generation meets it."""
_END_S = 1.0


class SyncEngine(EngineFacts):
    """Keeps an index behind a graph: the stages of one change, and what becomes of failures."""

    def __init__(
        self,
        *,
        graph: GraphReader,
        log: ChangeFeed,
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
        settings = self.settings
        self._state = EngineState(journal, dead_letters, clock, settings.pending_max, settings.backoff_max_s)
        self.saving = Saving(self._state, journal, clock, settings.checkpoint_interval_s)
        self.stamping = Stamping(journal, self._state.writing)
        self._taking = Taking(self.settings, self._state, clock, self._rng)
        self.outages = Outages(self.settings, self._state, clock, self._rng)
        self.intake_stage = Intake(
            graph=graph,
            log=log,
            index=index,
            journal=journal,
            dead_letters=dead_letters,
            recipes=self.recipes,
            reconciler=self._reconciler,
            clock=clock,
            settings=self.settings,
            spans=self._spans,
            state=self._state,
            is_migration_down=self._is_migration_down,
        )
        self._failed_keys = FailedKeys(self._state, journal, dead_letters, clock, self.settings, self._rng)
        self._halted: Exception | None = None
        self._has_ended = False
        self._recover_position()

    # ------------------------------------------------------------------ opening

    def _recover_position(self) -> None:
        """Load unfinished work and make sure that the log still reaches back to the checkpoint."""
        head, progress = self._log.head(), self._state.progress
        if progress.consumed > head:
            raise CorruptionError(
                f"the journal has consumed the log up to {progress.consumed}, but the graph ends at {head}: it "
                "was restored from a backup, and must be adopted (`adopt_graph`) before an engine is made"
            )
        self._state.load_work()
        try:
            self._log.read(progress.consumed, 1)
        except PositionLostError:
            self.intake_stage.begin_sweep(head)
        if progress.frontier < progress.saved.frontier:
            self.save_checkpoint()  # other processes must not go by a frontier that does not hold any more

    def request_full_scan(self) -> None:
        """Compare every key of both sides by fingerprint, in the background; survives a restart."""
        self.intake_stage.begin_backfill(FULL_SCAN, Lane.BACKFILL)

    def swap_recipes(
        self, pair: RecipePair, commit: Callable[[], None], is_kept: Callable[[], bool], *, drained: bool = False
    ) -> bool:
        """
        Put other recipes in force between two writes; `commit` makes it durable.

        When that fails, `is_kept` tells whether it is durable all the same (a lost acknowledgement). With `drained`
        nothing is swapped, and False returned, unless the generation beside lacks nothing that the live one reflects.
        """
        with self._state.writing:
            # Work of any lane counts: a failure can have moved what the other generation lacks to a more urgent one.
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
        """Mark every key dirty that an event affects by the graph as it is now; for dead letters of events."""
        self.mark(self.intake_stage.planner.keys_of(event), reason=f"event {event.event_id} replayed")

    # ------------------------------------------------------------------ stages

    def intake(self) -> bool:
        """Turn the next log entries into dirty keys; False when there was nothing to do or no room."""
        return self.intake_stage.step()

    @property
    def is_busy(self) -> bool:
        """Whether live changes flow, or somebody searches: work in the background then keeps out of their way."""
        return self._taking.is_busy

    def note_search(self) -> None:
        """Note that somebody searches now; waits for nothing."""
        self._state.searched_at = self._clock.monotonic()

    def take(self, *, background: bool = True) -> list[Claim]:
        """Claim the next batch, without `background` of the urgent lanes only; empty when nothing is due."""
        with self._state.changed:
            self.outages.free_due()
            return [] if self._halted is not None else self._taking.take(background=background)

    def prepare(self, claims: Sequence[Claim]) -> Prepared:
        """
        Read both sides and decide what is to be done for the claims.

        What a generation beside the live one needs is left to the migration lane, where its model may fail. Claims
        whose model is down are held: go on with those that are left (`prepared.left`).
        """
        forced = frozenset(claim.key for claim in claims if claim.force)
        with self._spans.prepare(len(claims)) as span:
            prepared = self._reconciler.prepare(
                [claim.key for claim in claims],
                forced,
                live_only=not is_migration(claims),
                can_hold=not is_migration(claims),
            )
        prepared.span = span
        if not is_migration(claims):
            with self._state.changed:
                self.outages.set_aside(claims, prepared)
                has_others = self.outages.has_others
            if has_others:
                self._state.put_held_by()
        return prepared

    def embed(self, prepared: Prepared, *, urgent: bool = True) -> Sequence[EmbeddingResult]:
        """Compute the vectors that the batch needs."""
        started, models = self._clock.monotonic(), models_of(prepared.targets)
        answered: frozenset[str] = frozenset()
        try:
            with self._spans.embed(prepared):
                results = self._reconciler.embed(prepared)
            computed = sum(not result.cached for result in results)
            self._taking.note_embedded(computed, self._clock.monotonic() - started, urgent=urgent)
            answered = models if computed else answered
        except PoisonEventError:
            answered = models if len(models) == 1 else answered  # to refuse a text is an answer too
            raise
        finally:
            with self._state.changed:
                self.outages.note_done(answered, self._clock.monotonic() - started)
                self.outages.note_untried(models)
        return results

    def write(self, claims: Sequence[Claim], prepared: Prepared, results: Sequence[EmbeddingResult]) -> None:
        """
        Write the batch and move the checkpoint with it, in one journal transaction; then the frontier.

        A batch is given back instead when the recipes that it was prepared under are not in force any more, or one of
        its keys was written directly meanwhile.
        """
        with self._state.writing:
            if self._has_ended or prepared.recipes is not self.recipes.pair or self._state.is_overtaken(claims):
                self.give_back(claims)
                return
            deferred = prepared.later
            state, progress = self._state, self._state.progress
            with state.changed:
                settled = state.ledger.settle(claims, prepared.position)
                reached = progress.now()  # as it will be when the write is durable
                progress.begin_write(settled.firsts)
            try:
                self._write_durably(settled, prepared, results, reached, deferred)
            except BaseException:
                with state.changed:
                    state.ledger.restore(claims, settled)
                    progress.end_write()
                raise
            with state.changed:
                progress.end_write()
                state.ledger.finish(claims, prepared.position)
                state.backlog.adopt(deferred)
                state.settle_debts(settled.clean, prepared.deferred)
                self._taking.close(claims)
                self._observe(claims)
                progress.move()

    def _write_durably(
        self,
        settled: Settled,
        prepared: Prepared,
        results: Sequence[EmbeddingResult],
        reached: Reached,
        deferred: Sequence[WorkItem],
    ) -> None:
        state = self._state
        writes = bool(results or prepared.deletions or prepared.restamps or deferred)
        # Items that are only in the journal stay there: the ledger does not know whether they are forced.
        durable = settled.durable
        has_work = writes or durable or settled.renewed or state.letter_count or self.saving.is_due
        if not (has_work or self.stamping.lowers(prepared)):
            self.stamping.note(prepared)
            state.count(unchanged=prepared.unchanged)
            return
        note = partial(self.stamping.note, prepared)
        with (
            self._spans.write(prepared),
            applied(self._journal, self._reconciler, prepared, results, note) as written,
        ):
            if gone := [*durable, *(item.key for item in settled.renewed)]:
                self._journal.remove_work(gone)
            if left := [*settled.renewed, *deferred]:
                self._journal.put_work(left)
            resolved = self._letters.remove_keys(settled.clean) if state.letter_count else 0
            state.progress.save(reached)
        self.saving.note(reached)
        with state.changed:
            state.letter_count -= resolved
        state.count(batches=1, **written.counts())
        written.warn_of_blocked()

    def process(self, claims: Sequence[Claim]) -> None:
        """Run one batch through all stages in the calling thread, whatever it meets."""
        try:
            prepared = self.prepare(claims)
        except Exception as error:  # noqa: BLE001  (every failure ends in a retry, a dead letter or a halt)
            self.recover(claims, error)
        else:
            self.finish(prepared.left(claims), prepared)

    def finish(self, claims: Sequence[Claim], prepared: Prepared) -> None:
        """Embed and write a batch in the calling thread, whatever it meets."""
        if not claims:
            return
        is_urgent, started = claims[0].lane in URGENT, self._clock.monotonic()
        try:
            self.write(claims, prepared, self.embed(prepared, urgent=is_urgent))
            if not is_urgent:
                self.note_background(len(claims), self._clock.monotonic() - started)
        except Exception as error:  # noqa: BLE001  (likewise)
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
        """Do what `intake` does; an outage of the graph or the log opens the breaker, corruption halts."""
        with self._state.changed:
            if self._halted is not None or self._taking.breaker.wait_s(self._clock.monotonic()) > 0:
                return False
        try:
            return self.intake()
        except PositionLostError:
            self.intake_stage.begin_sweep(self._log.head())
            return True
        except Exception as error:
            if not halts(error) and not isinstance(error, TransientError):
                raise  # a defect: it ends the pipeline, loudly
            self.recover([], error)
            return False

    def recover(self, claims: Sequence[Claim], error: Exception) -> None:
        """Deal with a failed batch: wait out an outage, halt on corruption, bisect for the key at fault."""
        if self._has_ended:
            self.give_back(claims)
        elif claims and is_of_model(error) and not is_migration(claims):
            self.outages.hold_up(claims, error)
        elif halts(error) or isinstance(error, TransientError):
            self._pause(claims, error)
            logger.warning("sync pauses: %s: %s", type(error).__name__, error)
        elif len(claims) == 1:
            self._fail(claims[0], error)
        elif isinstance(error, PoisonEventError) and error.texts:
            self._isolate(claims, error)
        else:
            self._bisect(claims)

    def _bisect(self, claims: Sequence[Claim]) -> None:
        middle = len(claims) // 2
        self.process(claims[:middle])
        self.process(claims[middle:])

    def _isolate(self, claims: Sequence[Claim], error: PoisonEventError) -> None:
        """Fail the keys whose texts the model has named, and go on with the others."""
        try:
            prepared = self.prepare(claims)
        except Exception as another:  # noqa: BLE001  (likewise)
            self.recover(claims, another)
            return
        left, texts = prepared.left(claims), {target.key: target.request.content for target in prepared.targets}
        wrong = {claim.key: reason for claim in left if (reason := error.texts.get(texts.get(claim.key, "")))}
        if not wrong:  # the fault is in a part of a text: its time, or its causes
            self._bisect(left)
            return
        for claim in left:
            if claim.key in wrong:
                self._fail(claim, PoisonEventError(wrong[claim.key]))
        others = [claim for claim in left if claim.key not in wrong]
        self.finish(others, prepared.part({claim.key for claim in others}))

    def give_back(self, claims: Sequence[Claim]) -> None:
        """Have claims be dirty again as they were: nothing happened to them."""
        with self._state.changed:
            self._state.ledger.release(claims)

    def end(self) -> None:
        """Write nothing any more, whoever is still at work; raises `UnavailableError` where a store hangs."""
        if not self._state.writing.acquire(timeout=_END_S):
            raise UnavailableError("a store hangs in a write (its disk?). Nothing is lost: end the process")
        self._has_ended = True
        self._state.writing.release()

    def _fail(self, claim: Claim, error: Exception) -> None:
        try:
            self._failed_keys.fail(claim, error)
        except (TransientError, LeaseLostError) as unkept:
            with self._state.changed:
                self._state.backlog.has_more = True  # it may have been kept all the same
            self.recover([claim], unkept)

    def _pause(self, claims: Sequence[Claim], error: Exception) -> None:
        state = self._state
        with state.changed:
            state.ledger.release(claims)
            # What nobody searches must not stop what somebody searches.
            is_theirs_alone = is_migration(claims) and not isinstance(error, _ENDING)
            if is_theirs_alone or isinstance(error, TransientError):
                self._taking.trip(claims, error)
            else:
                self._halted = error
            if isinstance(error, TransientError):
                state.stats.note_retry(error)
            state.changed.notify_all()

    def try_again(self) -> None:
        """Ask models that were set up wrongly again at once."""
        with self._state.changed:
            self.outages.try_again()

    def note_idle(self) -> None:
        """Close all breakers but the migration lane's: nothing waits for a dependency any more."""
        with self._state.changed:
            if self._taking.breaker.failures:
                self._taking.breaker.close()
                self.changed.notify_all()
            self.outages.forget()

    # ------------------------------------------------------------------ positions

    def save_checkpoint(self) -> None:
        """Save checkpoint and frontier when they have moved (an idle or stopping engine calls this)."""
        self.saving.save()

    def _observe(self, claims: Sequence[Claim]) -> None:
        now = self._clock.monotonic()
        self._state.stats.observe(now - claim.committed_s for claim in claims if claim.committed_s is not None)
