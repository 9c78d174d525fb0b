"""Following the log of a PKG: one thread waits for commits, however many streams wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio import CapacityLimiter

from slipstream.domain.errors import SlipstreamError
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import ChangeFeed

logger = logging.getLogger(__name__)

_SLICE_S = 0.5
"""How long the thread waits at a time: so long it may outlive the last one who waits."""
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the log, ready to be sent; empty where nothing has come."""

    content: bytes
    next: Position


class Follower:
    """Wakes all who wait for a commit, by one task that lives while there are such; in one event loop."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._head = ORIGIN
        self._moved = asyncio.Event()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self._limiter = CapacityLimiter(1)
        self._reading = asyncio.Lock()
        self._page: tuple[Position, Page] | None = None

    @property
    def head(self) -> Position:
        """The newest position that is known here."""
        return self._head

    async def page(self, after: Position, read: Callable[[Position], Page]) -> Page:
        """
        Return what `read` makes of the log behind a position, in a thread; one page is read at a time.

        Those who are equally far share the page, so that each commit is read once for all of them.
        """
        async with self._reading:
            if self._page is None or self._page[0] != after or not self._page[1].content:
                self._page = (after, await anyio.to_thread.run_sync(read, after))
            return self._page[1]

    async def behind(self, after: Position) -> None:
        """
        Return once the log has an entry behind a position.

        Also when it can not be read: whoever reads it then is told why.
        """
        self._waiting += 1
        try:
            while self._head <= after:
                moved = self._moved
                if self._task is None or self._task.done():
                    self._task = asyncio.create_task(self._follow(), name="slipstream-follow")
                await moved.wait()
                if self._task is not None and self._task.done():
                    return
        finally:
            self._waiting -= 1

    async def _follow(self) -> None:
        try:
            await self._note(ORIGIN)  # what was committed before this task began wakes too
            while self._waiting:
                await self._note(self._head)
        except SlipstreamError as error:
            logger.info("stopped following the log: %s", error)
            await anyio.sleep(_PAUSE_S)  # who waits may read the log all the same, and then waits again
            self._wake()

    async def _note(self, after: Position) -> None:
        head = await anyio.to_thread.run_sync(self._look, after, abandon_on_cancel=True, limiter=self._limiter)
        if head != self._head:
            self._head = head
            self._wake()

    def _look(self, after: Position) -> Position:
        self._feed.wait(after, _SLICE_S)
        return self._feed.head()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
