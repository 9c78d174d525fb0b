"""What is waited for: said by whoever waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from slipstream.sync.failures import CircuitBreaker


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for and why, for how long already, and in how long it is tried again (None: it is now)."""

    what: str
    for_s: float
    retry_in_s: float | None = None

    @classmethod
    def of(cls, breaker: CircuitBreaker, now: float) -> Self:
        """Return the wait for a dependency that is down."""
        began = now if breaker.opened_at is None else breaker.opened_at
        return cls(breaker.error or "", now - began, breaker.wait_s(now))

    def __str__(self) -> str:
        if self.retry_in_s is None:
            return f"{self.what}, for {self.for_s:.0f} s"
        return f"{self.what} (for {self.for_s:.0f} s, next try in {self.retry_in_s:.0f} s)"
