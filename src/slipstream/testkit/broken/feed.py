"""Graphs whose change feed has one fault, built on the in-memory reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from slipstream.adapters.graphs.memory import MemoryFeed, MemoryGraph
from slipstream.domain.log import LogEntry
from slipstream.domain.positions import Position
from slipstream.ports.feed import Retention
from slipstream.testkit.clock import ManualClock

_FOR_EVER_S = 1e12
_NO_LIMIT = 1 << 60


class BrokenFeedGraph(MemoryGraph):
    """A graph with a broken feed."""

    _Feed: ClassVar[type[MemoryFeed]] = MemoryFeed

    def __init__(self) -> None:
        clock = ManualClock()
        super().__init__(clock)
        self._feed = self._Feed(clock, virtual_time=False)


class ServesTrimmedRanges(BrokenFeedGraph):
    """Reads on behind a trimmed range as if nothing were missing."""

    class _Feed(MemoryFeed):
        def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
            return super().read(Position(max(after, self._trimmed)), limit)


class AcknowledgesBackwards(BrokenFeedGraph):
    """Moves a consumer back when it acknowledges an older position."""

    class _Feed(MemoryFeed):
        def acknowledge(self, consumer: str, through: Position | None) -> None:
            super().acknowledge(consumer, None)
            super().acknowledge(consumer, through)


class KnowsOneConsumer(BrokenFeedGraph):
    """Keeps one place for all consumers."""

    class _Feed(MemoryFeed):
        def acknowledge(self, consumer: str, through: Position | None) -> None:
            super().acknowledge("" if through else consumer, through)


class NeverForgetsAConsumer(BrokenFeedGraph):
    """Keeps the log for a consumer that is gone."""

    class _Feed(MemoryFeed):
        def acknowledge(self, consumer: str, through: Position | None) -> None:
            if through is not None:
                super().acknowledge(consumer, through)


class TrimsByCount(BrokenFeedGraph):
    """Keeps a number of entries, whatever their size."""

    class _Feed(MemoryFeed):
        def trim(self, retention: Retention) -> int:
            if retention.kept_bytes and len(self._entries) > 100:
                oldest = self._positions[-100]
                del self._entries[:-100], self._positions[:-100]
                self._trimmed = Position(oldest - 1)
                return int(oldest) - 1
            return super().trim(retention)


class KeepsWhatIsOld(BrokenFeedGraph):
    """Trims by size alone."""

    class _Feed(MemoryFeed):
        def trim(self, retention: Retention) -> int:
            return super().trim(replace(retention, kept_s=_FOR_EVER_S))


class WaitsForTheSlowestForEver(BrokenFeedGraph):
    """Knows no limit: one consumer that never comes back fills the disk."""

    class _Feed(MemoryFeed):
        def trim(self, retention: Retention) -> int:
            return super().trim(replace(retention, limit_bytes=_NO_LIMIT))


class ForgetsTheHead(BrokenFeedGraph):
    """Trims all there is, and begins to count anew."""

    class _Feed(MemoryFeed):
        def trim(self, retention: Retention) -> int:
            count = super().trim(retention)
            if retention.limit_bytes == 0 and self._entries:
                self._entries.clear()
                self._positions.clear()
                count += 1
            return count


class WaitsForNothing(BrokenFeedGraph):
    """Checks once, and reports a timeout."""

    class _Feed(MemoryFeed):
        def wait(self, after: Position, timeout_s: float) -> bool:  # noqa: ARG002 - the fault
            return self.head() > after


class ShowsALatecomer(BrokenFeedGraph):
    """Once shows an entry before its predecessor."""

    class _Feed(MemoryFeed):
        _is_late = False

        def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
            found = list(super().read(after, limit))
            if self._is_late or not 2 <= len(found) <= limit < 100:  # it is the poll of a follower
                return found
            self._is_late = True
            return [*found[:-2], found[-1]]


BROKEN_FEEDS: tuple[type[BrokenFeedGraph], ...] = (
    ServesTrimmedRanges,
    AcknowledgesBackwards,
    KnowsOneConsumer,
    NeverForgetsAConsumer,
    TrimsByCount,
    KeepsWhatIsOld,
    WaitsForTheSlowestForEver,
    ForgetsTheHead,
    WaitsForNothing,
    ShowsALatecomer,
)
