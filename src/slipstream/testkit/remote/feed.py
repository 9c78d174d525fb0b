"""The log of the remote database as a feed: rows come in any order, so rows after a hole are held back."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from slipstream.domain.errors import PositionLostError
from slipstream.domain.log import LogEntry, Rescan
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.clock import Clock
from slipstream.ports.feed import Retention
from slipstream.testkit.remote.line import Line
from slipstream.testkit.remote.store import LogRow

_POLL_S = 0.001


class RemoteFeed:
    """The change feed of a `RemoteGraph`."""

    def __init__(self, line: Line, clock: Clock) -> None:
        self._line, self._clock = line, clock
        self._store = line.database.store
        self._lock = threading.Lock()
        self._settled = ORIGIN

    def head(self) -> Position:
        """Return the newest position without a hole before it: all rows up to it are visible, and their data."""
        with self._lock:
            start = self._settled
        trimmed, follower = self._line.ask(lambda: self._store.links_behind(start))
        start = max(start, trimmed)
        while start in follower:
            start = follower[start]
        with self._lock:
            self._settled = max(self._settled, start)
            return self._settled

    def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
        """Return the next entries after `after`, none newer than the head that was read first."""
        bound = self._bound()
        trimmed, rows = self._line.ask(lambda: self._store.rows_between(after, bound, max(limit, 0)))
        if after < trimmed:
            raise PositionLostError(
                f"the log was trimmed through {trimmed}, entries behind {after} are gone: backfill"
            )
        return [row.entry for row in rows]

    def _bound(self) -> Position:
        """Return how far a poll may read."""
        return self.head()

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there is an entry after `after`, by polling; False when the time ran out."""
        deadline = self._clock.monotonic() + timeout_s
        while self.head() <= after:
            if (remaining_s := deadline - self._clock.monotonic()) <= 0.0:
                return False
            self._clock.sleep(min(_POLL_S, remaining_s))
        return True

    def acknowledge(self, consumer: str, through: Position | None) -> None:
        """Note that a consumer needs no entry up to `through` any more; None forgets the consumer."""
        self._line.ask(lambda: self._note(consumer, through))

    def _note(self, consumer: str, through: Position | None) -> None:
        consumers = self._store.consumers
        if through is None:
            consumers.pop(consumer, None)
        else:
            consumers[consumer] = max(through, consumers.get(consumer, ORIGIN))

    def trim(self, retention: Retention) -> int:
        """Forget the oldest entries as far as `retention` allows, never the head; returns how many."""
        head = self.head()
        _, rows = self._line.ask(lambda: self._store.rows_between(ORIGIN, head, len(self._store.rows)))
        chosen = self._chosen(rows, self._floor(head), retention)
        if not chosen:
            return 0
        self._line.ask(lambda: self._store.forget_rows(chosen[-1].position))
        return len(chosen)  # as read before: a lost answer must not count twice

    def _floor(self, head: Position) -> Position:
        """Return what every consumer has acknowledged."""
        return self._line.ask(lambda: min(self._store.consumers.values(), default=head))

    def _chosen(self, rows: Sequence[LogRow], floor: Position, retention: Retention) -> list[LogRow]:
        left_bytes, chosen = sum(row.size_bytes for row in rows), list[LogRow]()
        for row in rows[:-1]:
            is_over = left_bytes > retention.kept_bytes or self._age_s(row) > retention.kept_s
            if not (row.position <= floor and is_over) and left_bytes <= retention.limit_bytes:
                break
            left_bytes -= row.size_bytes
            chosen.append(row)
        return chosen

    def _age_s(self, row: LogRow) -> float:
        if isinstance(row.entry, Rescan):
            return 0.0
        return (self._clock.now() - row.entry.timestamp).total_seconds()
