"""A server as its own process, and what its memory is."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_START_S = 120.0
_END_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running `slipstream serve`."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    def asked(self, method: str, path: str, body: object = None, *, timeout_s: float = 60.0) -> tuple[int, Any]:
        """Return status and JSON of one answer, over a connection of its own."""
        with Connection(self.port, timeout_s) as connection:
            return connection.asked(method, path, body)

    def resident_mb(self) -> float:
        """Return the memory that the process holds now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None


class Connection:
    """One kept connection to a server."""

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def asked(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        sent = None if body is None else json.dumps(body)
        self._http.request(method, path, sent, {} if sent is None else {"Content-Type": "application/json"})
        with self._http.getresponse() as answer:
            body = answer.read()
            return answer.status, json.loads(body) if "json" in answer.headers.get_content_type() else body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


def audited(server: Server) -> float:
    """Return the consistency that a full audit of both sides finds."""
    command = [sys.executable, "-m", "slipstream", "--dir", str(server.directory), "verify", "--json"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)  # noqa: S603
    return float(json.loads(done.stdout)["consistency"])


@contextmanager
def served(directory: Path) -> Iterator[Server]:
    """Serve a PKG on loopback by a process of its own; ends it with SIGTERM."""
    port = _free_port()
    command = [sys.executable, "-m", "slipstream", "--dir", str(directory), "serve", "--http", f"127.0.0.1:{port}"]
    with subprocess.Popen(command) as process:  # noqa: S603
        server = Server(directory, port, process)
        try:
            _until_ready(server)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _until_ready(server: Server) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and server.is_alive:
        try:
            if server.asked("GET", "/readyz")[0] == http.HTTPStatus.OK:
                return
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server does not get ready: see what it says above")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
