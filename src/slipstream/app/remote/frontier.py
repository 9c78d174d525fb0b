"""The frontier as other processes see it: the engine's owner publishes it with each batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing

from slipstream.domain.journal_names import FRONTIER
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.journal import Journal
from slipstream.ports.requests import CommitWatch

logger = logging.getLogger(__name__)

_LOOK_S = 0.25


class PublishedFrontier:
    """
    Reads a frontier from the journal (of the vectors, or by `name` of the words), and waits for it. Safe for threads.

    It can lag behind by one commit of the owner, but never runs ahead of the index.
    """

    def __init__(self, journal: Journal, watch: Callable[[], CommitWatch], name: str = FRONTIER) -> None:
        self._journal, self._watch, self._name = journal, watch, name

    def now(self) -> Position:
        """Return the published frontier."""
        text = self._journal.get(self._name)
        return ORIGIN if text is None else Position(int(text))

    def wait(self, position: Position, timeout_s: float | None = None) -> bool:
        """Wait until everything up to the position is in the index; False when the time ran out."""
        if self.now() >= position:
            return True
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with closing(self._watch()) as watch:
            while self.now() < position:
                remaining = _LOOK_S if deadline is None else min(_LOOK_S, deadline - time.monotonic())
                if remaining <= 0:
                    return False
                watch.wait(remaining)
        return True
