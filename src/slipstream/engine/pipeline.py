"""
The pipeline: the engine on threads of its own.

The reader takes in, prepares and hands on; an embedder computes; the writer writes. The queues between them hold one
batch each (backpressure), so with one model at most four batches are in flight. The reader processes a small batch
itself when nothing urgent is in the pipeline: a lone change pays for no hop, and waits for no work in the background.

Each model has an embedder thread and a queue of its own: its lane. Where a lane is full and there are others, keys
that it can not take are held until it can: a slow model holds up nothing but what it embeds. Word rows have a thread
of their own beside all of these.

Stopping waits for nobody for long: what has not begun is given back, and a thread that hangs in a model is left
behind. Its batch is neither written nor lost: the keys are still dirty, and are done after the next open.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from slipstream.apply.reconciler import Prepared
from slipstream.domain.errors import IncidentError, LeaseLostError, NotRunningError, TransientError
from slipstream.domain.requests import EmbeddingResult
from slipstream.domain.work import URGENT, Claim
from slipstream.engine.loop import SyncEngine
from slipstream.engine.maintenance import Maintenance, ViewWriter
from slipstream.engine.outages import by_models
from slipstream.engine.words import WordFollower
from slipstream.ports.clock import Clock
from slipstream.ports.feed import ChangeFeed

logger = logging.getLogger(__name__)

HALTING = (LeaseLostError, IncidentError)
"""Errors of chores that halt the engine: another process is the owner, or the graph is not there any more."""
_INLINE_MAX = 4
"""Largest batch that the reader processes itself, unless a cut-over waits for it."""
_BUSY_WAIT_S = 0.01
"""How long the reader waits for a commit while batches are under way: a backfill goes on when they are done."""
_KEEP_UP_S = 1.0
"""How often topics are delivered, and stamps and house are kept, while there is work in the background."""
_POLL_S = 0.5
"""How often a waiting thread looks whether another one has died; batches themselves wake it at once."""
_LEAVE_S = 2 * _POLL_S
"""How long threads that wait only for one another take to end, at most."""


_LANE_BATCHES_MAX = 2
"""One is embedded, one waits."""
_ROOM_S = 0.25
"""How long a batch waits for room in its lane while other lanes could take what comes behind it."""


@dataclass(slots=True, eq=False)
class _Lane:
    models: frozenset[str]
    batches: queue.Queue[_Batch | None] = field(default_factory=lambda: queue.Queue(maxsize=1))
    count: int = 0
    """Batches that wait in it, or are embedded."""


@dataclass(frozen=True, slots=True)
class _Batch:
    claims: Sequence[Claim]
    prepared: Prepared
    began_s: float
    results: Sequence[EmbeddingResult] = ()

    @property
    def is_urgent(self) -> bool:
        return _is_urgent(self.claims)


class Pipeline:
    """The threads around one engine: reader, writer, and an embedder for each lane."""

    def __init__(
        self,
        engine: SyncEngine,
        maintenance: Maintenance,
        log: ChangeFeed,
        clock: Clock,
        write_back: ViewWriter | None,
        words: WordFollower | None = None,
    ) -> None:
        self.engine, self._maintenance, self._words = engine, maintenance, words
        self._log, self._clock, self._write_back = log, clock, write_back
        self._threads: list[threading.Thread] = []
        self._stopping, self._leaving = threading.Event(), threading.Event()
        self._lanes: dict[frozenset[str], _Lane] = {}
        self._to_write: queue.Queue[_Batch | None] = queue.Queue(maxsize=1)
        self.in_flight = 0
        """Batches between the threads."""
        self._urgent_in_flight = 0
        self._kept_up_at = clock.monotonic()
        self.crash: BaseException | None = None
        """The error that has ended the pipeline, when one has."""
        self.on_idle: Callable[[], object] | None = None
        """Called when idle, and every second or so beside background work; delivers the queue's topics."""

    # ------------------------------------------------------------------ life

    @property
    def is_up(self) -> bool:
        """Whether the threads were started, and not stopped."""
        return bool(self._threads)

    @property
    def dead(self) -> str | None:
        """Which of the threads has died, and why; None when all live, or were stopped."""
        if self.crash is not None:
            return f"the pipeline died of {type(self.crash).__name__}: {self.crash}"
        if self._stopping.is_set():
            return None
        return ", ".join(f"{thread.name} has ended" for thread in self._threads if not thread.is_alive()) or None

    def start(self) -> None:
        """Start the threads; starting twice is harmless. Raises `NotRunningError` where one was left behind."""
        if self._threads:
            return
        if self._leaving.is_set():
            raise NotRunningError("a thread that hung in a model or a store was left behind: open the PKG anew")
        self._stopping.clear()
        self._lanes.clear()
        self._begin("read", self._read)
        self._begin("write", self._write)
        if self._words is not None:
            self._begin("words", partial(self._follow, self._words))

    def _begin(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._guard, args=(body,), name=f"slipstream-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, timeout_s: float) -> Sequence[str]:
        """End the threads, waiting up to `timeout_s` for what is under way; returns who is left behind."""
        self._stopping.set()
        if not self._ended(timeout_s):
            self._leaving.set()
            self._ended(_LEAVE_S)
        left = [thread.name for thread in self._threads if thread.is_alive()]
        self._threads.clear()
        return left

    def _ended(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # ------------------------------------------------------------------ threads

    def _guard(self, body: Callable[[], None]) -> None:
        """Run a thread's body; what escapes it is told to everyone who waits, and stops the pipeline."""
        try:
            body()
        except BaseException as error:
            logger.exception("the sync pipeline died")
            self.crash = error
            self._stopping.set()
            with self.engine.changed:
                self.engine.changed.notify_all()
            raise

    def _read(self) -> None:
        try:
            while not self._stopping.is_set():
                self._read_once()
        finally:
            lanes = list(self._lanes.values())
            for lane in lanes:
                self._put(lane.batches, None)
            if not lanes:
                self._put(self._to_write, None)

    def _read_once(self) -> None:
        if self.engine.halted is not None:  # for good: nothing more is read, nor written
            self._stopping.wait(_POLL_S)
            return
        taken_in = self.engine.guarded_intake()
        self._tell_others()
        self._keep_up()
        self._free_lanes()
        is_busy = self.engine.is_busy
        claims = self.engine.take(background=not (is_busy and self.in_flight))
        if not claims:
            if not taken_in and not self._idle_work():
                self._rest(min(self.engine.wait_s(), _BUSY_WAIT_S if self.in_flight else math.inf))
        elif not _is_urgent(claims) and self.engine.state.is_draining:
            self.engine.process(claims)  # on this thread, so that nothing live is written before it
        else:
            self._go_on_with(claims, here=self._goes_here(claims, is_busy=is_busy))

    def _goes_here(self, claims: Sequence[Claim], *, is_busy: bool) -> bool:
        """Whether the reader processes a batch itself: a few keys that pass nothing urgent in the pipeline."""
        if len(claims) > _INLINE_MAX:
            return False
        if _is_urgent(claims):
            return self._urgent_in_flight == 0  # a live change passes what nobody waits for
        return self.in_flight == 0 and not is_busy

    def _rest(self, wait_s: float) -> None:
        """Wait for a commit; just for the time while the log is left unread: its entries would end a wait at once."""
        if self.engine.is_held_up:
            self._stopping.wait(min(wait_s, _POLL_S))
            return
        try:
            self._log.wait(self.engine.consumed, wait_s)
        except (TransientError, *HALTING) as error:
            self.engine.recover([], error)

    def _follow(self, words: WordFollower) -> None:
        """Keep word rows behind the graph: beside everything else, for they wait for no model and no batch."""
        halt = partial(self.engine.recover, [])
        while not self._stopping.is_set():
            if self.engine.halted is not None:
                self._stopping.wait(_POLL_S)
            elif not words.guarded_step(halt):
                words.rest(halt, self._stopping.wait)

    def _tell_others(self) -> None:
        """Publish the frontier now and then, also when nothing is written because all events are irrelevant."""
        if self.engine.halted is None:
            try:
                self.engine.saving.save_when_due()
            except (TransientError, *HALTING) as error:
                self.engine.recover([], error)

    def _keep_up(self) -> None:
        """Do, now and then, what must not wait until all work in the background is done."""
        now = self._clock.monotonic()
        if now - self._kept_up_at < _KEEP_UP_S or self.engine.is_down or self.engine.has_live_work:
            return
        self._kept_up_at = now
        try:
            self._maintenance.keep_house()
            if self.on_idle is not None:
                self.on_idle()
            self._maintenance.restamp_step()
        except (TransientError, *HALTING) as error:
            self.engine.recover([], error)

    def _idle_work(self) -> bool:
        if self.in_flight:
            return False
        try:
            if not self.engine.is_settled():  # what is left waits for its retry, or for an outage to end
                return self._show_states()
            self.engine.save_checkpoint()
            self._maintenance.keep_house()
            if self.on_idle is not None:
                self.on_idle()
            worked = self._maintenance.step() or self._show_states()
            self.engine.note_idle()
            return worked
        except (TransientError, *HALTING) as error:
            self.engine.recover([], error)
            return False

    def _show_states(self) -> bool:
        if self._write_back is None or self.engine.is_down:
            return False
        try:
            return self._write_back.step()
        except HALTING as error:
            self.engine.recover([], error)
            return False

    def _go_on_with(self, claims: Sequence[Claim], *, here: bool) -> None:
        began_s = self._clock.monotonic()
        try:
            prepared = self.engine.prepare(claims)
        except Exception as error:  # noqa: BLE001  (ends in a retry, a dead letter or a halt)
            self.engine.recover(claims, error)
            return
        for models, some, part in by_models(prepared.left(claims), prepared):
            with self.engine.changed:
                is_here = here and self.engine.outages.is_quick(models)
            if is_here:
                self.engine.finish(some, part)
            else:
                self._hand_on(models, _Batch(some, part, began_s))

    # ------------------------------------------------------------------ lanes

    def _hand_on(self, models: frozenset[str], batch: _Batch) -> None:
        """Give a batch to its lane; hold its keys when the lane has no room soon and there are other lanes."""
        lane = self._lane(models) if models else None  # else there is nothing to embed
        with self.engine.changed:
            if lane is not None and lane.count >= _LANE_BATCHES_MAX and len(self._lanes) > 1:
                self.engine.changed.wait(_ROOM_S)
                if lane.count >= _LANE_BATCHES_MAX:
                    self.engine.outages.hold(min(models), batch.claims)
                    return
            if lane is not None:
                lane.count += 1
            self.in_flight += 1
            self._urgent_in_flight += batch.is_urgent
        self._put(self._to_write if lane is None else lane.batches, batch)

    def _lane(self, models: frozenset[str]) -> _Lane:
        lane = self._lanes.get(models)
        if lane is None:
            name = "-".join(["embed", *sorted(models)]) if self._lanes else "embed"
            lane = self._lanes[models] = _Lane(models)
            self._begin(name, partial(self._embed, lane))
        return lane

    def _free_lanes(self) -> None:
        """Let keys that waited for room in a lane be taken again."""
        with self.engine.changed:
            for lane in self._lanes.values():
                if lane.count < _LANE_BATCHES_MAX:
                    self.engine.outages.note_room(min(lane.models))

    def _embed(self, lane: _Lane) -> None:
        while (batch := self._take(lane.batches)) is not None:
            if self._stopping.is_set():
                self._give_back(batch)
            else:
                self._embed_one(batch)
            with self.engine.changed:
                lane.count -= 1
                self.engine.changed.notify_all()
        with self.engine.changed:
            self._lanes.pop(lane.models, None)
            is_last = not self._lanes
        if is_last:
            self._put(self._to_write, None)

    def _embed_one(self, batch: _Batch) -> None:
        try:
            results = self.engine.embed(batch.prepared, urgent=batch.is_urgent)
        except Exception as error:  # noqa: BLE001  (ends in a retry, a dead letter or a halt)
            self._leave(batch, error)
        else:
            self._put(self._to_write, replace(batch, results=results))

    def _write(self) -> None:
        while (batch := self._take(self._to_write)) is not None:
            try:
                self.engine.write(batch.claims, batch.prepared, batch.results)
            except Exception as error:  # noqa: BLE001  (ends in a retry, a dead letter or a halt)
                self._leave(batch, error)
            else:
                if not batch.is_urgent:
                    self.engine.note_background(len(batch.claims), self._clock.monotonic() - batch.began_s)
                self._leave(batch, None)

    def _leave(self, batch: _Batch, error: Exception | None) -> None:
        try:
            if error is not None:
                self.engine.recover(batch.claims, error)
        finally:
            self._landed(batch)

    def _give_back(self, batch: _Batch) -> None:
        self.engine.give_back(batch.claims)
        self._landed(batch)

    def _landed(self, batch: _Batch) -> None:
        with self.engine.changed:
            self.in_flight -= 1
            self._urgent_in_flight -= batch.is_urgent
            self.engine.changed.notify_all()

    def _take(self, source: queue.Queue[_Batch | None]) -> _Batch | None:
        """Wait for the next batch; None at the end, or when another thread has died or is left behind."""
        while self.crash is None and not self._leaving.is_set():
            try:
                return source.get(timeout=_POLL_S)
            except queue.Empty:
                continue
        return None

    def _put(self, to: queue.Queue[_Batch | None], batch: _Batch | None) -> None:
        """Hand a batch on; gives up only when the thread behind the queue has died or is left behind."""
        while self.crash is None and not self._leaving.is_set():
            try:
                to.put(batch, timeout=_POLL_S)
                return
            except queue.Full:
                continue


def _is_urgent(claims: Sequence[Claim]) -> bool:
    return claims[0].lane in URGENT
