"""How old stored moments are, whatever happens to the wall clock while a process looks at them."""

from __future__ import annotations

from datetime import datetime

from slipstream.domain.elapsed import age_s
from slipstream.ports.clock import Clock


class Ages:
    """
    Tells the age of moments: the wall clock is asked once for each, when first seen; then monotonic time counts.

    So setting the clock makes nothing due too soon, or never. Safe for threads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[datetime, float | None, float]] = {}
        """By name: the moment, its age when it was first seen, and when that was."""

    def of(self, name: str, moment: datetime) -> float | None:
        """Return how many seconds ago a moment was; None (not known) when it lay ahead as it was first seen."""
        now_s = self._clock.monotonic()
        seen = self._seen.get(name)
        if seen is None or seen[0] != moment:
            seen = self._seen[name] = (moment, age_s(moment, self._clock.now()), now_s)
        _, age, seen_s = seen
        return None if age is None else age + now_s - seen_s

    def watched_s(self, name: str, moment: datetime) -> float:
        """Return what `of` does; where the age is not known, how many seconds ago the moment was first seen."""
        age = self.of(name, moment)
        return self._clock.monotonic() - self._seen[name][2] if age is None else age


def since_s(moment: datetime, clock: Clock) -> float:
    """Return a moment on the monotonic clock: now, where it is still to come by the wall clock."""
    return clock.monotonic() - (age_s(moment, clock.now()) or 0.0)
