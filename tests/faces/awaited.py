"""The facade of asyncio, called synchronously: each call is awaited in a loop of its own thread."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.e2e.processes import LONG_S

T = TypeVar("T")


class Loop:
    """A running loop."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONG_S)
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns, or raise what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(LONG_S)


class Awaited:
    """An object whose coroutines are awaited by whoever calls them."""

    def __init__(self, target: Any, loop: Loop) -> None:
        self.target, self.loop = target, loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.target, name)
        if name == "transaction":
            return lambda: self._block(found())
        if inspect.iscoroutinefunction(found):
            return lambda *args, **kwargs: self.loop.run(found(*args, **kwargs))
        if type(found).__module__ == "slipstream.aio":
            return Awaited(found, self.loop)
        return found

    @contextmanager
    def _block(self, manager: Any) -> Iterator[Any]:
        """Enter and leave an asynchronous block."""
        entered = self.loop.run(manager.__aenter__())
        try:
            yield entered
        except BaseException as error:
            if not self.loop.run(manager.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            self.loop.run(manager.__aexit__(None, None, None))

    def first(self, events: AsyncIterator[T], count: int) -> list[T]:
        """Return the first items of an asynchronous iterator."""

        async def taken() -> list[T]:
            found: list[T] = []
            async for event in events:
                found.append(event)
                if len(found) == count:
                    break
            return found

        return self.loop.run(taken())
