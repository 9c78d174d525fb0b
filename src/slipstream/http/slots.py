"""Room on a server: for requests, and for the bytes that they hold."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus

from starlette.responses import JSONResponse

from slipstream.http.limits import RETRY_AFTER_S
from slipstream.http.problems import problem


class RefusedError(Exception):
    """The request gets this answer instead."""

    def __init__(self, answer: JSONResponse) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def overloaded(what: str) -> RefusedError:
    """Return how a request is refused when there is too much of something."""
    return RefusedError(
        problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"the server has too much to do ({what}): try again in a moment",
            headers={"Retry-After": str(RETRY_AFTER_S)},
            remedy="try again later; nothing was done",
        )
    )


class Slots:
    """Room for requests of one kind, first come, first served."""

    def __init__(self, name: str, count: int, waiting: int, waiting_s: float) -> None:
        self._name, self._count, self._waiting, self._waiting_s = name, count, waiting, waiting_s
        self._used = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for room, for a bounded time among a bounded number of others; or refuse the request."""
        if self._used < self._count:
            self._used += 1
            return
        if len(self._queue) >= self._waiting:
            raise overloaded(self._name)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._waiting_s):
                await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn in self._queue:
                self._queue.remove(turn)
            elif not turn.cancelled():  # it came at the same moment
                self.give()
            if isinstance(error, TimeoutError):
                raise overloaded(self._name) from None
            raise

    def give(self) -> None:
        """Give room back, to whoever waits longest."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._used -= 1


class Room:
    """How many bytes all requests together hold in memory."""

    def __init__(self, name: str, size_bytes: int) -> None:
        self._name, self._left = name, size_bytes

    def take(self, size_bytes: int) -> None:
        """Take some; refuses the request when there is none left."""
        if size_bytes > self._left:
            raise overloaded(self._name)
        self._left -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Give some back."""
        self._left += size_bytes
