"""Keeping PKGs open in one process: their engines, and the server in front of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from slipstream.app.composition import DATA_FOLDER
from slipstream.app.incident import IncidentSlipstream
from slipstream.app.slipstream import Slipstream
from slipstream.cli.context import Context
from slipstream.cli.output import err, print_incident
from slipstream.domain.errors import IncidentError, LeaseLostError

if TYPE_CHECKING:
    from slipstream.http.listening import Listener
    from slipstream.http.serving import WebServer
    from slipstream.http.sockets import UnixSocket

LOOK_S = 0.5


def say(text: str) -> None:
    """Say something in one line on standard error."""
    err.print(text, markup=False, soft_wrap=True)


class Place(Protocol):
    """Where a PKG is, and what is told when it is open; a server's `Served` is one."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def directory(self) -> Path:
        """Where it is."""
        ...

    def put(self, slipstream: Slipstream | None, failure: BaseException | None = None) -> None:
        """Take the open PKG; None: it is not open, for good if there is a `failure`."""
        ...


@dataclass(frozen=True, slots=True)
class Unserved:
    """A PKG that no server is in front of."""

    name: str
    directory: Path

    def put(self, slipstream: Slipstream | None, failure: BaseException | None = None) -> None:
        """Do nothing: nobody asks."""


class NoFront:
    """Stands in for the server where its extra is not installed: engines and schedules run all the same."""

    def opened(self, served: Place, slipstream: Slipstream) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Front:
    """The server in front of the PKGs: it begins when the first of them is open, and ends before they are closed."""

    def __init__(self, make: Callable[[], WebServer], listeners: Callable[[], Sequence[Listener]]) -> None:
        self._make, self._listeners = make, listeners
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._server: WebServer | None = None
        self._is_closed = False
        self._shown: list[str] = []
        self._own: dict[str, tuple[Listener, UnixSocket]] = {}

    def opened(self, served: Place, slipstream: Slipstream) -> None:
        """Have a PKG answer: by the listeners of all, and by its own socket."""
        from slipstream.http.sockets import HAS_UNIX_SOCKETS

        with self._lock:
            served.put(slipstream)
            if self._is_closed:
                return
            server = self._server or self._begun()
            own = [self._at_own_socket(server, served)] if HAS_UNIX_SOCKETS else []
            for shown in (*self._shown, *own):
                say(f"serving {shown}")

    def close(self) -> None:
        """End the server, and remove the sockets."""
        with self._lock:
            self._is_closed = True
            if self._server is not None:
                self._server.close()
            self._stack.close()

    def _at_own_socket(self, server: WebServer, served: Place) -> str:
        """Serve a PKG by its own socket, unless it is already; returns its path."""
        from slipstream.http.listeners import pkg_listener
        from slipstream.http.sockets import SOCKET_NAME

        held = self._own.pop(served.name, None)
        if held is not None and not held[1].is_in_place:  # another process had the PKG meanwhile
            server.remove(held[0])
            held = None
        if held is None:
            held = pkg_listener(served.directory / DATA_FOLDER / SOCKET_NAME, served.name, self._stack)
            server.add(held[0])
        self._own[served.name] = held
        return held[0].shown

    def _begun(self) -> WebServer:
        listeners = self._listeners()
        self._server = server = self._make()
        for listener in listeners:
            server.add(listener)
            self._shown.append(f"{listener.shown}/metrics" if listener.only_pages else listener.shown)
        return server


@dataclass(frozen=True, slots=True)
class Ended:
    """How keeping a PKG open ended: the engine's failure, if any, and the alerts still firing."""

    failure: BaseException | None = None
    firing: Sequence[str] = ()


@dataclass(kw_only=True)
class Ending:
    """The end: what the process is told, and that the server has ended, so that the PKGs may be closed."""

    tell: Callable[[str], None]
    """Tells the service manager how this process stands."""
    asked: threading.Event = field(default_factory=threading.Event)
    server_over: threading.Event = field(default_factory=threading.Event)


class Keeper(threading.Thread):
    """
    Keeps one PKG open: stands by for its engine, and runs it.

    Opens it anew when an incident has begun or ended, and when another process has taken the engine over.
    """

    def __init__(self, served: Place, front: Front | NoFront, ending: Ending, *, alone: bool) -> None:
        super().__init__(name="slipstream-keeper", daemon=True)
        self._served, self._front, self._ending = served, front, ending
        self._prefix = "" if alone else f"{served.name}: "
        self.ended = Ended()
        self.error: BaseException | None = None
        """Why it could not be kept open, but for a failure of its engine."""

    def run(self) -> None:
        """Keep it open until the end."""
        try:
            while (ended := self._kept()) is None:
                pass  # an incident has begun or ended, or another process has taken over: open the PKG anew
            self.ended = ended
        except BaseException as error:  # noqa: BLE001  (told by whoever waits for this thread)
            self.error = error
        failure = self.ended.failure or self.error
        if failure is not None and self._prefix:  # the process goes on with others: its end does not tell
            say(f"{self._prefix}the engine has stopped: {failure}")
        self._served.put(None, failure)

    def _kept(self) -> Ended | None:
        """Open the PKG and serve until the end; None when the PKG must be opened anew."""
        with Context(self._served.directory).opened(wait=self._standing_by()) as slipstream:
            if not slipstream.runs_engine:  # told to end while standing by
                return Ended()
            try:
                self._front.opened(self._served, slipstream)
                self._ending.tell("READY=1\nSTATUS=running")
                if isinstance(slipstream, IncidentSlipstream):
                    is_over, failure = self._wait_in_incident(slipstream), None
                else:
                    failure = self._run_until(slipstream)
                    is_over = isinstance(failure, IncidentError | LeaseLostError)
                firing = sorted(slipstream.watch.alerts.firing())
                if self._ending.asked.is_set():
                    self._ending.server_over.wait()
            finally:
                self._served.put(None)
        return None if is_over and not self._ending.asked.is_set() else Ended(failure, firing)

    def _wait_in_incident(self, slipstream: IncidentSlipstream) -> bool:
        """Serve searches until the end or a decision; returns whether the graph was adopted."""
        print_incident(slipstream.incident)
        say(
            f"{self._prefix}waiting: it goes on by itself once the graph is adopted; to restore a backup, end it "
            "first (Ctrl-C)"
        )
        while not slipstream.adopted.is_set() and not self._ending.asked.wait(LOOK_S):
            pass
        return slipstream.adopted.is_set()

    def _run_until(self, slipstream: Slipstream) -> BaseException | None:
        """Wait for the end; returns why the engine can not go on, None when it was told to end."""
        say(f"{self._prefix}running; Ctrl-C ends")
        while slipstream.sync.failure is None and not self._ending.asked.wait(LOOK_S):
            pass
        return slipstream.sync.failure

    def _standing_by(self) -> Callable[[float], bool]:
        """Return a `wait` for `open` that is True once this process must end; says once that it stands by."""
        told = threading.Event()

        def wait(timeout_s: float) -> bool:
            if not told.is_set():
                told.set()
                say(f"{self._prefix}another process runs the engine: standing by; Ctrl-C ends")
                self._ending.tell("READY=1\nSTATUS=standing by")
            return self._ending.asked.wait(timeout_s)

        return wait
