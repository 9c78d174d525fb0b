"""An agent's side of the tools: the SDK's own client, over any transport, called without `await`."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from mcp import Client
from mcp_types import CallToolResult, ReadResourceResult, TextContent, TextResourceContents, Tool

LONG_S = 120.0
NEWEST, HANDSHAKE = "2026-07-28", "2025-11-25"
MODES = {"auto": NEWEST, "legacy": HANDSHAKE}
"""What the client is asked for, and the revision that it then speaks."""

T = TypeVar("T")


class CallError(Exception):
    """A call was answered with an error, in these words."""


class Agent:
    """Calls tools by name and keyword."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self.client, self._loop = client, loop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the client's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LONG_S)

    def tools(self) -> dict[str, Tool]:
        """Return the tools that this agent is told of."""
        return {tool.name: tool for tool in self.do(self.client.list_tools()).tools}

    def answer(self, name: str, **arguments: Any) -> CallToolResult:
        """Return what a call is answered with, be it an error."""
        found = self.do(self.client.call_tool(name, arguments))
        assert isinstance(found, CallToolResult)
        return found

    def begin(self, name: str, **arguments: Any) -> Future[Any]:
        """Begin a call, and return what becomes its answer."""
        return asyncio.run_coroutine_threadsafe(self.client.call_tool(name, arguments), self._loop)

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Return the structured answer of a call; raises `CallError`."""
        found = self.answer(name, **arguments)
        if found.is_error:
            raise CallError(text_of(found))
        assert json.loads(text_of(found)) == found.structured_content
        content: dict[str, Any] = found.structured_content
        return content

    def read(self, uri: str) -> dict[str, Any]:
        """Return a resource."""
        found = self.do(self.client.read_resource(uri))
        assert isinstance(found, ReadResourceResult)
        (content,) = found.contents
        assert isinstance(content, TextResourceContents)
        read: dict[str, Any] = json.loads(content.text)
        return read


def text_of(result: CallToolResult) -> str:
    """Return the one text of an answer."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@contextmanager
def agent(made: Callable[[], AbstractAsyncContextManager[Client]]) -> Iterator[Agent]:
    """Connect an agent; its client is made, used and closed on a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    began, told, ending = threading.Event(), [], asyncio.Event()

    async def live() -> None:
        try:
            async with made() as client:
                told.append(client)
                began.set()
                await ending.wait()
        finally:
            began.set()

    failed: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as error:  # noqa: BLE001  (it is raised where the agent is used)
            failed.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(LONG_S)
    try:
        if told:
            yield Agent(told[0], loop)
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(ending.set)
        thread.join(LONG_S)
    if failed:
        raise _only(failed[0])


def _only(error: BaseException) -> BaseException:
    """Return the one error that groups of errors hold."""
    return _only(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
