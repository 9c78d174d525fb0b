"""Waiting for the index and for commits, so that whoever waits takes no thread from those who ask."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Depends, FastAPI, Query, Request

from slipstream.app.slipstream import Slipstream
from slipstream.domain.positions import Position
from slipstream.http.following import Follower

logger = logging.getLogger(__name__)

WAIT_S_MAX = 60.0
"""For how long a request may ask to wait."""
WAITERS_MAX = 64
"""Waits for the index at once; a further one stands in line, and its time runs."""

SEARCHES_MAX = 2
"""Searches that compute at once; two let one read the graph while the other computes."""

WaitS = Annotated[
    float | None,
    Query(
        ge=0,
        le=WAIT_S_MAX,
        allow_inf_nan=False,
        description="Wait up to so many seconds until searches find what was written; `reached` tells if they do",
    ),
]


class Waiting:
    """What all waiting requests of a server share."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.limiter = CapacityLimiter(WAITERS_MAX)
        """For calls that may wait, in threads of their own."""
        self.searching = CapacityLimiter(SEARCHES_MAX)
        """For searches: they compute all the while, and more of them hold up each other and the engine."""
        self._followers: WeakKeyDictionary[Slipstream, Follower] = WeakKeyDictionary()

    def follower(self, slipstream: Slipstream) -> Follower:
        """Return what wakes those who wait for a commit of a PKG."""
        found = self._followers.get(slipstream)
        if found is None:
            found = self._followers[slipstream] = Follower(slipstream.pkg.feed)
        return found

    @property
    def stops(self) -> bool:
        """Whether the server ends."""
        stopping = getattr(self._app.state, "stopping", None)
        return stopping is not None and bool(stopping.is_set)

    async def unless_stopping(self, work: Callable[[], Awaitable[object]], timeout_s: float) -> None:
        """Await something, but no longer than some seconds, nor when the server ends."""
        with anyio.move_on_after(timeout_s):
            async with anyio.create_task_group() as group:

                async def run(awaited: Callable[[], Awaitable[object]]) -> None:
                    await awaited()
                    group.cancel_scope.cancel()

                stopping = getattr(self._app.state, "stopping", None)
                if stopping is not None:
                    group.start_soon(run, stopping.wait)
                group.start_soon(run, work)

    async def reached(self, slipstream: Slipstream, position: Position, timeout_s: float) -> bool:
        """Wait until the index reflects a position; False when time ran out, or it can not come so far now."""
        if slipstream.sync.engine.frontier >= position:
            return True
        wait = partial(slipstream.sync.reached, position, timeout_s)
        await self._in_thread(wait, timeout_s)
        return slipstream.sync.engine.frontier >= position

    async def wait(self, slipstream: Slipstream, position: Position, timeout_s: float) -> bool:
        """Wait as `reached` does, but raise what keeps the index from coming so far."""
        if slipstream.sync.engine.frontier >= position:
            return True
        failed: list[Exception] = []

        def wait() -> None:
            try:
                slipstream.sync.wait(position, timeout_s)
            except Exception as error:  # noqa: BLE001  (raised below, and not out of a group of tasks)
                failed.append(error)

        await self._in_thread(wait, timeout_s)
        if failed:
            raise failed[0]
        return slipstream.sync.engine.frontier >= position

    async def _in_thread(self, wait: Callable[[], object], timeout_s: float) -> None:
        call = partial(anyio.to_thread.run_sync, wait, abandon_on_cancel=True, limiter=self.limiter)
        await self.unless_stopping(call, timeout_s)


async def waiting_of(request: Request) -> Waiting:
    """Return what the waiting requests of a server share."""
    found: Waiting | None = getattr(request.app.state, "waiting", None)
    if found is None:
        found = request.app.state.waiting = Waiting(request.app)
    return found


Waits = Annotated[Waiting, Depends(waiting_of)]
