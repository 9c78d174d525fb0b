"""Time, so that the engine runs on a virtual clock in the simulator."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """Wall time, for stamps, and monotonic time, for intervals."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Pause the caller."""
        ...
