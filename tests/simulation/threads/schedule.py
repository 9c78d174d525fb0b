"""One schedule: a small PKG, its processes and those who use it, run from the first commit until all is settled."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.keys import RecordKey
from slipstream.engine.loop import SyncEngine
from slipstream.engine.settings import SyncSettings
from slipstream.engine.words import WordFollower
from tests.simulation.threads.actors import AuditorAtWork, Mutator, Operator, Reader, Warden
from tests.simulation.threads.owner import Owner, Parts
from tests.simulation.threads.ports import Faults, SimulatedClock
from tests.simulation.threads.primitives import simulated
from tests.simulation.threads.recipes import true_recipes
from tests.simulation.threads.scheduler import Process, Scheduler, SimulationError, Task
from tests.simulation.threads.store import Durable, Handle
from tests.simulation.threads.truth import Truth


@dataclass(frozen=True, slots=True)
class Variant:
    """Which engine runs, and over which stores: the real one, or one that is broken on purpose."""

    name: str = "sound"
    engine: type[SyncEngine] = SyncEngine
    follower: type[WordFollower] = WordFollower
    handle: type[Handle] = Handle
    journal: Callable[[Handle], Any] = lambda handle: handle.journal
    index: Callable[[Handle], Any] = lambda handle: handle.index


SOUND = Variant()


class Schedule:
    """One seeded run; `run` raises `SimulationError` when a property is violated, and `told` returns the trace."""

    def __init__(self, seed: int, variant: Variant = SOUND) -> None:
        self.seed, self.variant = seed, variant
        rng = random.Random(seed)
        self.scheduler = Scheduler(rng)
        self.clock = SimulatedClock(self.scheduler)
        self.faults = Faults(self.scheduler, self._crash)
        self.together = rng.random() < 0.5
        self.durable = Durable(self.scheduler, together=self.together)
        self.graph = MemoryGraph(self.clock)
        self.truth = Truth(self.graph, self.durable, true_recipes())
        self.truth.is_strict = not self.faults.rate
        self.waiting: list[Task] = []
        """Who waits for a commit."""
        self.edition = 1
        """Which views the configuration declares."""
        self.is_over = self.are_mutations_done = False
        self.openings = self.crashes = 0
        self.on_stopped: Callable[[], None] = lambda: None
        """Told when a process is stopped."""
        self.settings = SyncSettings(
            pending_max=rng.choice([4, 8, 50]),
            log_page=rng.choice([1, 3, 8]),
            batch_min=1,
            batch_max=rng.choice([1, 2, 4]),
            attempts_max=2,
            fanout_live_max=2,
            idle_wait_s=0.2,
        )
        self._turns = Counter(
            reads=rng.randint(0, 4),
            acts=rng.randint(0, 3),
            writes=rng.choice([0, 8, 20]),
            audits=rng.choice([0, 0, 1]),
        )
        self._actors: dict[Process, int] = {}
        self._warden: Warden | None = None
        self._numbers = 0
        self._embedded: dict[str, int] = {}
        self._asked: dict[RecordKey, int] = {}

    # ------------------------------------------------------------------ running

    def run(self) -> None:
        """Run it to the end."""
        rng, scheduler = self.scheduler.rng, self.scheduler
        scheduler.on_point = self._look
        outside = Process("users")
        scheduler.spawn("mutator", outside, Mutator(self, rng.randint(6, 18)).main)
        self._start_process()
        if rng.random() < 0.5:
            self._start_process()
            self._warden = Warden(self)
            scheduler.spawn("warden", outside, self._warden.main)
        with simulated(scheduler), _quiet():
            scheduler.run()
        if not self.is_over:
            raise SimulationError("it ended without having been settled")

    def _look(self, what: str) -> None:
        if self._warden is not None:
            self._warden.look(what)
        try:
            self.truth.check()
        except SimulationError as error:
            self.scheduler.fail(error)

    def told(self) -> list[str]:
        """Return the trace: who gave the baton away where, what failed, and what was asked for."""
        return [f"{point:6d} {task:<14} {what}" for point, task, what in self.scheduler.trace]

    def note(self, text: str) -> None:
        """Put something into the trace."""
        self.scheduler.trace.append((self.scheduler.points, self.scheduler.current.name, text))

    def next_number(self) -> int:
        """Return a number never used before."""
        self._numbers += 1
        return self._numbers

    # ------------------------------------------------------------------ processes

    def _start_process(self) -> None:
        process = Process(f"p{self.next_number()}")
        self.scheduler.spawn("main", process, Owner(self, process).main)

    @property
    def owning(self) -> Process | None:
        """The process that holds the lease."""
        holder = self.durable.room.holder
        return None if holder is None else self.durable.owners.get(holder)

    def _crash(self) -> None:
        """End the process of the calling thread, and begin a new one."""
        process = self.scheduler.current.process
        self.crashes += 1
        if self.owning is process:
            self.durable.room.holder = None  # the operating system lets go of the lock
        self._start_process()
        self.scheduler.kill(process)

    def begin_actors(self, parts: Parts, owner: Owner) -> None:
        """Begin those who work in the process that runs the engine."""
        process = owner.process
        operator = Operator(self, owner, parts)
        bodies = {
            "reader": Reader(self, parts).main,
            "operator": operator.main,
            "writer": operator.write_directly,
            "auditor": AuditorAtWork(self, owner, parts).main,
        }
        for name, body in bodies.items():
            self._actors[process] = self._actors.get(process, 0) + 1
            self.scheduler.spawn(name, process, partial(self._act, process, body))

    def _act(self, process: Process, body: Callable[[], None]) -> None:
        try:
            body()
        finally:
            self._actors[process] -= 1

    def has_turn(self, kind: str) -> bool:
        """Whether there is still something of a kind to be done; takes it."""
        self._turns[kind] -= 1
        return self._turns[kind] >= 0

    def is_quiet(self, process: Process) -> bool:
        """Whether nobody asks anything of a process any more, and nobody writes the graph."""
        return self.are_mutations_done and not self._actors.get(process)

    # ------------------------------------------------------------------ what happens

    def committed(self) -> None:
        """Take note of a commit, and wake those who wait for one."""
        self.truth.committed()
        self.scheduler.wake(self.waiting)

    def embedded(self, text: str) -> None:
        """Take note of a text that is being embedded."""
        self._embedded[text] = self.scheduler.points

    def asked_anew(self, keys: Sequence[RecordKey], asked: int) -> None:
        """Take note of keys that were acknowledged to be embedded anew, and when that was asked for."""
        self._asked.update(dict.fromkeys(keys, asked))

    def settled(self, parts: Parts) -> None:
        """Look at everything once the engine says that nothing is left to do; then the run is over."""
        try:
            self.truth.check_end(parts.edition, parts.engine.frontier)
            self._check_anew(parts.edition)
        except SimulationError as error:
            self.scheduler.fail(error)
        self.is_over = True

    def _check_anew(self, edition: int) -> None:
        excused = self.truth.ever_dead | self.durable.late
        for key, asked in self._asked.items():
            text = self.truth.text_now(key, edition)
            if text is not None and key not in excused and self._embedded.get(text, -1) < asked:
                raise SimulationError(f"{key} was to be embedded anew since {asked}: {text!r} was not")


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing be logged: what happens is in the trace."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
