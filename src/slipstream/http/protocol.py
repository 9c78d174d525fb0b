"""HTTP/1.1 on one connection, as uvicorn speaks it, with limits that uvicorn lacks: on heads, readers, idlers."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from slipstream.http.limits import Limits
from slipstream.http.listening import LISTENER, Listener
from slipstream.http.problems import problem

LINGER_S = 2.0
"""How long the rest of a body that nobody reads is taken in, so that its sender gets to read the answer."""


class _Heads(h11.Connection):
    """
    h11, which limits a head only while the rest of it is awaited: one that arrives at once it takes as it is.

    And it takes a length of the body beside its chunks, of which a proxy in front may believe the other one.
    """

    def __init__(self, size_bytes_max: int) -> None:
        super().__init__(h11.SERVER, size_bytes_max)
        self._size_bytes_max = size_bytes_max

    def next_event(self) -> Any:
        """Return what has arrived next; refuses a head that is too large."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            size_bytes = len(event.target) + sum(len(name) + len(value) + 4 for name, value in event.headers)
            if size_bytes > self._size_bytes_max:
                raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
            names = {name for name, _ in event.headers}
            if {b"content-length", b"transfer-encoding"} <= names:  # a proxy may have gone by the other one
                raise h11.RemoteProtocolError("a body with two lengths")
        return event


def _send_at_once(transport: asyncio.Transport) -> None:
    """
    Have the two parts of an answer, its head and its body, sent as they come.

    asyncio does so only for sockets that were made for TCP by name, which inherited or accepted ones may not be; the
    body would wait 40 ms for the client's delayed acknowledgement of the head.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Connection(H11Protocol):
    """
    One connection. `look` must be called from time to time: it ends what takes too long.

    A connection waits while no request of it is worked on: for its head, or for the next request. When there are too
    many connections, the one that has waited longest makes room.
    """

    def __init__(self, config: Config, state: ServerState, app_state: dict[str, Any], door: Door) -> None:
        super().__init__(config, state, {**app_state, LISTENER: door.listener})
        self.conn = _Heads(door.limits.header_bytes)
        self._door, self._limits = door, door.limits
        self._waits_until: float | None = None
        self._lingers_until: float | None = None
        self._unsent, self._unsent_since = 0, time.monotonic()

    # ------------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room."""
        super().connection_made(transport)
        _send_at_once(transport)
        if not self._door.let_in(self):
            self.refuse(503, "this server has too many connections: try again in a moment")
            return
        self._await_head(self._limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._door.let_out(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; the first ones of a next request begin the time that its head may take."""
        if self.transport.is_closing():
            return
        if self._waits_until is not None and self.timeout_keep_alive_task is not None:
            self._await_head(self._limits.header_s)
        super().data_received(data)

    # ------------------------------------------------------------------ uvicorn's side

    def handle_events(self) -> None:
        """Handle what has arrived; a request whose head is complete waits no more."""
        before = self.cycle
        super().handle_events()
        if self.conn.their_state is not h11.SEND_BODY:
            self._lingers_until = None
        if self.cycle is not before and not self.cycle.response_complete:
            self._waits_until = None
            self._door.works(self)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one's body."""
        self._await_head(self._limits.keep_alive_s)
        if self.conn.their_state is h11.SEND_BODY:
            self._lingers_until = time.monotonic() + LINGER_S
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or has too long a head."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if status == 431:
            limit = self._limits.header_bytes // 1024
            self.refuse(431, f"the head of the request is larger than {limit} KiB: send less")
        else:
            self.refuse(400, f"{msg} This server speaks HTTP/1.1")

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem, if an answer can still be given, and close."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            answer = problem(status, detail)
            headers = [*answer.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.give_up()

    def give_up(self) -> None:
        """Close; what is worked on for this connection learns that nobody listens any more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    # ------------------------------------------------------------------ time

    def look(self, now: float) -> None:
        """End this connection if its client takes too long."""
        waits = (self._waits_until, self._lingers_until)
        if any(until is not None and now >= until for until in waits) and not self.transport.is_closing():
            self.give_up()
        unsent = self.transport.get_write_buffer_size()
        if not unsent or self._unsent - unsent >= self._limits.progress_bytes or unsent > self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since >= self._limits.progress_s:
            self.transport.abort()

    def _await_head(self, time_s: float) -> None:
        self._waits_until = time.monotonic() + time_s
        self._door.waits(self)


class Door:
    """Where connections come in by one listener, with a limit of its own on how many."""

    def __init__(self, listener: Listener, limits: Limits) -> None:
        self.listener, self.limits = listener, limits
        self._inside: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}

    def let_in(self, connection: Connection) -> bool:
        """Return whether there is room, or room could be made."""
        if len(self._inside) >= self.limits.connections:
            if not self._waiting:
                return False
            longest = next(iter(self._waiting))
            self.let_out(longest)
            longest.transport.abort()
        self._inside.add(connection)
        return True

    def let_out(self, connection: Connection) -> None:
        """Forget a connection."""
        self._inside.discard(connection)
        self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Know that nothing is worked on for a connection now."""
        if connection in self._inside:
            self._waiting.pop(connection, None)
            self._waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """Know that a request of it is worked on."""
        self._waiting.pop(connection, None)

    def look(self, now: float) -> None:
        """End the connections whose clients take too long."""
        for connection in list(self._inside):
            connection.look(now)
