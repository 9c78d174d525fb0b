"""When checkpoint and frontier are saved."""

from __future__ import annotations

from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal
from slipstream.sync.progress import Reached
from slipstream.sync.state import EngineState


class Saving:
    """With every write; else now and then, while irrelevant events pass, and when the engine idles or stops."""

    def __init__(self, state: EngineState, journal: Journal, clock: Clock, every_s: float) -> None:
        self._state, self._journal, self._clock, self._every_s = state, journal, clock, every_s
        self._saved_at = clock.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether nothing was saved for a while."""
        return self._clock.monotonic() - self._saved_at >= self._every_s

    def save(self) -> None:
        """Save both when they have moved."""
        progress = self._state.progress
        with self._state.writing:
            with self._state.changed:
                reached = progress.now()
            if reached != progress.saved:
                with self._journal.transaction():
                    progress.save(reached)
                self.note(reached)

    def save_when_due(self) -> None:
        """Save them for those who wait in other processes; a write under way does that itself."""
        if self.is_due and not self._state.writing.locked():
            self.save()

    def note(self, reached: Reached) -> None:
        """Note that they are durable."""
        self._state.progress.note_saved(reached)
        self._saved_at = self._clock.monotonic()
