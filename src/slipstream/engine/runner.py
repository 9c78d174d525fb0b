"""The runner: the pipeline, and what users ask of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from slipstream.domain.errors import (
    ConfigError,
    IncidentError,
    NotRunningError,
    SlipstreamError,
)
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.work import DeadLetter, Lane
from slipstream.engine.facts import SyncStatus
from slipstream.engine.loop import SyncEngine
from slipstream.engine.maintenance import Maintenance, ViewWriter
from slipstream.engine.pipeline import HALTING, Pipeline
from slipstream.engine.word_facts import WordsStatus
from slipstream.engine.words import WordFollower
from slipstream.ports.ages import since_s
from slipstream.ports.clock import Clock
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.journal import DeadLetters, Journal

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

STOP_S = 2.0
"""How long the batches in flight may take when the engine stops."""


class Sync:
    """The running engine: start and stop it, wait for a position, mark keys dirty, see the dead letters."""

    def __init__(
        self,
        engine: SyncEngine,
        maintenance: Maintenance,
        log: ChangeFeed,
        journal: Journal,
        dead_letters: DeadLetters,
        clock: Clock,
        write_back: ViewWriter | None = None,
        words: WordFollower | None = None,
    ) -> None:
        self.engine, self.words = engine, words
        self._write_back = write_back
        self._maintenance = maintenance
        self._log, self._journal, self._letters, self._clock = log, journal, dead_letters, clock
        self._lag = Lag(engine, log, clock)
        self._words_lag = None if words is None else Lag(words, log, clock)
        self._pipeline = Pipeline(engine, maintenance, log, clock, write_back, words)

    @property
    def on_idle(self) -> Callable[[], object] | None:
        """Called when idle, and every second or so beside background work; delivers the queue's topics."""
        return self._pipeline.on_idle

    @on_idle.setter
    def on_idle(self, called: Callable[[], object] | None) -> None:
        self._pipeline.on_idle = called

    # ------------------------------------------------------------------ life

    @property
    def running(self) -> bool:
        """Whether the threads are up."""
        return self._pipeline.is_up

    @property
    def failure(self) -> BaseException | None:
        """Why the engine can not go on: it has halted or died. None for an outage, which it waits out."""
        return self.engine.halted or self._pipeline.crash

    @property
    def dead(self) -> str | None:
        """Which of the threads has died, and why; None when all live, or were stopped. Asks no store."""
        return self._pipeline.dead

    @property
    def restamp_due(self) -> bool:
        """Whether some stamps may still be of an older schema version."""
        return self._maintenance.restamp_due

    def start(self) -> None:
        """Start the pipeline; starting twice is harmless. Raises `NotRunningError` where a thread was left behind."""
        self._pipeline.start()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """
        Stop the threads, waiting up to `timeout_s` for what is in flight, and save the checkpoint.

        What is pending is found at the next start. A thread that hangs in a model is left behind, and writes nothing
        any more; raises `UnavailableError` where one hangs in a store.
        """
        if not self._pipeline.is_up:
            return
        left = self._pipeline.stop(timeout_s)
        if left:
            logger.warning(
                "%s waits for a model, and is left behind: its keys are done at the next open", ", ".join(left)
            )
            self.engine.end()
        try:
            self.engine.save_checkpoint()
            if self.words is not None and not left:
                self.words.save()
            self._maintenance.remember()
        except HALTING as error:  # the process that has taken over has a checkpoint of its own; or there is no graph
            logger.warning("stopped without a checkpoint: %s", error)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------ waiting

    def wait(self, position: Position, timeout_s: float | None = None) -> bool:
        """
        Wait until everything up to the position is in the index; False when the time ran out.

        Read-your-writes: pass the position that a commit returned. Raises the error that has halted the engine,
        `ConfigError` when all that is left waits for a model that is set up wrongly, `SlipstreamError` when a thread
        has died, and `NotRunningError` when the engine does not run.
        """
        return self._wait_for(lambda: self.engine.frontier >= position, timeout_s, poll_s=1.0)

    def wait_for_words(self, position: Position, timeout_s: float | None = None) -> bool:
        """Wait until everything up to the position is found by words; raises what `wait` does."""
        words = self.words
        if words is None:
            raise ConfigError("nothing keeps word rows here: there is nothing to wait for")
        return self._wait_for(lambda: words.frontier >= position, timeout_s, poll_s=1.0, tries=False)

    def wait_for_some(self, position: Position, models: Sequence[str], timeout_s: float | None = None) -> bool:
        """Wait as `wait` does, but not for those of `models` that are down, as long as one of them is up."""

        def reached() -> bool:
            behind = {} if self.engine.frontier >= position else self.engine.behind(position)
            return self.engine.frontier >= position or bool(behind and (not models or set(models) - behind.keys()))

        return self._wait_for(reached, timeout_s, poll_s=0.2)

    def behind(self, position: Position) -> Mapping[str, str]:
        """Return the models that alone keep the index behind a position, with the reason why they are down."""
        return self.engine.behind(position)

    def pause(self, timeout_s: float) -> None:
        """Let the engine work for a moment; raises what `wait` does."""
        self._wait_for(lambda: False, timeout_s, poll_s=timeout_s, tries=False)

    def reached(self, position: Position, timeout_s: float) -> bool:
        """Wait as `wait` does, but return False also where that raises."""
        if self.engine.frontier >= position:
            return True
        if not self._pipeline.is_up or self.engine.halted is not None or self._pipeline.crash is not None:
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
        Wait until nothing is left to do: log consumed, no key dirty, no word row behind, stamps up to date.

        Dead letters do not count: they wait for a decision. Nor, without `migration`, does the migration lane, whose
        records no search needs. False when the time ran out; raises what `wait` does.
        """

        def settled() -> bool:
            if on_progress is not None:
                on_progress(self.status())
            if self.words is not None and not self.words.is_settled():
                return False
            if not migration:
                return self.engine.is_settled(migration=False) and not self._maintenance.restamp_due
            return self.engine.is_settled() and self._pipeline.in_flight == 0 and not self._maintenance.is_due

        return self._wait_for(settled, timeout_s, poll_s=0.05)

    def write_back(self, timeout_s: float | None = None) -> bool:
        """
        Wait until the graph's sync view shows what the index holds now; False when the time ran out.

        Only for those who query the view: nothing else waits for it, and `drain` does not. Raises `ConfigError`
        when it is switched off.
        """
        if self._write_back is None:
            raise ConfigError("there is no sync view: set [graph] sync_states = true")
        if not self._pipeline.is_up:
            return self._write_back.finish(timeout_s)
        self._write_back.hurry()
        return self._wait_for(lambda: not self._is_showing(), timeout_s, poll_s=0.05)

    def _is_showing(self) -> bool:
        return self._write_back is not None and self._write_back.is_due

    def _wait_for(
        self, condition: Callable[[], bool], timeout_s: float | None, poll_s: float, *, tries: bool = True
    ) -> bool:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        changed, has_tried = self.engine.changed, not tries
        while True:
            # Checked without the lock, as it may ask a store; `seen` catches what happens meanwhile.
            seen = changed.count
            if condition():
                return True
            if not has_tried and self.engine.refusal is not None:
                self.engine.try_again()  # somebody may have mended it just now
                has_tried = True
            self._raise_if_dead()
            if not self._pipeline.is_up:
                raise NotRunningError("the engine is not running: start it (`sync.start()`) before waiting")
            remaining = poll_s if deadline is None else min(poll_s, deadline - time.monotonic())
            if remaining <= 0:
                return False
            changed.wait_past(seen, remaining)

    def _raise_if_dead(self) -> None:
        if (refusal := self.engine.refusal) is not None:
            raise refusal
        if self.engine.halted is not None:
            raise self.engine.halted
        if self._pipeline.crash is not None:
            raise SlipstreamError(
                f"the sync pipeline died: {self._pipeline.crash!r}. Nothing is lost; reopen"
            ) from self._pipeline.crash

    # ------------------------------------------------------------------ asking

    def status(self) -> SyncStatus:
        """Return the engine's numbers, from memory where the journal can not be read; raises what the log raises."""
        engine = self.engine
        frontier = engine.frontier
        head = frontier if isinstance(engine.halted, IncidentError) else self._log.head()
        unknown: dict[str, str] = {}
        lanes = _known("work in the journal", engine.state.owed_by_lane, engine.pending(), unknown)
        letters = _known("dead letters", self._letters.letter_count, engine.letter_count, unknown)
        return SyncStatus(
            head=head,
            frontier=frontier,
            checkpoint=engine.checkpoint,
            lag_events=max(0, head - frontier),
            lag_s=self._lag.seconds(head, frontier),
            pending=sum(lanes.values()),
            retrying=lanes[Lane.RETRY],
            dead_letters=letters,
            lanes={lane.name.lower(): count for lane, count in lanes.items()},
            counters=dict(engine.stats.counters),
            freshness=engine.stats.freshness(),
            outage=engine.outage,
            halted=str(engine.halted) if engine.halted else None,
            dead=self.dead,
            unknown=unknown,
            words=self._words_status(head),
        )

    def _words_status(self, head: Position) -> WordsStatus | None:
        if self.words is None or self._words_lag is None:
            return None
        unread_s = 0.0 if self.words.is_scanning else self._words_lag.seconds(head, self.words.frontier)
        return self.words.status(head, unread_s)

    def lag_s(self) -> float:
        """Return the age of the oldest mutation that is not searchable yet: `status`, for those who ask often."""
        frontier = self.engine.frontier
        return self._lag.seconds(self._log.head(), frontier)

    # ------------------------------------------------------------------ commands

    def mark(self, keys: Sequence[RecordKey], *, reason: str, force: bool = False) -> None:
        """Mark keys dirty for repair, durably."""
        self.engine.mark(keys, lane=Lane.REPAIR, reason=reason, force=force)

    def replay(self, letters: Sequence[DeadLetter]) -> int:
        """Give dead letters another try; returns how many had a key, without which there is nothing to try."""
        replayed = [letter for letter in letters if letter.key is not None]
        # Marked before they are removed: dying in between only has them replayed once more.
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


