"""The tools over standard input and output, for one client that started this process."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

MESSAGE_BYTES_MAX = 16 << 20
_LINES_AHEAD = 16


class Lines:
    """
    The lines of a stream, read by a thread that nothing waits for.

    The SDK's own reader can not be ended while it waits for a line, so a signal would be answered with the next
    message only.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._loop = stream, asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_LINES_AHEAD)
        threading.Thread(target=self._read, name="slipstream-mcp-stdin", daemon=True).start()

    def _read(self) -> None:
        while (line := self._next()) is not None and self._is_given(line):
            pass
        self._is_given(None)

    def _next(self) -> str | None:
        """Return the next line; None at the end, and for one that is too long."""
        try:
            line = self._stream.readline(MESSAGE_BYTES_MAX + 1)
        except (OSError, ValueError):  # it was closed
            return None
        if len(line) > MESSAGE_BYTES_MAX:
            sys.stderr.write(f"a message is longer than {MESSAGE_BYTES_MAX} bytes: no more are read\n")
            return None
        return line.decode("utf-8", "replace") if line else None

    def _is_given(self, line: str | None) -> bool:
        """Give a line to the loop, once it has room; returns False when the loop has ended."""
        giving = self._lines.put(line)
        try:
            asyncio.run_coroutine_threadsafe(giving, self._loop).result()
        except (RuntimeError, CancelledError):
            giving.close()
            return False
        return True

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            yield line


def serve_stdio(server: Server[Any]) -> None:
    """Serve until standard input ends, or SIGINT or SIGTERM tells to end. Only the protocol writes to stdout."""
    asyncio.run(_serve(server))


async def _serve(server: Server[Any]) -> None:
    with anyio.CancelScope() as scope, _ended_by_signals(scope):
        lines = cast("anyio.AsyncFile[str]", Lines(sys.stdin.buffer))
        async with stdio_server(lines) as (reads, writes):
            await server.run(reads, writes, server.create_initialization_options())


@contextmanager
def _ended_by_signals(scope: anyio.CancelScope) -> Iterator[None]:
    """Have SIGINT and SIGTERM cancel the scope while the block runs, where the loop can tell of signals."""
    loop, told = asyncio.get_running_loop(), []
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C is a KeyboardInterrupt there
            loop.add_signal_handler(number, scope.cancel)
            told.append(number)
    try:
        yield
    finally:
        for number in told:
            loop.remove_signal_handler(number)
