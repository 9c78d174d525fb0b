"""Whether changes are flowing: what background work stands back for."""

from __future__ import annotations

from slipstream.domain.work import URGENT
from slipstream.ports.clock import Clock
from slipstream.sync.engine import SyncEngine

_RECENT_S = 1.0


class LiveActivity:
    """Tells whether live changes wait, or have come within the last second."""

    def __init__(self, engine: SyncEngine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._consumed = engine.consumed
        self._moved_at = -_RECENT_S

    def __call__(self) -> bool:
        """Look, and remember what was seen."""
        now, consumed = self._clock.monotonic(), self._engine.consumed
        if consumed != self._consumed:
            self._consumed, self._moved_at = consumed, now
        if now - self._moved_at < _RECENT_S:
            return True
        pending = self._engine.pending()
        return any(pending[lane] for lane in URGENT)
