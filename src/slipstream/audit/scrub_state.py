"""What the scrubber remembers over restarts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal

SCRUB = "scrub"
"""Name of the journal's value."""


@dataclass(slots=True)
class ScrubState:
    """What the journal keeps. Times are in UTC."""

    opened_at: datetime
    """When the PKG was first opened: how old the last full audit is, of one that never had any."""
    ended_at: dict[str, datetime] = field(default_factory=dict)
    """When each kind of pass ended last, whoever had asked for it."""
    paused: bool = False
    error: str | None = None
    """Why the last scheduled pass failed, None when it did not."""
    last_repair: dict[str, Any] | None = None
    """What the scrubber repaired last, and what it found when it looked again."""

    @classmethod
    def load(cls, text: str | None, now: datetime) -> ScrubState:
        """Return the state that `dump` wrote; a new one where there is none."""
        if text is None:
            return cls(now)
        found = json.loads(text)
        return cls(
            datetime.fromisoformat(found["opened_at"]) if "opened_at" in found else now,
            {kind: datetime.fromisoformat(at) for kind, at in found["ended_at"].items()},
            found["paused"],
            found.get("error"),
            found.get("last_repair"),
        )

    def dump(self) -> str:
        """Return the state as JSON."""
        return json.dumps(
            {
                "opened_at": self.opened_at.isoformat(),
                "ended_at": {kind: at.isoformat() for kind, at in self.ended_at.items()},
                "paused": self.paused,
                "error": self.error,
                "last_repair": self.last_repair,
            }
        )


class ScrubMemory:
    """The state in the journal. Safe for threads; what a change does not touch is not lost."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self._changing = threading.Lock()
        with self.changed():
            pass  # from now on the journal knows when the PKG was first opened

    def read(self) -> ScrubState:
        """Return what is remembered."""
        return ScrubState.load(self._journal.get(SCRUB), self._clock.now())

    @contextmanager
    def changed(self) -> Iterator[ScrubState]:
        """Give the state to be changed, and keep it when the block has ended well and something has changed."""
        with self._changing:
            before = self._journal.get(SCRUB)
            state = ScrubState.load(before, self._clock.now())
            yield state
            if (text := state.dump()) != before:
                self._journal.set(SCRUB, text)
