"""Waiting until word rows reflect the graph: what the follower is still to do must not be taken for a divergence."""

from __future__ import annotations

from slipstream.audit.words_comparing import Reflection
from slipstream.domain.errors import NotRunningError, SlipstreamError
from slipstream.domain.positions import Position
from slipstream.engine.runner import Sync
from slipstream.engine.words import WordFollower


class WordsReflecting:
    """Asks the follower of a running engine; while no engine is at work nothing is owed."""

    def __init__(self, sync: Sync, follower: WordFollower) -> None:
        self._sync, self._follower = sync, follower

    def __call__(self, position: Position, patience_s: float) -> Reflection:
        """Return how far the rows are; waits `patience_s` at most for the log, and not at all for a scan."""
        if not self._is_at_work():
            return Reflection.IDLE
        if self._follower.is_scanning:
            return Reflection.OWED  # how long that takes nobody can say
        try:
            is_reached = self._sync.wait_for_words(position, patience_s)
        except NotRunningError:
            return Reflection.IDLE
        except SlipstreamError:
            if not self._is_at_work():
                return Reflection.IDLE
            raise
        # Looked at once more: one that has begun meanwhile may be about just these rows.
        return Reflection.REFLECTED if is_reached and not self._follower.is_scanning else Reflection.OWED

    def _is_at_work(self) -> bool:
        return self._sync.running and self._sync.failure is None
