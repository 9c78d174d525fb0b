"""How long what is not reflected yet has been waiting."""

from __future__ import annotations

from slipstream.domain.events import PKGEvent
from slipstream.domain.positions import Position
from slipstream.ports.ages import since_s
from slipstream.ports.clock import Clock
from slipstream.ports.feed import ChangeFeed
from slipstream.sync.engine import SyncEngine


class Lag:
    """
    The age of the oldest commit that is not reflected, in seconds of monotonic time since it was first seen.

    The wall clock is asked once for each commit: one that is set meanwhile neither hides a lag nor makes one up.
    """

    def __init__(self, engine: SyncEngine, log: ChangeFeed, clock: Clock) -> None:
        self._engine, self._log, self._clock = engine, log, clock
        self._unread: tuple[Position, float] | None = None
        """The first entry that was found unread, and when it was committed."""

    def seconds(self, head: Position, frontier: Position) -> float:
        """Return how old that commit is; 0 where nothing is owed, or nobody knows."""
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
