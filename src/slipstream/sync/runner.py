"""
The runner: the engine on threads of its own, and what users ask of it.

Three threads form a pipeline: the reader takes in, prepares and hands on; the embedder computes; the writer
writes. The queues between them hold one batch each (backpressure), so at most four batches are in flight. The
reader processes a small batch itself when nothing urgent is in the pipeline: a lone change pays for no hop, and
waits for no work in the background.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from slipstream.domain.errors import ConfigError, SlipstreamError, TransientError, UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.requests import EmbeddingResult
from slipstream.domain.work import URGENT, DeadLetter, Lane
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.ports.log import ChangeLog
from slipstream.sync.engine import SyncEngine
from slipstream.sync.ledger import Claim
from slipstream.sync.maintenance import Maintenance
from slipstream.sync.reconciler import Prepared
from slipstream.sync.status import SyncStatus
from slipstream.sync.writeback import WriteBack

logger = logging.getLogger(__name__)

_INLINE_MAX = 4
"""Largest batch that the reader processes itself, unless a cut-over waits for it."""
_STOP_TIMEOUT_S = 60.0
_BUSY_WAIT_S = 0.01
"""How long the reader waits for a commit while batches are under way: a backfill goes on when they are done."""
_KEEP_UP_S = 1.0
"""How often topics are delivered, and stamps and house are kept, while there is work in the background."""
_POLL_S = 0.5
"""How often a waiting thread looks whether another one has died; batches themselves wake it at once."""


@dataclass(frozen=True, slots=True)
class _Batch:
    claims: Sequence[Claim]
    prepared: Prepared
    began_s: float
    results: Sequence[EmbeddingResult] = ()

    @property
    def is_urgent(self) -> bool:
        return _is_urgent(self.claims)


class Sync:
    """The running engine: start and stop it, wait for a position, mark keys dirty, see the dead letters."""

    def __init__(
        self,
        engine: SyncEngine,
        maintenance: Maintenance,
        log: ChangeLog,
        journal: Journal,
        dead_letters: DeadLetters,
        clock: Clock,
        write_back: WriteBack | None = None,
    ) -> None:
        self.engine = engine
        self._write_back = write_back
        self._maintenance = maintenance
        self._log, self._journal, self._letters, self._clock = log, journal, dead_letters, clock
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._to_embed: queue.Queue[_Batch | None] = queue.Queue(maxsize=1)
        self._to_write: queue.Queue[_Batch | None] = queue.Queue(maxsize=1)
        self._in_pipeline = 0
        self._urgent_in_pipeline = 0
        self._kept_up_at = clock.monotonic()
        self._crash: BaseException | None = None
        self.on_idle: Callable[[], object] | None = None
        """Called when there is nothing to do, and else every second or so: the queue's topics are delivered here."""

    # ------------------------------------------------------------------ life

    @property
    def running(self) -> bool:
        """Whether the threads are up."""
        return bool(self._threads)

    @property
    def failure(self) -> BaseException | None:
        """Why the engine can not go on: it has halted or died. None for an outage, which it waits out."""
        return self.engine.halted or self._crash

    def start(self) -> None:
        """Start the pipeline; starting twice is harmless."""
        if self._threads:
            return
        self._stopping.clear()
        for name, target in (("read", self._read), ("embed", self._embed), ("write", self._write)):
            thread = threading.Thread(target=self._guard, args=(target,), name=f"slipstream-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Finish the batches in flight, save the checkpoint and stop; what is pending is found at the next start."""
        if not self._threads:
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join(_STOP_TIMEOUT_S)
            if thread.is_alive():
                raise UnavailableError(
                    f"{thread.name} did not stop within {_STOP_TIMEOUT_S:g} s: a model or store hangs. Nothing is "
                    "lost; kill the process"
                )
        self._threads.clear()
        self.engine.save_checkpoint()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------ threads

    def _guard(self, body: Callable[[], None]) -> None:
        """Run a thread's body; what escapes it is told to everyone who waits, and stops the pipeline."""
        try:
            body()
        except BaseException as error:
            logger.exception("the sync pipeline died")
            self._crash = error
            self._stopping.set()
            with self.engine.changed:
                self.engine.changed.notify_all()
            raise

    def _read(self) -> None:
        try:
            while not self._stopping.is_set():
                self._read_once()
        finally:
            self._put(self._to_embed, None)

    def _read_once(self) -> None:
        taken_in = self.engine.guarded_intake()
        self._keep_up()
        is_busy = self.engine.is_busy
        claims = self.engine.take(background=not (is_busy and self._in_pipeline))
        if not claims:
            if not taken_in and not self._idle_work():
                wait_s = self.engine.wait_s()
                self._log.wait(self.engine.consumed, min(wait_s, _BUSY_WAIT_S) if self._in_pipeline else wait_s)
        elif self._goes_here(claims, is_busy=is_busy):
            self.engine.process(claims)
        else:
            self._hand_on(claims)

    def _goes_here(self, claims: Sequence[Claim], *, is_busy: bool) -> bool:
        """Whether the reader processes a batch itself: a few keys that pass nothing urgent in the pipeline."""
        if not _is_urgent(claims) and self.engine.state.is_draining:
            return True  # nothing live is written before it is done
        if len(claims) > _INLINE_MAX:
            return False
        if _is_urgent(claims):
            return self._urgent_in_pipeline == 0  # a live change passes what nobody waits for
        return self._in_pipeline == 0 and not is_busy

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
            self._maintenance.restamp()
        except TransientError as error:
            self.engine.recover([], error)

    def _idle_work(self) -> bool:
        if self._in_pipeline:
            return False
        if not self.engine.is_settled():  # what is left waits for its retry, or for an outage to end
            return self._show_states()
        try:
            self.engine.save_checkpoint()
            self._maintenance.keep_house()
            if self.on_idle is not None:
                self.on_idle()
            worked = self._maintenance.step() or self._show_states()
            self.engine.note_idle()
            return worked
        except TransientError as error:
            self.engine.recover([], error)
            return False

    def _show_states(self) -> bool:
        if self._write_back is None or self.engine.outage is not None or self.engine.halted is not None:
            return False
        return self._write_back.step()

    def _hand_on(self, claims: Sequence[Claim]) -> None:
        began_s = self._clock.monotonic()
        try:
            prepared = self.engine.prepare(claims)
        except Exception as error:  # noqa: BLE001  (ends in a retry, a dead letter or a halt)
            self.engine.recover(claims, error)
            return
        with self.engine.changed:
            self._in_pipeline += 1
            self._urgent_in_pipeline += _is_urgent(claims)
        self._put(self._to_embed, _Batch(claims, prepared, began_s))

    def _embed(self) -> None:
        while (batch := self._take(self._to_embed)) is not None:
            try:
                results = self.engine.embed(batch.prepared, urgent=batch.is_urgent)
            except Exception as error:  # noqa: BLE001  (ends in a retry, a dead letter or a halt)
                self._leave(batch, error)
            else:
                self._put(self._to_write, replace(batch, results=results))
        self._put(self._to_write, None)

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
            with self.engine.changed:
                self._in_pipeline -= 1
                self._urgent_in_pipeline -= batch.is_urgent
                self.engine.changed.notify_all()

    def _take(self, source: queue.Queue[_Batch | None]) -> _Batch | None:
        """Wait for the next batch; None at the end, or when another thread has died."""
        while self._crash is None:
            try:
                return source.get(timeout=_POLL_S)
            except queue.Empty:
                continue
        return None

    def _put(self, to: queue.Queue[_Batch | None], batch: _Batch | None) -> None:
        """Hand a batch on; gives up only when the thread behind the queue has died."""
        while self._crash is None:
            try:
                to.put(batch, timeout=_POLL_S)
                return
            except queue.Full:
                continue

    # ------------------------------------------------------------------ waiting

    def wait(self, position: Position, timeout_s: float | None = None) -> bool:
        """
        Wait until everything up to the position is in the index; False when the time ran out.

        Read-your-writes: pass the position that a commit returned. Raises `CorruptionError` when the engine has
        halted, and `UnavailableError` when it is not running and so would never get there.
        """
        return self._wait_for(lambda: self.engine.frontier >= position, timeout_s, poll_s=1.0)

    def pause(self, timeout_s: float) -> None:
        """Let the engine work for a moment; raises what `wait` does."""
        self._wait_for(lambda: False, timeout_s, poll_s=timeout_s)

    def reached(self, position: Position, timeout_s: float) -> bool:
        """Wait as `wait` does, but tell False as well when the engine is not running and so never gets there."""
        if self.engine.frontier >= position:
            return True
        if not self._threads or self.engine.halted is not None or self._crash is not None:
            return False
        try:
            return self.wait(position, timeout_s)
        except SlipstreamError as error:
            logger.info("stopped waiting for position %s: %s", position, error)
            return False

    def drain(
        self,
        timeout_s: float | None = None,
        on_progress: Callable[[SyncStatus], None] | None = None,
        *,
        migration: bool = True,
    ) -> bool:
        """
        Wait until nothing is left to do: log consumed, no key dirty, stamps at the current schema version.

        Dead letters do not count: they wait for a decision. Nor, without `migration`, does the migration lane, which
        no search asks. False when the time ran out.
        """

        def settled() -> bool:
            if on_progress is not None:
                on_progress(self.status())
            if not migration:
                return self.engine.is_settled(migration=False)
            return self.engine.is_settled() and self._in_pipeline == 0 and not self._maintenance.is_due

        return self._wait_for(settled, timeout_s, poll_s=0.05)

    def write_back(self, timeout_s: float | None = None) -> bool:
        """
        Wait until the graph's sync view shows what the index holds now; False when the time ran out.

        Only for those who query the view: nothing else waits for it, and `drain` does not. Raises `ConfigError`
        when it is switched off.
        """
        if self._write_back is None:
            raise ConfigError("there is no sync view: set [graph] sync_states = true")
        if not self._threads:
            return self._write_back.finish(timeout_s)
        self._write_back.hurry()
        return self._wait_for(lambda: not self._is_showing(), timeout_s, poll_s=0.05)

    def _is_showing(self) -> bool:
        return self._write_back is not None and self._write_back.is_due

    def _wait_for(self, condition: Callable[[], bool], timeout_s: float | None, poll_s: float) -> bool:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        # Looked at under the lock, so that no notification falls between the look and the wait.
        with self.engine.changed:
            while not condition():
                self._raise_if_dead()
                if not self._threads:
                    raise UnavailableError("the engine is not running: start it (`sync.start()`) before waiting")
                remaining = poll_s if deadline is None else min(poll_s, deadline - time.monotonic())
                if remaining <= 0:
                    return False
                self.engine.changed.wait(remaining)
        return True

    def _raise_if_dead(self) -> None:
        if self.engine.halted is not None:
            raise self.engine.halted
        if self._crash is not None:
            raise SlipstreamError(
                f"the sync pipeline died: {self._crash!r}. Nothing is lost; reopen"
            ) from self._crash

    # ------------------------------------------------------------------ asking

    def status(self) -> SyncStatus:
        """Return the engine's numbers."""
        engine = self.engine
        head, frontier = self._log.head(), engine.frontier
        lanes = engine.pending()
        durable = self._journal.work_count()
        pending = max(sum(lanes.values()), durable)
        return SyncStatus(
            head=head,
            frontier=frontier,
            checkpoint=engine.checkpoint,
            lag_events=max(0, head - frontier),
            lag_s=self._lag_s(head, frontier),
            pending=pending,
            retrying=lanes[Lane.RETRY],
            dead_letters=self._letters.letter_count(),
            lanes={lane.name.lower(): count for lane, count in lanes.items()},
            counters=dict(engine.stats.counters),
            freshness=engine.stats.freshness(),
            outage=engine.outage,
            halted=str(engine.halted) if engine.halted else None,
        )

    def _lag_s(self, head: Position, frontier: Position) -> float:
        if head <= frontier:
            return 0.0
        committed_at = self.engine.oldest_commit()
        if committed_at is None:
            entry = next(iter(self._log.read(self.engine.consumed, 1)), None)
            committed_at = entry.timestamp if isinstance(entry, PKGEvent) else None
        return 0.0 if committed_at is None else max(0.0, (self._clock.now() - committed_at).total_seconds())

    # ------------------------------------------------------------------ commands

    def mark(self, keys: Sequence[RecordKey], *, reason: str, force: bool = False) -> None:
        """Mark keys dirty for repair, durably."""
        self.engine.mark(keys, lane=Lane.REPAIR, reason=reason, force=force)

    def replay(self, letters: Sequence[DeadLetter]) -> int:
        """Give dead letters another try; returns how many could be: a letter without a key has nothing to try."""
        replayed = [letter for letter in letters if letter.key is not None]
        # Marked first: dying in between replays once more, which is harmless.
        self.engine.mark([letter.key for letter in replayed if letter.key], reason="dead letter replayed")
        for letter in replayed:
            if letter.payload is not None:
                self.engine.replay(PKGEvent.parse(letter.payload))
        self._letters.remove([letter.id for letter in replayed])
        self.engine.recount_letters()
        return len(replayed)

    def discard(self, letters: Sequence[DeadLetter]) -> int:
        """Forget dead letters; their keys stay divergent until they change or are repaired."""
        removed = self._letters.remove([letter.id for letter in letters])
        self.engine.recount_letters()
        return removed


def _is_urgent(claims: Sequence[Claim]) -> bool:
    return claims[0].lane in URGENT
