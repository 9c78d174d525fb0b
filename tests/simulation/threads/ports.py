"""Ports under the scheduler: every call is a switch point, and where the seed says so it fails."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from slipstream.adapters.graphs.memory import MemoryFeed
from slipstream.domain.errors import UnavailableError
from slipstream.domain.positions import Position
from tests.simulation.threads.scheduler import Scheduler, Task

_START = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """The scheduler's time, as a `Clock`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now(self) -> datetime:
        """Return the virtual wall time."""
        return _START + timedelta(seconds=self._scheduler.now)

    def monotonic(self) -> float:
        """Return the virtual time; a switch point."""
        self._scheduler.point("clock", 0.1)
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        """Wait for time to pass."""
        self._scheduler.sleep(seconds)


class Faults:
    """
    What goes wrong at a switch point: the call is slow, or fails, before or after its effect, or the process dies.

    Rates are drawn from the seed, and are 0 in a third of all runs; once `are_over`, nothing fails any more.
    """

    def __init__(self, scheduler: Scheduler, crash: Callable[[], None]) -> None:
        rng = scheduler.rng
        self._scheduler, self._crash = scheduler, crash
        self.rate = rng.choice([0.0, 0.004, 0.02])
        self.slow_rate = rng.choice([0.0, 0.01, 0.05])
        self.slow_models_rate = rng.choice([0.0, 0.5])
        self.crash_rate = rng.choice([0.0, 0.002, 0.006])
        self.crashes_left = 2
        self.are_over = False
        self.count = 0

    def point(self, what: str, weight: float = 1.0, *, fails: bool = True) -> None:
        """Pass a switch point; raises `UnavailableError` where the call is to fail."""
        scheduler = self._scheduler
        scheduler.point(what, weight)
        if self.are_over:
            return
        if scheduler.rng.random() < self.slow_rate:
            scheduler.sleep(scheduler.rng.choice([0.001, 0.1, 1.0]))
        roll = scheduler.rng.random()
        if roll < self.crash_rate and self.crashes_left:
            self.crashes_left -= 1
            self.note(f"crash at {what}")
            self._crash()
        elif fails and roll > 1 - self.rate:
            self.note(f"fault at {what}")
            raise UnavailableError(f"simulated at {what}")

    def embedding(self, what: str) -> None:
        """Let a model take its time, or fail on what it is given, though it is up; raises `ValueError`."""
        self.point(what)
        if not self.are_over and self._scheduler.rng.random() < self.slow_models_rate:
            self._scheduler.sleep(self._scheduler.rng.choice([0.01, 0.1, 1.0]))
        if not self.are_over and self._scheduler.rng.random() < 4 * self.rate:
            self.note(f"hiccup at {what}")
            raise ValueError(f"simulated at {what}")

    def note(self, text: str) -> None:
        """Put something into the trace."""
        self.count += 1
        self._scheduler.trace.append((self._scheduler.points, self._scheduler.current.name, text))


class Port:
    """
    A port that is only read: a switch point before each of its `calls`. Whatever else it has goes straight through.
    """

    def __init__(self, name: str, inner: Any, faults: Faults, calls: Collection[str]) -> None:
        self._name, self._inner, self._faults, self._calls = name, inner, faults, calls

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name not in self._calls:
            return attribute
        what, faults = f"{self._name}.{name}", self._faults

        def call(*args: Any, **named: Any) -> Any:
            faults.point(what)
            return attribute(*args, **named)

        self.__dict__[name] = call  # looked up once
        return call


class SimulatedFeed:
    """The change feed, whose waiters wait in the scheduler; `told` wakes them."""

    def __init__(self, inner: MemoryFeed, scheduler: Scheduler, faults: Faults, waiting: list[Task]) -> None:
        self._inner, self._scheduler, self._faults, self._waiting = inner, scheduler, faults, waiting

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there is an entry behind `after`."""
        self._faults.point("feed.wait")
        if self._inner.head() <= after:
            self._scheduler.block(self._waiting, "feed.wait", timeout_s)
        return self._inner.head() > after

    def head(self) -> Position:
        """Return the position of the newest entry."""
        self._faults.point("feed.head", 0.5)
        return self._inner.head()

    def read(self, after: Position, limit: int) -> Any:
        """Return the next entries."""
        self._faults.point("feed.read")
        return self._inner.read(after, limit)

    def acknowledge(self, consumer: str, through: Position | None) -> None:
        """Note what a consumer has read."""
        self._faults.point("feed.acknowledge")
        self._inner.acknowledge(consumer, through)

    def trim(self, retention: Any) -> int:
        """Forget old entries."""
        self._faults.point("feed.trim")
        return self._inner.trim(retention)
