"""Standing in: a process that does not mean to run the engine answers its own calls while no other process does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from slipstream.domain.errors import UnavailableError
from slipstream.ports.lease import Lease

logger = logging.getLogger(__name__)

_LINGER_S = 1.0
"""How long the lease is kept after the last call: commands make several calls in a row."""
_LOOK_S = 0.2


class StandIn:
    """
    Takes the lease for a call that no other process answers, and releases it soon after. Safe for threads.

    `take_over` composes the owner, without a running engine, and returns what closes it again. The released lease
    goes to the process that stands by.
    """

    def __init__(self, lease: Lease, take_over: Callable[[], Callable[[], None]]) -> None:
        self._lease, self._take_over = lease, take_over
        self._lock = threading.Lock()
        self._close_owner: Callable[[], None] | None = None
        self._asked_at = 0.0
        self._stopping = threading.Event()
        self._leaving: threading.Thread | None = None

    def step_in(self) -> None:
        """
        Take the lease if it is free; called now and then while a call waits for its answer.

        Raises what opening the PKG in this process would raise.
        """
        with self._lock:
            self._asked_at = time.monotonic()
            if self._close_owner is not None or self._stopping.is_set() or not self._has_lease():
                return
            try:
                self._close_owner = self._take_over()
            except BaseException:
                self._lease.release()
                raise
            self._leaving = threading.Thread(target=self._leave_in_time, name="slipstream-stand-in", daemon=True)
            self._leaving.start()

    def _has_lease(self) -> bool:
        try:
            return self._lease.acquire(0)
        except UnavailableError as error:  # a writer holds the file: it may be the process that answers
            logger.debug("the lease can not be taken right now: %s", error)
            return False

    def stop(self) -> None:
        """Release the lease, and step in no more; stopping twice is harmless."""
        self._stopping.set()
        with self._lock:
            self._leave()
        if self._leaving is not None:
            self._leaving.join()

    def _leave_in_time(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            with self._lock:
                if time.monotonic() - self._asked_at >= _LINGER_S:
                    self._leave()
                    return

    def _leave(self) -> None:
        if self._close_owner is None:
            return
        close, self._close_owner = self._close_owner, None
        try:
            close()
        finally:
            self._lease.release()
