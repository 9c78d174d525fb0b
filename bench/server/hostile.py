"""
Slow, broken and hostile clients beside one who writes: the server lives, its memory stays, nothing is lost.

Each kind is something that a scanner, a broken proxy or a bad network sends. None of it is meant to get past a check.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from bench.result_files import say
from bench.server.process import Connection, Server, audited, served

_AT_ONCE = 100
_ANSWER_S = 30.0
_JSON = "Content-Type: application/json\r\n"


def _plain(method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n".encode() + body


def _search(chance: random.Random, queries: Sequence[str]) -> bytes:
    body = json.dumps({"text": chance.choice(queries), "k": chance.randint(1, 50)}).encode()
    return _plain("POST", "/v1/search", _JSON, body)


_KINDS: dict[str, tuple[int, Callable[[random.Random, Sequence[str]], bytes]]] = {
    "a search": (20, _search),
    "a search that is not read": (5, _search),
    "half a header": (8, lambda *_: b"GET /v1/status HTTP/1.1\r\nHost: 127.0"),
    "half a body": (8, lambda *_: _plain("POST", "/v1/search", f"{_JSON}Content-Length: 900\r\n") + b'{"text": '),
    "noise": (8, lambda chance, _: chance.randbytes(chance.randint(1, 2_000))),
    "no JSON": (8, lambda *_: _plain("POST", "/v1/search", _JSON, b'{"text": ')),
    "the wrong JSON": (8, lambda *_: _plain("POST", "/v1/search", _JSON, b'{"text": 5, "k": "x", "and": {}}')),
    "deep JSON": (4, lambda *_: _plain("POST", "/v1/batch", _JSON, b"[" * 5_000 + b"]" * 5_000)),
    "a great body": (2, lambda *_: _plain("POST", "/v1/search", _JSON, b'{"text": "' + b"x" * 2_000_000 + b'"}')),
    "another host": (6, lambda *_: b"GET /v1/status HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    "another site": (6, lambda *_: _plain("POST", "/v1/search", "Origin: http://example.org\r\n" + _JSON, b"{}")),
    "no such path": (6, lambda chance, _: _plain("GET", f"/{chance.randbytes(40).hex()}")),
    "a path upwards": (4, lambda *_: _plain("GET", "/../../../etc/hostname")),
    "many headers": (3, lambda *_: _plain("GET", "/v1/status", "".join(f"X-{n}: {n}\r\n" for n in range(2_000)))),
    "a long path": (3, lambda *_: _plain("GET", "/" + "a" * 20_000)),
}
"""By kind: how often, and what is sent."""
_SLOW = 0.01
"""The share of the requests that send a byte now and then, until they are cut off."""


def survived(directory: Path, count: int, queries: Sequence[str]) -> dict[str, Any]:
    """Send so many requests; returns what became of them, of the server and of what was written meanwhile."""
    with served(directory) as server:
        server.asked("POST", "/v1/search", {"text": "warm", "k": 10})
        writer = _Writer(server)
        writer.start()
        counts: Counter[str] = Counter()
        memory_mb = [server.resident_mb()]
        began = time.monotonic()
        for part in range(10):
            asyncio.run(_send(server.port, count // 10, queries, part, counts))
            memory_mb.append(round(server.resident_mb(), 1))
            say(f"{(part + 1) * (count // 10):,} sent, {memory_mb[-1]:.0f} MB, alive: {server.is_alive}")
        took_s = time.monotonic() - began
        writer.done.set()
        writer.join()
        asked = {name: server.asked("GET", f"/v1/entities/{name}")[0] for name in writer.acknowledged}
        return {
            "requests": sum(counts.values()),
            "seconds": round(took_s, 1),
            "outcomes": dict(sorted(counts.items())),
            "memory_mb": memory_mb,
            "writes_acknowledged": len(writer.acknowledged),
            "writes_refused": writer.refused,
            "writes_lost": sum(status != HTTPStatus.OK for status in asked.values()),
            "alive": server.is_alive,
            "consistency": audited(server),
        }


class _Writer(threading.Thread):
    """Writes ten times a second, and remembers what was acknowledged."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server, self.done = server, threading.Event()
        self.acknowledged: list[str] = []
        self.refused = 0

    def run(self) -> None:
        """Write until it is told to end."""
        number = 0
        while not self.done.wait(0.1):
            number += 1
            values = {"entity_type": "Kept", "properties": {"name": f"kept {number}"}}
            try:
                with Connection(self._server.port, _ANSWER_S) as connection:
                    status, _ = connection.asked("PUT", f"/v1/entities/kept-{number}", values)
            except OSError:
                status = 0
            if status in (HTTPStatus.OK, HTTPStatus.CREATED):
                self.acknowledged.append(f"kept-{number}")
            else:
                self.refused += 1


async def _send(port: int, count: int, queries: Sequence[str], seed: int, counts: Counter[str]) -> None:
    chance = random.Random(seed)
    names = list(_KINDS)
    kinds = iter(chance.choices(names, [_KINDS[name][0] for name in names], k=count))

    async def client() -> None:
        for kind in kinds:  # shared: each takes the next one
            slow = chance.random() < _SLOW
            outcome = await _outcome(port, kind, _KINDS[kind][1](chance, queries), slow=slow)
            counts[f"{kind}{', slowly' if slow else ''}: {outcome}"] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(client())


async def _outcome(port: int, kind: str, sent: bytes, *, slow: bool) -> str:
    """Return the status of the answer, or how the connection ended."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        return type(error).__name__
    try:
        if slow:
            await _drip(writer, sent)
        else:
            writer.write(sent)
            await writer.drain()
        if kind.startswith("half") or kind == "a search that is not read":
            return "left"  # closes without waiting for an answer
        line = await asyncio.wait_for(reader.readline(), _ANSWER_S)
        return line.decode("latin-1").split(" ")[1] if line.startswith(b"HTTP/") else "closed"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return type(error).__name__
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _drip(writer: asyncio.StreamWriter, sent: bytes) -> None:
    """Send a byte every half a second, at most for a while."""
    for number in range(min(len(sent), 60)):
        writer.write(sent[number : number + 1])
        await writer.drain()
        await asyncio.sleep(0.5)
