"""Work that is still to be done, and work that failed for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.refusals import is_cut


class Lane(IntEnum):
    """Urgency of work: a lane never starves the one above it (lower numbers first)."""

    LIVE = 0
    RETRY = 1
    MIGRATION = 2
    REPAIR = 3
    BACKFILL = 4


URGENT = (Lane.LIVE, Lane.RETRY)
"""The lanes that somebody waits for; all others stand back."""


def merged_lane(one: Lane, other: Lane, *, is_behind: bool) -> Lane:
    """
    Return the lane of work that is asked for in two lanes: the more urgent one.

    With one exception: work of the migration lane may wait for a model that is down. A key that is also due for its
    live record (a repair, or anything when it `is_behind` a commit) goes to the other lane instead; what the next
    generation still needs of it is found again there.
    """
    urgent, lazy = min(one, other), max(one, other)
    is_owed_only = urgent is Lane.MIGRATION and (lazy is Lane.REPAIR or is_behind)
    return lazy if is_owed_only else urgent


@dataclass(frozen=True, slots=True)
class WorkItem:
    """
    A dirty key kept durably in the journal, one per key.

    `position` is the oldest mutation of the key that the index does not reflect yet and holds the frontier back;
    None for marks (repair, backfill) that no commit asked for. `force` asks for an embedding even when the
    fingerprint is unchanged. A higher `priority` goes first within its lane.
    """

    key: RecordKey
    lane: Lane
    position: Position | None = None
    attempts: int = 0
    due_at: datetime | None = None
    reason: str = ""
    error: str | None = None
    force: bool = False
    priority: float = 0.0

    @property
    def order(self) -> tuple[Lane, float, str]:
        """Where it stands among all work: the most urgent lane first, in it the highest priority, then by key."""
        return self.lane, -self.priority, self.key.encode()


class Claim(NamedTuple):
    """A key taken for processing. It is not given out again until it is settled, released or deferred."""

    key: RecordKey
    lane: Lane
    position: Position | None
    attempts: int
    force: bool
    durable: bool
    committed_s: float | None


ERROR_CHARACTERS_MAX = 2_000
"""How much of an error is kept with work and dead letters: a server's answer may be of any length."""
_CUT_CHARACTERS = 100
"""Room for the note that an error was cut, so that a kept error is never cut a second time."""


def kept_error(text: str) -> str:
    """Return an error, or the beginning of a long one and how much more it had."""
    if len(text) <= ERROR_CHARACTERS_MAX + _CUT_CHARACTERS:
        return text
    return f"{text[:ERROR_CHARACTERS_MAX]} … ({len(text) - ERROR_CHARACTERS_MAX:,} more characters)"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """
    A key (or an event that names none) that failed for good; kept until it is replayed, discarded or resolved.

    `error` is cut to what `kept_error` leaves; of a refused line, `payload` may hold only the beginning.
    """

    id: str
    key: RecordKey | None
    error: str
    attempts: int
    failed_at: datetime
    position: Position | None = None
    payload: str | None = None
    """The event as JSON, when there was one that is needed for a replay."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", kept_error(self.error))

    @property
    def can_be_replayed(self) -> bool:
        """Whether it holds what a replay needs: a key, or all of the line that was refused."""
        return self.key is not None or (self.payload is not None and not is_cut(self.payload))


@dataclass(frozen=True, slots=True)
class LetterSize:
    """How many letters there are, and about how many bytes they take."""

    count: int
    size_bytes: int
