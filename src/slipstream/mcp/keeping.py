"""The PKG of a process that lives long: opened anew when an incident has begun, and when it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Self

from slipstream.app.incident import IncidentSlipstream
from slipstream.app.slipstream import Slipstream
from slipstream.app.ticker import Ticker
from slipstream.audit.incidents import published_incident
from slipstream.domain.errors import IncidentError, UnavailableError

LOOK_S, PATIENCE_S = 0.5, 10.0
_STOP_S = 3.0


class Kept:
    """
    Opens a PKG, and looks every now and then whether it has to be opened anew.

    Between two openings `slipstream` waits, and raises `UnavailableError` if that takes long. An opening that
    fails is tried again.
    """

    def __init__(self, opening: Callable[[], AbstractContextManager[Slipstream]]) -> None:
        self._opening, self._changing = opening, threading.Lock()
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
            raise UnavailableError("the PKG is being opened anew, for an incident has begun or ended")
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
            if self._is_over or not (self._open is None or has_to_be_opened_anew(self._open)):
                return
            self._end()
            self._begin()

    def _begin(self) -> None:
        self._open = self._stack.enter_context(self._opening())
        self._is_open.set()

    def _end(self) -> None:
        self._is_open.clear()
        self._open = None
        self._stack.close()


def has_to_be_opened_anew(slipstream: Slipstream) -> bool:
    """Return whether an incident has halted the engine of this process, or the one it was opened in is over."""
    if isinstance(slipstream, IncidentSlipstream):
        has_passed = not slipstream.runs_engine and published_incident(slipstream.journal) is None
        return slipstream.adopted.is_set() or has_passed
    return isinstance(slipstream.sync.failure, IncidentError)
