"""Waiting until the index reflects single keys: one that waits for its retry holds the frontier, but nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.engine.runner import Sync

Look = Callable[[Sequence[RecordKey]], Sequence[RecordKey]]
_UNTOLD_S = 0.5
"""Look again after so long at the latest: nobody is told when the engine ends."""


class Settling:
    """
    Lets an audit wait until the index reflects what the log says of some keys.

    With `beside` it waits also for what the generation beside the live one is still owed of them.
    """

    def __init__(self, sync: Sync, *, beside: bool = False) -> None:
        self._sync, self._beside = sync, beside

    def __call__(
        self, position: Position, keys: Sequence[RecordKey], patience_s: float
    ) -> Sequence[RecordKey] | None:
        """Return the keys that are not reflected when patience ends; None when no engine is there to do it."""
        state, deadline = self._sync.engine.state, time.monotonic() + patience_s
        lagging = self._wait(partial(state.lagging, position), keys, deadline)
        if lagging is None or not self._beside:
            return lagging
        others = [key for key in keys if key not in lagging]
        owed = self._wait(partial(state.still_owed, state.owed_mark), others, deadline)
        return None if owed is None else [*lagging, *owed]

    def _wait(self, look: Look, keys: Sequence[RecordKey], deadline: float) -> Sequence[RecordKey] | None:
        changed = self._sync.engine.changed
        while True:
            seen = changed.count
            keys = look(keys)
            if not keys:
                return ()
            if not self._sync.running or self._sync.failure is not None:
                return None
            wait_s = min(_UNTOLD_S, deadline - time.monotonic())
            if wait_s <= 0:
                return keys
            changed.wait_past(seen, wait_s)
