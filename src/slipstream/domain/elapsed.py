"""Ages and waits from stored times, whose wall clock may have been wrong by years."""

from __future__ import annotations

from datetime import datetime


def age_s(since: datetime, now: datetime) -> float | None:
    """Return how many seconds ago something was; None when it lies ahead, for then the clock has been set back."""
    passed_s = (now - since).total_seconds()
    return passed_s if passed_s >= 0 else None


def left_s(due_at: datetime | None, now: datetime, longest_s: float) -> float:
    """Return the seconds until `due_at`; 0 when it is past, or more than `longest_s` ahead: the clock was wrong."""
    if due_at is None:
        return 0.0
    wait_s = (due_at - now).total_seconds()
    return wait_s if 0 < wait_s <= longest_s else 0.0
