"""What `threading`, `queue` and `time` are to the engine while it is simulated: the same, under the scheduler."""

from __future__ import annotations

import importlib
import pkgutil
import queue as real_queue
import threading as real_threading
import time as real_time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import slipstream.apply
import slipstream.audit
import slipstream.engine
import slipstream.events
import slipstream.evolution
import slipstream.recipes
import slipstream.search
import slipstream.syncview
from slipstream.engine import pipeline
from tests.simulation.threads.scheduler import Scheduler, Task

_LOCK_WEIGHT = 0.25
"""How likely the baton changes hands at a free lock, beside a call of a port."""
_PACKAGES = (
    slipstream.apply,
    slipstream.audit,
    slipstream.engine,
    slipstream.events,
    slipstream.evolution,
    slipstream.recipes,
    slipstream.search,
    slipstream.syncview,
)


class Lock:
    """A lock; `reentrant` ones may be taken again by their holder."""

    def __init__(self, scheduler: Scheduler, name: str = "lock", *, reentrant: bool = False) -> None:
        self.scheduler, self._name, self._reentrant = scheduler, name, reentrant
        self.holder: Task | None = None
        self.depth = 0
        self.waiting: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; a switch point even when it is free."""
        scheduler, task = self.scheduler, self.scheduler.current
        if self._reentrant and self.holder is task:
            scheduler.check_alive()
            self.depth += 1
            return True
        scheduler.point(self._name, _LOCK_WEIGHT)
        while self.holder is not None:
            if not blocking:
                return False
            if not scheduler.block(self.waiting, self._name, None if timeout < 0 else timeout):
                return False
        self.holder, self.depth = task, 1
        return True

    def release(self) -> None:
        """Give it back; one that died meanwhile may not hold it any more."""
        if self.holder is not self.scheduler.current:
            self.scheduler.check_alive()
            raise RuntimeError("released by a thread that does not hold it")
        self.depth -= 1
        if not self.depth:
            self.holder = None
            self.scheduler.wake(self.waiting)

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self.holder is not None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    """A condition over a lock of the scheduler; the lock is given away whole while its holder waits."""

    def __init__(self, lock: Lock) -> None:
        self._scheduler, self._lock = lock.scheduler, lock
        self._waiting: list[Task] = []

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified; False when the time ran out."""
        lock, depth = self._lock, self._lock.depth
        lock.depth = 1
        lock.release()
        notified = self._scheduler.block(self._waiting, "condition", timeout)
        lock.acquire()
        lock.depth = depth
        return notified

    def notify_all(self) -> None:
        """Wake all who wait."""
        self._scheduler.wake(self._waiting)

    def _is_owned(self) -> bool:
        return self._lock.holder is self._scheduler.current


class Event:
    """A flag to wait for."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler, self._is_set = scheduler, False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it."""
        self._is_set = True
        self._scheduler.wake(self._waiting)

    def clear(self) -> None:
        """Take it back."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; False when the time ran out."""
        self._scheduler.point("event", _LOCK_WEIGHT)
        return self._is_set or self._scheduler.block(self._waiting, "event", timeout) or self._is_set


class Queue:
    """A queue of a bounded size."""

    def __init__(self, scheduler: Scheduler, maxsize: int = 0) -> None:
        self._scheduler, self._maxsize = scheduler, maxsize
        self._items: deque[Any] = deque()
        self._getting: list[Task] = []
        self._putting: list[Task] = []

    def put(self, item: Any, timeout: float | None = None) -> None:
        """Put something in; raises `queue.Full` when the time ran out."""
        self._scheduler.point("put")
        while self._maxsize and len(self._items) >= self._maxsize:
            if not self._scheduler.block(self._putting, "put", timeout):
                raise real_queue.Full
        self._items.append(item)
        self._scheduler.wake(self._getting, 1)

    def get(self, timeout: float | None = None) -> Any:
        """Take the oldest item; raises `queue.Empty` when the time ran out."""
        self._scheduler.point("get")
        while not self._items:
            if not self._scheduler.block(self._getting, "get", timeout):
                raise real_queue.Empty
        item = self._items.popleft()
        self._scheduler.wake(self._putting, 1)
        return item


class Thread:
    """A thread of the process that makes it."""

    def __init__(self, scheduler: Scheduler, target: Callable[..., None], args: tuple[Any, ...], name: str) -> None:
        self._scheduler, self.name = scheduler, name
        self._body = lambda: target(*args)
        self._task: Task | None = None

    def start(self) -> None:
        """Begin."""
        self._task = self._scheduler.spawn(self.name.rpartition("-")[2], self._scheduler.current.process, self._body)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or the time ran out: but only when nothing else can go on."""
        if self.is_alive() and self._task is not None:
            self._scheduler.block(self._task.joined, "join", timeout, patient=True)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._task is not None and not self._task.is_done


def _stand_ins(scheduler: Scheduler) -> dict[str, SimpleNamespace]:
    """Return what stands in for each module, by its name."""

    def thread(
        target: Callable[..., None], args: tuple[Any, ...] = (), name: str = "", daemon: bool = True
    ) -> Thread:
        del daemon
        return Thread(scheduler, target, args, name)

    def monotonic() -> float:
        scheduler.check_alive()
        return scheduler.now

    return {
        "threading": SimpleNamespace(
            Thread=thread,
            Event=lambda: Event(scheduler),
            Lock=lambda: Lock(scheduler),
            RLock=lambda: Lock(scheduler, reentrant=True),
            Condition=lambda lock=None: Condition(lock or Lock(scheduler, reentrant=True)),
        ),
        "queue": SimpleNamespace(
            Queue=lambda maxsize=0: Queue(scheduler, maxsize), Empty=real_queue.Empty, Full=real_queue.Full
        ),
        "time": SimpleNamespace(monotonic=monotonic, sleep=scheduler.sleep),
    }


_REAL: dict[str, ModuleType] = {"threading": real_threading, "queue": real_queue, "time": real_time}


def _modules() -> list[ModuleType]:
    return [
        importlib.import_module(f"{package.__name__}.{info.name}")
        for package in _PACKAGES
        for info in pkgutil.iter_modules(package.__path__)
    ]


_USERS = [(module, name) for module in _modules() for name in _REAL if getattr(module, name, None) is _REAL[name]]
"""Every module of the engine and of its audits that uses one of them, and under which name."""
_HEIRS = [
    value
    for module in _modules()
    for value in vars(module).values()
    if isinstance(value, type) and value.__module__ == module.__name__ and real_threading.Condition in value.__bases__
]
"""Classes of theirs that are conditions."""


@contextmanager
def simulated(scheduler: Scheduler) -> Iterator[None]:
    """
    Hand the scheduler's primitives to the engine, for what is made inside the block.

    And have it use all of its threads: in a small world every batch is small enough for the reader alone.
    """
    stand_ins, inline_max = _stand_ins(scheduler), pipeline._INLINE_MAX
    pipeline._INLINE_MAX = scheduler.rng.choice([0, 1, inline_max])
    for module, name in _USERS:
        setattr(module, name, stand_ins[name])
    for heir in _HEIRS:
        heir.__bases__ = (Condition,)
    try:
        yield
    finally:
        pipeline._INLINE_MAX = inline_max
        for module, name in _USERS:
            setattr(module, name, _REAL[name])
        for heir in _HEIRS:
            heir.__bases__ = (real_threading.Condition,)
