"""Standing by: a process waits to run the engine as soon as no other process does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from slipstream.domain.errors import SlipstreamError
from slipstream.ports.lease import Lease

logger = logging.getLogger(__name__)

_SLICE_S = 0.5
_PAUSE_S = 1.0
_STOP_S = 3.0


class Standby:
    """
    Waits for the lease on a thread of its own, and calls `take_over` once it holds the lease.

    If `take_over` raises, the lease is released for another process to try, and this one tries again later. `give_up`
    is called when this was stopped during a take-over, to undo it.
    """

    def __init__(
        self, lease: Lease, take_over: Callable[[], None], give_up: Callable[[], None] = lambda: None
    ) -> None:
        self._lease, self._take_over, self._give_up = lease, take_over, give_up
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: str | None = None
        """Why the last attempt to take over failed."""

    def start(self) -> None:
        """Wait from now on; starting twice is harmless."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._wait, name="slipstream-standby", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """
        Wait no more; a take-over that is under way is waited for.

        One that takes longer than `timeout_s` (a model does not answer, say) calls `give_up` when it is through.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    def _wait(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._lease.acquire(_SLICE_S) and self._has_taken_over():
                    return
            except SlipstreamError as error:
                self.failure = f"{type(error).__name__}: {error}"
                logger.warning("standing by goes on: %s", self.failure)
                self._stopping.wait(_PAUSE_S)

    def _has_taken_over(self) -> bool:
        if self._stopping.is_set():
            self._lease.release()
            return True
        try:
            self._take_over()
        except BaseException:
            self._lease.release()
            raise
        self.failure = None
        if self._stopping.is_set():
            self._give_up()
        return True
