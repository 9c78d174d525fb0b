"""What the Chroma tests share: a real server, and an index that forgets everything after each write."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import httpx

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, SearchFilter, Stamp, Vector, VectorHit, VectorRecord
from slipstream.ports.index import IndexCapabilities

_START_DEADLINE_S = 200.0
_SERVE = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; app()"


@contextmanager
def running_server(path: Path) -> Iterator[int]:
    """Run a Chroma server on a free port of the loopback interface, answering its heartbeat."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    arguments = ["run", "--path", str(path), "--host", "127.0.0.1", "--port", str(port)]
    with (path / "server.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-c", _SERVE, *arguments], stdout=log, stderr=log)
        try:
            _await_heartbeat(server, port, path / "server.log")
            yield port
        finally:
            server.terminate()
            server.wait(120)


def _await_heartbeat(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_DEADLINE_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=5.0).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)  # between two questions; the deadline decides
    raise AssertionError(f"the Chroma server did not start: {log.read_text()}")


def make_database(port: int, name: str) -> None:
    """Make a database on a server."""
    url = f"http://127.0.0.1:{port}/api/v2/tenants/default_tenant/databases"
    httpx.post(url, json={"name": name}, timeout=30.0).raise_for_status()


class ReopenedIndex:
    """An embedded index that is closed and opened anew after each write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = RLock()
        self._inner = ChromaIndex.embedded(path)

    @property
    def _client(self) -> Any:
        return self._inner._client

    @property
    def capabilities(self) -> IndexCapabilities:
        return self._inner.capabilities

    @contextmanager
    def _written(self) -> Iterator[ChromaIndex]:
        with self._lock:
            yield self._inner
            self._inner.close()
            self._inner = ChromaIndex.embedded(self._path)

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        with self._written() as index:
            return index.upsert(records)

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        with self._written() as index:
            return index.delete(deletions)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        with self._written() as index:
            index.restamp(stamps)

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        with self._lock:
            return self._inner.buried(past, after, limit)

    def vacuum(self, through: Position) -> int:
        with self._written() as index:
            return index.vacuum(through)

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        with self._lock:
            return self._inner.stamps(keys)

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        with self._lock:
            return self._inner.scan(after, limit)

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        with self._lock:
            return self._inner.vectors(keys, space)

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        with self._lock:
            return self._inner.search(space, vector, k, where)

    def close(self) -> None:
        self._inner.close()
