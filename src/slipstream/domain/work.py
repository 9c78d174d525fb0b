"""Work that is still to be done, and work that failed for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position


class Lane(IntEnum):
    """Urgency of work: a lane never starves the one above it (lower numbers first)."""

    LIVE = 0
    RETRY = 1
    MIGRATION = 2
    REPAIR = 3
    BACKFILL = 4


URGENT = (Lane.LIVE, Lane.RETRY)
"""What somebody waits for: everything else stands back behind it."""


def merged_lane(one: Lane, other: Lane, *, is_behind: bool) -> Lane:
    """
    Return the lane of work that is asked for in two lanes: the more urgent one.

    But what the migration lane is owed may wait for a model that is down. So what is asked of the live record too (a
    repair, or anything when it `is_behind` a commit) is not left there: it is dealt with in the other lane, and what
    the generation beside it needs comes back.
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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A key (or an event that names none) that failed for good; kept until it is replayed, discarded or resolved."""

    id: str
    key: RecordKey | None
    error: str
    attempts: int
    failed_at: datetime
    position: Position | None = None
    payload: str | None = None
    """The event as JSON, when there was one that is needed for a replay."""
