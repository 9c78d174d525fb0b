"""The PKG of a process that lives long: opened anew for an incident, for its end, and when its server has gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from slipstream.app.client.addresses import socket_in
from slipstream.app.client.facade import RemoteSlipstream
from slipstream.app.incident import IncidentSlipstream
from slipstream.app.slipstream import Slipstream
from slipstream.app.ticker import Ticker
from slipstream.audit.incidents import published_incident
from slipstream.domain.errors import IncidentError, UnavailableError

LOOK_S, PATIENCE_S = 0.5, 10.0
RETURN_S = 15.0
"""How long a server may be away before the PKG is opened by its files."""
_SERVER_LOOK_S = 2.0
_STOP_S = 3.0


class Kept:
    """
    Opens a PKG, and looks every now and then whether it has to be opened anew.

    Between two openings `slipstream` waits, and raises `UnavailableError` if that takes long. An opening that
    fails is tried again.
    """

    def __init__(
        self,
        opening: Callable[[], AbstractContextManager[Slipstream]],
        has_gone: Callable[[Slipstream], bool] = lambda _: False,
    ) -> None:
        self._opening, self._has_gone, self._changing = opening, has_gone, threading.Lock()
        self._stack, self._is_over = ExitStack(), False
        self._open: Slipstream | None = None
        self._is_open = threading.Event()
        self._ticker = Ticker(self._look, "slipstream-mcp-watch", LOOK_S)

    @property
    def slipstream(self) -> Slipstream:
        """The open PKG; raises `UnavailableError` when there is none for long."""
        self._is_open.wait(PATIENCE_S)
        found = self._open
        if found is None:
            raise UnavailableError("the PKG is being opened anew")
        return found

    def __enter__(self) -> Self:
        self._begin()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop(_STOP_S)
        if self._changing.acquire(timeout=_STOP_S):  # else it hangs in a model while opening: leave it behind
            self._is_over = True
            self._end()
            self._changing.release()

    def _look(self) -> None:
        with self._changing:
            if self._is_over or (self._open is not None and not self._has_to_be_opened_anew(self._open)):
                return
            self._end()
            self._begin()

    def _has_to_be_opened_anew(self, slipstream: Slipstream) -> bool:
        return is_past(slipstream) or self._has_gone(slipstream)

    def _begin(self) -> None:
        self._open = self._stack.enter_context(self._opening())
        self._is_open.set()

    def _end(self) -> None:
        self._is_open.clear()
        self._open = None
        self._stack.close()


class ServerGone:
    """
    Tells whether the server of a PKG's directory has gone for good, rather than is being started again.

    For who opens the files then would keep a server that comes back from running the engine.
    """

    def __init__(self, directory: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._now = directory, now
        self._look_at = 0.0
        self._missed_at: float | None = None

    def __call__(self, slipstream: Slipstream) -> bool:
        now = self._now()
        if not isinstance(slipstream, RemoteSlipstream) or now < self._look_at:
            return False
        self._look_at = now + _SERVER_LOOK_S
        if socket_in(self._directory) is not None:
            self._missed_at = None
            return False
        if self._missed_at is None:
            self._missed_at = now
        return now - self._missed_at >= RETURN_S


def is_past(slipstream: Slipstream) -> bool:
    """Return whether an incident has halted the engine of this process, or the one it was opened in is over."""
    if isinstance(slipstream, IncidentSlipstream):
        has_passed = not slipstream.runs_engine and published_incident(slipstream.journal) is None
        return slipstream.adopted.is_set() or has_passed
    return isinstance(slipstream.sync.failure, IncidentError)
