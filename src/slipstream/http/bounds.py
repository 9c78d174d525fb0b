"""Bounds on requests: their bodies, how many are worked on, for how long, and how much is answered."""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipstream.http.access import PAGES, UPLOAD_PATH
from slipstream.http.limits import MIB, Limits
from slipstream.http.problems import problem
from slipstream.http.slots import RefusedError, Room, Slots

logger = logging.getLogger(__name__)

_AGENTS, _WAIT = "/mcp", "/v1/wait"
_ORDERS = (
    "/v1/audits",
    "/v1/backups",
    "/v1/dead-letters/replay",
    "/v1/migrations/",
    "/v1/quality",
    "/v1/repairs",
)
"""Where a POST begins something long, and waits for it as its body says."""
_STREAM = b"text/event-stream"
_CHUNK_BYTES = 64 * 1024


class _GoneError(Exception):
    """The client has gone while its body was awaited."""


class Bounds:
    """
    Reads a body first, then has the request worked on, and sends its answer when that has ended.

    So a slow client takes no room from the others, neither while it sends nor while it reads. Work that takes too
    long keeps its room until it ends, but its client is told. Streams of events are passed on as they come.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._work = Slots("requests", limits.working, limits.waiting, limits.waiting_s)
        self._waits = Slots("requests that wait", limits.waits, 0, 0)
        self._agents = Slots("agents", limits.agents, limits.agents, limits.waiting_s)
        self._uploads = Slots("uploads", limits.uploads, 0, 0)
        self._streams = Slots("streams of events", limits.streams, 0, 0)
        self._bodies = Room("bodies", limits.bodies_bytes)
        self._answers = Room("answers that clients are slow to take", limits.answers_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work on a request within the bounds."""
        if scope["type"] != "http" or scope["path"] in PAGES:  # which must answer under every load
            await self._app(scope, receive, send)
            return
        is_upload = scope["path"] == UPLOAD_PATH and scope["method"] == "POST"
        body = _Body(scope, receive, self._limits, self._bodies)
        try:
            if is_upload:
                body.check_size(self._limits.upload_bytes)
                await self._worked(scope, body.passed_on, send, self._uploads, None)
            else:
                await body.read()
                slots = self._slots_of(scope)
                limit_s = self._limits.waiting_work_s if slots is self._waits else self._limits.work_s
                await self._worked(scope, body.told, send, slots, limit_s)
        except RefusedError as refused:
            await refused.answer(scope, receive, send)
        except _GoneError:
            return
        finally:
            body.forget()

    def _slots_of(self, scope: Scope) -> Slots:
        path: str = scope["path"]
        if path == _AGENTS or path.startswith(f"{_AGENTS}/"):
            return self._agents
        asked = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        is_order = scope["method"] == "POST" and path.startswith(_ORDERS)
        return self._waits if path == _WAIT or is_order or "wait_s" in asked else self._work

    async def _worked(self, scope: Scope, receive: Receive, send: Send, slots: Slots, limit_s: float | None) -> None:
        await slots.take()
        answer = _Answer(send, slots, self._limits.answer_bytes)
        work = asyncio.create_task(_run(self._app, scope, receive, answer), name="slipstream-request")
        work.add_done_callback(answer.give_slot)
        begun = asyncio.create_task(answer.is_stream.wait())
        try:
            await asyncio.wait({work, begun}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.is_stream.is_set():
                await self._streamed(answer, work)
                return
        except BaseException:
            work.cancel()
            raise
        finally:
            begun.cancel()
        if not work.done():
            answer.abandon()
            raise RefusedError(
                problem(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"the request has been worked on for {limit_s:g} s: it may still be done, so look before it is "
                    "sent again",
                    remedy="ask for less at a time",
                )
            )
        await self._sent(answer, send)

    async def _streamed(self, answer: _Answer, work: asyncio.Task[None]) -> None:
        await self._streams.take()
        answer.move_to(self._streams)
        await answer.pass_on()
        await work

    async def _sent(self, answer: _Answer, send: Send) -> None:
        start, size = answer.checked(), answer.size_bytes
        held = size if size > _CHUNK_BYTES else 0  # small ones are bounded by the number of connections
        self._answers.take(held)
        try:
            await send(start)
            body = memoryview(b"".join(answer.chunks))
            for at in range(0, max(size, 1), _CHUNK_BYTES):
                chunk, is_last = bytes(body[at : at + _CHUNK_BYTES]), at + _CHUNK_BYTES >= size
                await send({"type": "http.response.body", "body": chunk, "more_body": not is_last})
        finally:
            self._answers.give(held)


async def _run(app: ASGIApp, scope: Scope, receive: Receive, answer: _Answer) -> None:
    try:
        await app(scope, receive, answer.take)
    except Exception:
        # What fails before its answer begins is answered and logged by the app, which then raises it again.
        level = logging.DEBUG if answer.is_fault else logging.ERROR
        logger.log(level, "%s %s failed after its answer began", scope["method"], scope["path"], exc_info=True)


class _Answer:
    """What the app answers: kept until all of it is there, unless it is a stream."""

    def __init__(self, send: Send, slots: Slots, size_bytes_max: int) -> None:
        self._send, self._slots, self._size_bytes_max = send, slots, size_bytes_max
        self.is_stream, self._passed_on = asyncio.Event(), asyncio.Event()
        self._start: Message | None = None
        self._is_whole = self._is_abandoned = self._has_ended = False
        self.chunks: list[bytes] = []
        self.size_bytes = 0

    @property
    def is_fault(self) -> bool:
        """Whether the app answers that it failed."""
        return self._start is not None and self._start["status"] == HTTPStatus.INTERNAL_SERVER_ERROR

    async def take(self, message: Message) -> None:
        """Take a message of the app's."""
        if self._is_abandoned:
            return
        if self.is_stream.is_set():
            await self._passed_on.wait()
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._start = message
            if any(
                name.lower() == b"content-type" and value.startswith(_STREAM) for name, value in message["headers"]
            ):
                self.is_stream.set()
        elif message["type"] == "http.response.body":
            self.size_bytes += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if self.size_bytes <= self._size_bytes_max:
                self.chunks.append(message.get("body", b""))
            else:
                self.chunks.clear()

    async def pass_on(self) -> None:
        """Send what there is of a stream, and from now on each message at once."""
        assert self._start is not None  # noqa: S101  (`is_stream` was set with it)
        await self._send(self._start)
        self._passed_on.set()

    def checked(self) -> Message:
        """Return how the answer begins; refuses one that is too large, or is none."""
        if self._start is None or not self._is_whole:
            raise RefusedError(problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the server: see its log"))
        if self.size_bytes > self._size_bytes_max:
            raise RefusedError(
                problem(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    f"the answer is larger than {self._size_bytes_max // MIB} MiB: ask for less at a time",
                    remedy="ask for less, with a smaller `limit` or `k`",
                )
            )
        return self._start

    def abandon(self) -> None:
        """Take nothing more: the client has been told something else."""
        self._is_abandoned = True
        self.chunks.clear()

    def move_to(self, slots: Slots) -> None:
        """Hold a slot of another kind, which was taken for it, from now on."""
        given, self._slots = (slots if self._has_ended else self._slots), slots
        given.give()

    def give_slot(self, work: object) -> None:
        """Give the slot back: the work has ended."""
        del work
        self._has_ended = True
        self._slots.give()


class _Body:
    """The body of one request, as it arrives."""

    def __init__(self, scope: Scope, receive: Receive, limits: Limits, room: Room) -> None:
        self._headers, self._receive = Headers(scope=scope), receive
        self._limits, self._room = limits, room
        self._chunks: list[bytes] = []
        self._held = self._seen = 0
        self._is_told = False
        self._next_part()

    def check_size(self, size_bytes_max: int) -> None:
        """Refuse a body that says itself that it is too large."""
        declared = self._headers.get("content-length", "0")
        if int(declared) > size_bytes_max:  # h11 has checked that it is a number
            raise RefusedError(_too_large(size_bytes_max))

    async def read(self) -> None:
        """Read all of it; refuses one that is too large, or takes too long."""
        limit = self._limits.body_bytes
        self.check_size(limit)
        try:
            async with asyncio.timeout(self._limits.body_s):
                while (message := await self._receive())["type"] == "http.request":
                    self._hold(message.get("body", b""))
                    if self._held > limit:
                        raise RefusedError(_too_large(limit))
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            raise RefusedError(
                problem(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"the body has not arrived within {self._limits.body_s:g} s: send it faster, or less of it",
                    headers={"Connection": "close"},
                )
            ) from None
        raise _GoneError

    def _hold(self, chunk: bytes) -> None:
        self._room.take(len(chunk))
        self._held += len(chunk)
        self._chunks.append(chunk)

    async def told(self) -> Message:
        """Tell the app the body that was read; then, that the client has gone, once it has."""
        if self._is_told:
            return await self._receive()
        self._is_told = True
        return {"type": "http.request", "body": b"".join(self._chunks), "more_body": False}

    async def passed_on(self) -> Message:
        """Pass an upload on to the app as it arrives."""
        if self._is_told:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._part_until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                HTTPStatus.REQUEST_TIMEOUT,
                f"less than {self._limits.upload_part_bytes // 1024} KiB of the upload have arrived within "
                f"{self._limits.upload_part_s:g} s: send it again, faster",
                {"Connection": "close"},
            ) from None
        self._is_told = not message.get("more_body", False)
        self._seen += len(message.get("body", b""))
        if self._seen >= self._part_end:
            self._next_part()
        if self._seen > self._limits.upload_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large_detail(self._limits.upload_bytes))
        return message

    def _next_part(self) -> None:
        """Begin the time that the next part of an upload may take."""
        self._part_end = self._seen + self._limits.upload_part_bytes
        self._part_until = asyncio.get_running_loop().time() + self._limits.upload_part_s

    def forget(self) -> None:
        """Give back the memory that it took."""
        self._room.give(self._held)
        self._held = 0
        self._chunks.clear()


def _too_large_detail(size_bytes_max: int) -> str:
    return f"the body is larger than {size_bytes_max / MIB:g} MiB: send less at a time"


def _too_large(size_bytes_max: int) -> JSONResponse:
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large_detail(size_bytes_max))
