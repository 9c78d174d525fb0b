"""The change feed: what committed in the graph, in commit order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from slipstream.domain.keys import RecordKey
from slipstream.domain.log import LogEntry
from slipstream.domain.positions import Position

INDEX_CONSUMER = "index"
"""The consumer that keeps the vector index."""
WORDS_CONSUMER = "words"
"""The consumer that keeps the word rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """
    How much of a log is kept when every consumer has acknowledged it, and how much at most.

    The newest `kept_bytes` stay, unless they are older than `kept_s`. What a consumer has not acknowledged stays too,
    until the log is longer than `limit_bytes`: then that consumer is told (`PositionLostError`) and backfills. Sizes
    and ages may be measured over stretches of some hundred entries: one that is partly to be kept stays whole, one
    that reaches past `limit_bytes` goes whole.
    """

    kept_bytes: int = 64 * 1024 * 1024
    kept_s: float = 7 * 86_400.0
    limit_bytes: int = 1024 * 1024 * 1024


DEFAULT_RETENTION = Retention()


class ChangedKey(NamedTuple):
    """What an entry is about, without what it says; `key` is None for a schema version."""

    position: Position
    key: RecordKey | None
    type: str


@runtime_checkable
class KeyFeed(Protocol):
    """A feed that can tell what its entries are about at less cost than reading them; optional."""

    def changed(self, after: Position, limit: int) -> Sequence[ChangedKey] | None:
        """
        Return what the next entries behind `after` are about, in order, at most `limit`.

        None where only `read` tells it: a rescan is among them, say. Raises what `read` raises.
        """
        ...


@runtime_checkable
class ChangeFeed(Protocol):
    """
    A durable, ordered log of commits. An entry is visible only if its mutation is; each acknowledged commit has one.

    Positions grow in commit order: once an entry is visible, no smaller position can appear any more. (Where a store
    shows rows of one commit in any order, what lies behind a hole is held back.) They are not always dense
    (`RestoreMarks.advance` leaves a gap): a bound need not be the position of an entry. Every method raises
    `UnavailableError` when the log can not be reached now; repeating a call is harmless, and each is atomic, but for
    `trim`, which may work in steps.
    """

    def head(self) -> Position:
        """Return the position of the newest entry, `ORIGIN` when there never was one."""
        ...

    def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
        """
        Return the next entries behind `after`, in order, at most `limit`.

        A reader keeps its own place, since it may read further than what it has acknowledged. Raises
        `PositionLostError` when entries behind `after` have been trimmed.
        """
        ...

    def wait(self, after: Position, timeout_s: float) -> bool:
        """
        Wait until there is an entry behind `after`, of whatever process; False when `timeout_s` passed first.

        With `timeout_s` 0 it looks once. It never returns False before the time is up.
        """
        ...

    def acknowledge(self, consumer: str, through: Position | None) -> None:
        """
        Note durably that a consumer needs nothing up to `through` any more; None forgets the consumer.

        An older position than the noted one changes nothing. An unknown consumer is added; to forget one is no error.
        """
        ...

    def trim(self, retention: Retention) -> int:
        """Forget the oldest entries as far as `retention` allows; returns how many. The head is never forgotten."""
        ...
