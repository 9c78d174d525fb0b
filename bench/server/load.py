"""
Many clients that search at once, from a process of their own: `python -m bench.server.load PORT CLIENTS SECONDS`.

Reads the queries as JSON lines from standard input, and writes what it saw as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from bench.server.process import Connection

_ROOT = Path(__file__).parents[2]


def begun(port: int, clients: int, seconds: float, queries: Sequence[str]) -> subprocess.Popen[str]:
    """Start the clients in a process of their own."""
    command = [sys.executable, "-m", "bench.server.load", str(port), str(clients), str(seconds)]
    process = subprocess.Popen(  # noqa: S603
        command, cwd=_ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write("\n".join(json.dumps(query) for query in queries))
    process.stdin.close()
    process.stdin = None
    return process


def seen(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the clients saw: milliseconds of each search, and errors."""
    output, _ = process.communicate()
    found: dict[str, Any] = json.loads(output)
    return found


class _Client(threading.Thread):
    def __init__(self, port: int, queries: Sequence[str], until: float) -> None:
        super().__init__()
        self._port, self._queries, self._until = port, queries, until
        self.taken_ms: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        """Search, one after the other, until the time is up."""
        number = 0
        with Connection(self._port) as connection:
            while time.monotonic() < self._until:
                query = self._queries[number % len(self._queries)]
                number += 1
                began = time.perf_counter()
                status, answer = connection.asked("POST", "/v1/search", {"text": query, "k": 10})
                self.taken_ms.append((time.perf_counter() - began) * 1000)
                if status != HTTPStatus.OK or len(answer["hits"]) != 10:
                    self.errors.append(f"{status}: {answer}")


def _main() -> None:
    port, clients, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    queries = [json.loads(line) for line in sys.stdin]
    until = time.monotonic() + seconds
    share = len(queries) // clients
    threads = [_Client(port, queries[n * share : (n + 1) * share], until) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken_ms = [taken for thread in threads for taken in thread.taken_ms]
    print(json.dumps({"taken_ms": taken_ms, "errors": [error for thread in threads for error in thread.errors]}))


if __name__ == "__main__":
    _main()
