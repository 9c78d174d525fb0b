"""
The scheduler: real threads that hand on one baton. Who gets it, and when time passes, is decided by a seed alone.

A thread gives the baton away only in `point` (it could go on) and in `block` (it can not). Time is virtual: it ticks
at every point, and jumps to the deadline of a timed wait when that one is chosen to expire.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

_TICK_S = 0.0002
_POINTS_MAX = 60_000


class Stopped(BaseException):
    """The thread ends here: its process has died, or the run is over. Not an `Exception`: nothing may catch it."""


class SimulationError(AssertionError):
    """A property was violated, or nothing could go on."""


@dataclass(eq=False)
class Process:
    """A simulated process: what dies together, and is stopped together."""

    name: str
    is_dead: bool = False
    is_stopped: bool = False
    """Set while none of its threads is chosen, as after SIGSTOP."""


@dataclass(eq=False)
class Task:
    """A thread under the scheduler."""

    name: str
    process: Process
    body: Callable[[], None]
    priority: float
    gate: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None
    is_ready: bool = True
    is_done: bool = False
    deadline: float | None = None
    is_patient: bool = False
    """Its wait only times out when nothing else can go on at all."""
    waiting: list[Task] | None = None
    is_unwound: bool = False
    """Run to its end by somebody who waits for that."""
    joined: list[Task] = field(default_factory=list)


class Scheduler:
    """
    Runs tasks, one at a time, from the calling thread: `spawn` some, then `run`.

    Half of the seeds choose at random, with a taste for staying; the others run the task of the highest priority and
    change priorities now and then (PCT: Burckhardt et al., ASPLOS 2010), which starves threads for long stretches.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.points = 0
        self.switches = 0
        self.error: BaseException | None = None
        self.trace: list[tuple[int, str, str]] = []
        self.on_point: Callable[[str], None] = lambda _: None
        """Looks at the world whenever a thread is about to do something that others can see."""
        self._tasks: list[Task] = []
        self._names: dict[str, count[int]] = {}
        self._current: Task | None = None
        self._driver = threading.Lock()
        self._killer = threading.Lock()
        self._is_over = self._has_woken = False
        self._by_priority = rng.random() < 0.5
        self._change = rng.choice([0.01, 0.05, 0.2]) if self._by_priority else rng.choice([0.1, 0.4, 0.9])
        self._hurry = rng.choice([0.002, 0.03, 0.2])
        """How often a timed wait expires although somebody could go on."""

    # ------------------------------------------------------------------ tasks

    @property
    def current(self) -> Task:
        """The task that runs; only called from one."""
        if self._current is None:
            raise SimulationError("called from outside of the simulated threads")
        return self._current

    def spawn(self, name: str, process: Process, body: Callable[[], None]) -> Task:
        """Add a task, which runs when it is chosen."""
        number = next(self._names.setdefault(f"{process.name}.{name}", count()))
        full = f"{process.name}.{name}" + (f"#{number}" if number else "")
        task = Task(full, process, body, self.rng.random())
        task.gate.acquire()
        self._tasks.append(task)
        return task

    def run(self) -> None:
        """Run until every task is done; raises what went wrong first."""
        self._driver.acquire()
        self._hand_to(self._chosen())
        self._driver.acquire()
        self._is_over = True
        for task in list(self._tasks):
            self._unwind(task)
        if self.error is not None:
            raise self.error

    def fail(self, error: BaseException) -> None:
        """End the run with an error."""
        self.error = self.error or error
        raise Stopped

    def _main(self, task: Task) -> None:
        task.gate.acquire()
        try:
            self.check_alive()
            task.body()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  (it is told by `run`)
            self.error = self.error or error
        task.is_done, task.is_ready = True, False
        self._tasks.remove(task)
        self.wake(task.joined)
        if task.is_unwound:
            self._killer.release()
        else:
            self._next_or_end()

    def _next_or_end(self) -> None:
        if self.error is not None or not self._tasks:
            self._driver.release()
            return
        chosen = self._chosen()
        if chosen is None:
            self._driver.release()
        else:
            self._hand_to(chosen)

    # ------------------------------------------------------------------ switching

    def check_alive(self) -> None:
        """End this thread when its process has died or the run is over."""
        if self._is_over or self.error is not None or self.current.process.is_dead:
            raise Stopped

    def point(self, what: str, weight: float = 1.0) -> None:
        """Let the seed decide whether another thread goes first."""
        self.check_alive()
        self.points += 1
        self.now += _TICK_S
        if self.points > _POINTS_MAX:
            self.fail(SimulationError(f"a livelock: {self.current.name} goes on and on, now at {what}"))
        self.on_point(what)
        if self.current.process.is_stopped:
            self._switch(what)
        elif self.rng.random() < self._change * weight:
            if self._by_priority:
                self.current.priority = -self.points  # behind all others
            self._switch(what)
        elif self._by_priority and self._has_woken:
            self._switch(what)

    def block(self, waiting: list[Task], what: str, timeout_s: float | None = None, *, patient: bool = False) -> bool:
        """Wait until somebody wakes those who wait there; False when the time ran out."""
        self.check_alive()
        task = self.current
        task.is_ready, task.is_patient, task.waiting = False, patient, waiting
        task.deadline = None if timeout_s is None else self.now + timeout_s
        waiting.append(task)
        self._switch(what)
        was_woken = task.waiting is None
        if not was_woken:
            waiting.remove(task)
            task.waiting = None
        task.deadline = None
        return was_woken

    def wake(self, waiting: list[Task], number: int | None = None) -> None:
        """Let the first of those who wait go on, or all of them."""
        if not waiting:
            return
        self._has_woken = True
        woken = waiting[:number]
        del waiting[:number]
        for task in woken:
            task.is_ready, task.waiting, task.deadline = True, None, None

    def sleep(self, seconds: float) -> None:
        """Wait for time alone."""
        self.block([], "sleep", max(seconds, 0.0))

    def _switch(self, what: str) -> None:
        task = self.current
        chosen = self._chosen()
        if chosen is task:
            return
        self.switches += 1
        self.trace.append((self.points, task.name, what))
        if chosen is None:
            self._driver.release()
        else:
            self._hand_to(chosen)
        task.gate.acquire()
        self.check_alive()

    def _hand_to(self, task: Task | None) -> None:
        if task is None:
            self._driver.release()
            return
        self._current = task
        if task.thread is None:
            task.thread = threading.Thread(target=self._main, args=(task,), daemon=True)
            task.thread.start()
        task.gate.release()

    def _chosen(self) -> Task | None:
        """Return who goes on; None, with an error set, when nobody ever can."""
        self._has_woken = False
        while True:
            ready = [task for task in self._tasks if task.is_ready and not task.process.is_stopped]
            if not ready or (self._hurry and self.rng.random() < self._hurry):
                expired = self._expire(patient=not ready)
                if expired is not None:
                    return expired
            if ready:
                if self._by_priority:
                    return max(ready, key=_priority)
                return ready[int(self.rng.random() * len(ready))]
            stopped = [task.process for task in self._tasks if task.process.is_stopped]
            if not stopped:
                where = ", ".join(task.name for task in self._tasks)
                self.error = self.error or SimulationError(f"deadlock: {where} wait for each other")
                return None
            stopped[0].is_stopped = False

    def _expire(self, *, patient: bool) -> Task | None:
        """Let the timed wait expire that is due first; patient ones only when asked to."""
        timed = [
            task
            for task in self._tasks
            if task.deadline is not None and not task.process.is_stopped and not task.is_patient
        ]
        if not timed and patient:
            timed = [task for task in self._tasks if task.deadline is not None and not task.process.is_stopped]
        if not timed:
            return None
        first = min(timed, key=_deadline)
        self.now = max(self.now, _deadline(first))
        first.is_ready, first.deadline = True, None
        return first

    # ------------------------------------------------------------------ dying

    def kill(self, process: Process) -> None:
        """End all threads of a process where they are. Called by one of them, it does not return."""
        process.is_dead, process.is_stopped = True, False
        killer = self.current
        for task in [task for task in self._tasks if task.process is process and task is not killer]:
            self._unwind(task)
        self._current = killer
        self.check_alive()

    def _unwind(self, task: Task) -> None:
        """Run a thread to its end; every call that it makes on the way raises."""
        if task.waiting is not None:
            task.waiting.remove(task)
            task.waiting = None
        if task.thread is None:
            task.is_done = True
            self._tasks.remove(task)
            return
        self._killer = threading.Lock()
        self._killer.acquire()
        self._current, task.is_unwound = task, True
        task.gate.release()
        self._killer.acquire()
        task.thread.join()


def _priority(task: Task) -> float:
    return task.priority


def _deadline(task: Task) -> float:
    return task.deadline or 0.0
