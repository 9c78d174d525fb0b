"""A thread that makes a call at intervals, also after the call has failed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Ticker:
    """Calls `tick` about every `every_s`. A call that raises is logged, unless as the one before, and made again."""

    def __init__(self, tick: Callable[[], object], name: str, every_s: float = 1.0) -> None:
        self._tick, self._name, self._every_s = tick, name, every_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: str | None = None

    @property
    def is_dead(self) -> bool:
        """Whether the thread has ended although nobody stopped it."""
        thread = self._thread
        return thread is not None and not thread.is_alive() and not self._stopping.is_set()

    @property
    def is_running(self) -> bool:
        """Whether the thread is there and lives."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Start the thread; starting twice is harmless, and a dead one is replaced."""
        if not self.is_running:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Stop the thread, waiting up to `timeout_s` for a call under way; returns whether there was a thread."""
        self._stopping.set()
        if self._thread is None:
            return False
        self._thread.join(timeout_s)
        self._thread = None
        return True

    def _loop(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._tick()
                self._error = None
            except BaseException as error:
                if repr(error) != self._error:
                    logger.warning("%s failed and goes on", self._name, exc_info=error)
                self._error = repr(error)
