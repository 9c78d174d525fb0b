"""
The pace of an audit: how many keys it takes at a time, and how long it rests in between.

What compares holds Python's lock, so a live change waits for the rest of a page. (To read the next page on a second
thread gains nothing: a driver that returns rows takes the lock for each.) So an audit in the engine's own process
goes in small pages, and rests after each, for as long as live changes flow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from slipstream.ports.clock import Clock
from slipstream.ports.scans import PAGE

T = TypeVar("T")

SMALL_PAGE = 16
"""A live change never waits for the comparison of more keys than this."""
_REST_MAX_S = 5.0
"""The longest rest: an audit that had to wait for the index would else rest in proportion to that."""


class Pace(Protocol):
    """Asked before each page, and told after it."""

    @property
    def page(self) -> int:
        """How many keys the next page may have."""
        ...

    def rest(self) -> None:
        """A page is done: wait for as long as is due. May raise, to stop the audit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gait:
    """How an audit goes under one condition. With a share of 1.0 it never rests."""

    page: int = PAGE
    core_share: float = 1.0


@dataclass(frozen=True, slots=True)
class SteadyPace:
    """Pages of one size, and no rests."""

    page: int = PAGE

    def rest(self) -> None:
        """Go on at once."""


FULL_SPEED = SteadyPace()
"""As fast as it goes, whoever waits."""


class TrafficPace:
    """One gait while live changes flow, another while they do not; looks again after every page. For one audit."""

    def __init__(
        self,
        is_busy: Callable[[], bool],
        clock: Clock,
        *,
        busy: Gait,
        idle: Gait,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._is_busy, self._clock, self._sleep = is_busy, clock, sleep or clock.sleep
        self._busy, self._idle = busy, idle
        self._look()

    def _look(self) -> None:
        self._gait = self._busy if self._is_busy() else self._idle
        self._began_s = self._clock.monotonic()

    @property
    def page(self) -> int:
        """As of the gait."""
        return self._gait.page

    def rest(self) -> None:
        """Rest for so long that the work before it took no more than its share of a core, as things are now."""
        worked_s = self._clock.monotonic() - self._began_s
        self._look()
        self._sleep(min(_REST_MAX_S, worked_s * (1 / self._gait.core_share - 1)))
        self._began_s = self._clock.monotonic()


def polite(is_busy: Callable[[], bool], clock: Clock, *, busy_share: float) -> TrafficPace:
    """Return the pace of an audit that somebody waits for: out of the way of live changes, else at full speed."""
    busy = Gait(page=SMALL_PAGE, core_share=busy_share)
    return TrafficPace(is_busy, clock, busy=busy, idle=Gait())


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`."""
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


def paced(items: Iterable[T], pace: Pace) -> Iterator[list[T]]:
    """Yield the items in lists as long as the pace allows at the time."""
    iterator = iter(items)
    while page := list(islice(iterator, pace.page)):
        yield page