def _known(name: str, read: Callable[[], _T], otherwise: _T, unknown: dict[str, str]) -> _T:
    """Return what `read` does; `otherwise`, and a note in `unknown`, when the journal can not be read."""
    try:
        return read()
    except SlipstreamError as error:
        unknown[name] = f"{type(error).__name__}: {error}"
        return otherwise


class Reading(Protocol):
    """Something that reads the log: the engine, or the follower of word rows."""

    @property
    def consumed(self) -> Position:
        """How far it has read the log."""
        ...

    def oldest_commit_s(self) -> float | None:
        """Return when, in monotonic time, the oldest mutation that it has read and not dealt with was committed."""
        ...


class Lag:
    """
    The age of the oldest commit that is not reflected, in seconds of monotonic time since it was first seen.

    The wall clock is asked once for each commit, so that setting the clock neither hides a lag nor makes one up.
    """

    def __init__(self, engine: Reading, log: ChangeFeed, clock: Clock) -> None:
        self._engine, self._log, self._clock = engine, log, clock
        self._unread: tuple[Position, float] | None = None
        """The first entry that was found unread, and when it was committed."""

    def seconds(self, head: Position, frontier: Position) -> float:
        """Return the age of that commit; 0 where everything is reflected, or the age is not known."""
        if head <= frontier:
            return 0.0
        began_s = self._engine.oldest_commit_s()
        if began_s is None:
            began_s = self._unread_since_s()
        return 0.0 if began_s is None else max(0.0, self._clock.monotonic() - began_s)

    def _unread_since_s(self) -> float | None:
        entry = next(iter(self._log.read(self._engine.consumed, 1)), None)
        if not isinstance(entry, PKGEvent):
            return None
        position = self._engine.consumed
        if self._unread is None or self._unread[0] != position:
            self._unread = (position, since_s(entry.timestamp, self._clock))
        return self._unread[1]
