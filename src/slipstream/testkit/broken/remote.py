"""Clients of the remote database with one fault each: what is easily done wrong without snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from slipstream.domain.entities import GraphSnapshot, Hop
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.clock import Clock
from slipstream.testkit.remote import CALM, RemoteDatabase, RemoteFeed, RemoteGraph, Trouble
from slipstream.testkit.remote.line import Line


class _BrokenRemote(RemoteGraph):
    """A client with a broken feed."""

    _Feed: ClassVar[type[RemoteFeed]] = RemoteFeed

    def __init__(self, database: RemoteDatabase, clock: Clock, trouble: Trouble = CALM) -> None:
        super().__init__(database, clock, trouble)
        self._feed = self._Feed(self._line, clock)


class StampsAfterReading(_BrokenRemote):
    """Reads the texts first and the position later: a commit in between counts as read."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        states = self._states(keys, hops)
        return GraphSnapshot(self._feed.head(), states)


class PassesHoles(_BrokenRemote):
    """Takes the newest visible row for the head, even if earlier rows are missing."""

    class _Feed(RemoteFeed):
        def head(self) -> Position:
            return self._line.ask(lambda: max([self._store.trimmed, *self._store.rows]))


class BoundsNothing(_BrokenRemote):
    """Computes the head correctly, but reads the log past it."""

    class _Feed(RemoteFeed):
        def _bound(self) -> Position:
            return self._line.ask(lambda: max([self._store.trimmed, *self._store.rows]))


class KeepsPlacesAtHome(_BrokenRemote):
    """Notes what was acknowledged in the client, not in the database."""

    class _Feed(RemoteFeed):
        def __init__(self, line: Line, clock: Clock) -> None:
            super().__init__(line, clock)
            self._places: dict[str, Position] = {}

        def acknowledge(self, consumer: str, through: Position | None) -> None:
            self._line.require_open()
            if through is None:
                self._places.pop(consumer, None)
            else:
                self._places[consumer] = max(through, self._places.get(consumer, ORIGIN))

        def _floor(self, head: Position) -> Position:
            return min(self._places.values(), default=head)


class HearsItselfOnly(_BrokenRemote):
    """Waits only for a moment, which is enough for the commits of its own client alone."""

    class _Feed(RemoteFeed):
        def wait(self, after: Position, timeout_s: float) -> bool:
            return super().wait(after, min(timeout_s, 0.005))


BROKEN_REMOTES: tuple[type[_BrokenRemote], ...] = (
    StampsAfterReading,
    PassesHoles,
    BoundsNothing,
    KeepsPlacesAtHome,
    HearsItselfOnly,
)
