"""A PKG and its faces: who runs its engine, and how it is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream import aio
from tests.e2e.processes import LONG_S, Process, command, made, owner
from tests.faces.awaited import Awaited, Loop

TOKEN = "-".join(["0123456789abcdef", "of", "the", "tests"])


class GivenUpError(Exception):
    """Raised by a callback that wants no more."""


@dataclass
class Face:
    """One way to have a PKG."""

    slip: Any
    """A facade: its calls, made synchronously, are the same everywhere."""
    directory: Path
    server: Server | None = None

    def gives_up(self) -> None:
        """Begin an audit, and give it up at its first progress."""

        def no_more(count: int) -> None:
            raise GivenUpError

        with pytest.raises(GivenUpError):
            self.slip.verify(no_more)


class Server:
    """`slipstream serve` in a process of its own; begun again, it is found at the same places."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.url = directory, "http://127.0.0.1:0"
        self._token = directory / "token"
        self._token.write_text(f"{TOKEN}\n")
        self._token.chmod(0o600)
        (directory / "backups").mkdir()
        self._process: Process | None = None
        self.start()

    def start(self) -> None:
        """Begin, and wait until it serves."""
        address = self.url.removeprefix("http://")
        backups = ("--backups", str(self.directory / "backups"))
        self._process = process = command(
            self.directory, "serve", "--http", address, "--token-file", str(self._token), *backups
        )
        try:
            self.url = process.wait_for("serving http").split()[-1]
            process.wait_for("running")
        except BaseException:
            process.close()
            raise

    def kill(self) -> None:
        """End it by `kill -9`."""
        assert self._process is not None
        self._process.close()

    def restart(self) -> None:
        """Kill it, and begin again."""
        self.kill()
        self.start()


# ---------------------------------------------------------------------- the faces


@contextmanager
def opened(place: Path) -> Iterator[Face]:
    """Open the PKG in this process."""
    with slipstream.open(made(place)) as slip:
        yield Face(slip, place)


@contextmanager
def beside(place: Path) -> Iterator[Face]:
    """Open it beside the process that runs its engine."""
    process = owner(made(place), "python")
    try:
        with slipstream.open(place) as slip:
            assert not slip.runs_engine
            yield Face(slip, place)
    finally:
        process.close()


@contextmanager
def _served(place: Path) -> Iterator[Server]:
    server = Server(made(place))
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def by_socket(place: Path) -> Iterator[Face]:
    """Ask its server by the socket in its directory."""
    with _served(place) as server, slipstream.connect(place) as slip:
        yield Face(slip, place, server)


@contextmanager
def by_http(place: Path) -> Iterator[Face]:
    """Ask its server by HTTP, with a token."""
    with _served(place) as server, slipstream.connect(server.url, token=TOKEN) as slip:
        yield Face(slip, place, server)


class AsyncFace(Face):
    """A face of asyncio, its calls made synchronously."""

    def gives_up(self) -> None:
        """Begin an audit in a task, and cancel that at its first progress."""
        asked: Awaited = self.slip

        async def begun() -> None:
            told = asyncio.Event()
            task = asyncio.ensure_future(asked.target.verify(lambda _: told.set()))
            await told.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asked.loop.run(begun())


@contextmanager
def _awaited(make: Callable[[], Any]) -> Iterator[Awaited]:
    with Loop() as loop:
        manager = make()
        target = loop.run(manager.__aenter__())
        try:
            yield Awaited(target, loop)
        finally:
            loop.run(manager.__aexit__(None, None, None))
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("slipstream-aio")]
    for thread in threading.enumerate():
        if thread.name in left:
            thread.join(LONG_S)


@contextmanager
def opened_async(place: Path) -> Iterator[Face]:
    """Open it in this process, for asyncio."""
    made(place)
    with _awaited(lambda: aio.open(place)) as slip:
        yield AsyncFace(slip, place)


@contextmanager
def connected_async(place: Path) -> Iterator[Face]:
    """Ask its server by HTTP, for asyncio."""
    with _served(place) as server, _awaited(lambda: aio.connect(server.url, token=TOKEN)) as slip:
        yield AsyncFace(slip, place, server)
