"""Reading lines from standard input in a thread that nothing waits for."""

from __future__ import annotations

import asyncio
import os

import pytest

from slipstream.mcp import stdio
from slipstream.mcp.stdio import Lines


def read_all(*written: bytes) -> list[str]:
    async def lines() -> list[str]:
        reads, writes = os.pipe()

        def send() -> None:
            with os.fdopen(writes, "wb", buffering=0) as other:
                for part in written:
                    other.write(part)

        with os.fdopen(reads, "rb") as stream:
            sent = asyncio.ensure_future(asyncio.to_thread(send))
            read = [line async for line in Lines(stream)]
            await sent
            return read

    return asyncio.run(lines())


def test_lines_come_whole_and_in_order() -> None:
    assert read_all(b'{"a": "\xc3\xa9"}\n{"b"', b": 2}\n", b"the end") == ['{"a": "é"}\n', '{"b": 2}\n', "the end"]
    assert read_all(*(b"%d\n" % number for number in range(500))) == [f"{number}\n" for number in range(500)]
    assert read_all() == []
    assert read_all(b"not \xff UTF-8\n") == ["not � UTF-8\n"]


def test_a_line_beyond_the_bound_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stdio, "MESSAGE_BYTES_MAX", 1_000)
    assert read_all(b"short\n", b"x" * 1_000 + b"\n", b"never\n") == ["short\n"]
    assert "a message is longer than 1000 bytes" in capsys.readouterr().err


def test_the_loop_may_end_while_a_line_is_waited_for() -> None:
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as stream, os.fdopen(writes, "wb") as other:

        async def given_up() -> None:
            async with asyncio.timeout(0.05):
                async for _ in Lines(stream):
                    pass

        with pytest.raises(TimeoutError):
            asyncio.run(given_up())
        other.write(b"too late\n")
        other.close()
