"""How old stored moments are, whatever happens to the wall clock while a process looks at them."""

from __future__ import annotations

from datetime import datetime

from slipstream.domain.elapsed import age_s
from slipstream.ports.clock import Clock


class Ages:
    """
    The wall clock is asked once for each moment, when it is first seen; from then on monotonic time counts.

    So a clock that is set makes nothing due too soon, and nothing never. Safe for threads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[datetime, float | None, float]] = {}
        """By name: the moment, its age when it was first seen, and when that was."""

    def of(self, name: str, moment: datetime) -> float | None:
        """Return how many seconds ago a moment was; None when it lay ahead at first sight: nobody knows."""
        now_s = self._clock.monotonic()
        seen = self._seen.get(name)
        if seen is None or seen[0] != moment:
            seen = self._seen[name] = (moment, age_s(moment, self._clock.now()), now_s)
        _, age, seen_s = seen
        return None if age is None else age + now_s - seen_s

    def watched_s(self, name: str, moment: datetime) -> float:
        """Return the same, and how long it has been known here where nobody knows its age."""
        age = self.of(name, moment)
        return self._clock.monotonic() - self._seen[name][2] if age is None else age


def since_s(moment: datetime, clock: Clock) -> float:
    """Return when something was, on the monotonic clock: now, where the wall clock says that it is still to come."""
    return clock.monotonic() - (age_s(moment, clock.now()) or 0.0)
