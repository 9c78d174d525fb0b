"""Calls to models that are under way: what somebody may be waiting for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a model, and for how long it has lasted."""

    model_id: str
    lasts_s: float


class Calls:
    """The calls of one service. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: dict[int, tuple[str, float]] = {}
        self._count = 0

    @contextmanager
    def under_way(self, model_id: str) -> Iterator[None]:
        """Count the block as a call."""
        with self._lock:
            self._count += 1
            number = self._count
            self._began[number] = (model_id, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._began[number]

    def longest(self) -> Call | None:
        """Return the call that has lasted longest, None when there is none."""
        with self._lock:
            oldest = min(self._began.values(), key=lambda begun: begun[1], default=None)
        return None if oldest is None else Call(oldest[0], time.monotonic() - oldest[1])
