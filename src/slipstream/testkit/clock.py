"""A clock that moves only when it is told to."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Virtual time: `sleep` returns at once and moves the clock by as much. Safe to share between threads."""

    def __init__(self, start: datetime = _START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start {start!r} must be an aware datetime: give it a time zone")
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the virtual wall time, aware, in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return how many virtual seconds have passed since the start."""
        with self._lock:
            return self._elapsed_s

    def set_by(self, days: float) -> None:
        """Set the wall clock forward or back, as an administrator may; monotonic time is not affected."""
        with self._lock:
            self._start += timedelta(days=days)

    def sleep(self, seconds: float) -> None:
        """Move the clock forward."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock forward; raises `ValueError` for a step backwards."""
        if seconds < 0:
            raise ValueError(f"time can not move by {seconds} s: it never goes backwards")
        with self._lock:
            self._elapsed_s += seconds
