"""A PKG that is served, and raw clients of it: well-behaved ones, slow ones and hostile ones."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipstream.adapters.wrappers.faults import FaultyEmbedder
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.engine.settings import SyncSettings
from slipstream.http.program import Serving
from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder

LONG_S = 60.0
JSON = {"Content-Type": "application/json"}


class Held:
    """Holds up searches, by their model, for as long as it is told to."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self.at_it = threading.Semaphore(0)
        """Released by each search that is held up."""

    def begin(self) -> None:
        """Hold up what comes from now on."""
        self._go.clear()

    def end(self) -> None:
        """Let everybody go."""
        self._go.set()

    def __call__(self, name: str) -> None:
        """Be a failpoint."""
        if name == "embed.before" and not self._go.is_set():
            self.at_it.release()
            self._go.wait(LONG_S)


@contextmanager
def opened(directory: Path, held: Held | None = None) -> Iterator[Slipstream]:
    """Open a PKG whose model costs nothing."""

    def holding(embedder: Embedder) -> Embedder:
        return embedder if held is None else FaultyEmbedder(embedder, held)

    options = Options(
        embedders=(HashEmbedder(dimension=16),),
        settings=SyncSettings(idle_wait_s=0.02, backoff_base_s=0.02, backoff_max_s=0.1),
        wrapping=Wrapping(embedder=holding),
    )
    with open_pkg(directory, create=True, options=options) as slipstream:
        try:
            yield slipstream
        finally:
            if held is not None:
                held.end()


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


def ask(
    server: Serving,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Told:
    """Send one request by a connection of its own; a body that is no bytes is sent as JSON."""
    sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    told = {**(JSON if body is not None else {}), **(headers or {})}
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=LONG_S)) as connection:
        connection.request(method, path, sent, told)
        return received(connection.getresponse())


def received(response: http.client.HTTPResponse) -> Told:
    """Return an answer, read to its end."""
    return Told(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def connected(server: Serving) -> socket.socket:
    """Return a raw connection."""
    return socket.create_connection((server.host, server.port), timeout=LONG_S)


def answer_on(connection: socket.socket) -> Told:
    """Return the next answer on a raw connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return received(response)


def is_ended(connection: socket.socket) -> bool:
    """Wait for a connection's end, past what may still come by it; False when it does not come."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


SEARCH = b'{"text": "note"}'


def head_of(path: str, length: int, *more: str, method: str = "POST") -> bytes:
    """Return the head of a request with a JSON body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *more]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()
