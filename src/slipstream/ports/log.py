"""The change log: what committed in the graph, in commit order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from slipstream.domain.log import LogEntry
from slipstream.domain.positions import Position


@runtime_checkable
class ChangeLog(Protocol):
    """
    A durable, ordered log of commits. An entry is visible if and only if its mutation is committed.

    Positions grow in commit order: once an entry is visible, no smaller position can appear any more. They are
    not always dense (`WritableGraph.advance` leaves a gap): any position may be read, waited or trimmed from.
    """

    def head(self) -> Position:
        """Return the position of the newest entry, `ORIGIN` when there never was one."""
        ...

    def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
        """
        Return the next entries behind `after`, in order, at most `limit`.

        Raises `PositionLostError` when entries behind `after` have been trimmed.
        """
        ...

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there is an entry behind `after`; False when `timeout_s` passed first. May wake early."""
        ...

    def trim(self, through: Position) -> int:
        """Forget entries up to and including `through`; returns how many. The head is never forgotten."""
        ...
