"""The wire beneath the client, against sockets that behave in one way each: kept, dropped, busy, silent, gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.app.client.addresses import Address
from slipstream.app.client.calling import WireCaller
from slipstream.app.client.wire import Wire
from slipstream.domain.errors import InvalidInputError, QueryLimitError, SlipstreamError, UnavailableError
from tests.until import until

Reply = Callable[[socket.socket, str], bool]
"""Answers one request whose head it gets; returns whether the connection stays open."""
LONG_S = 60.0
TOKEN = "-".join(["a", "token"])


@dataclass
class Peer:
    """A server that answers each request by the next of its replies; the last one is for all that follow."""

    replies: list[Reply]
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    closed: int = 0

    def serve(self, listening: socket.socket) -> None:
        """Answer one connection after the other, until the socket is closed."""
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(LONG_S)
                while head := _head(connection):
                    self.heads.append(head)
                    reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                    if not reply(connection, head):
                        break
            self.closed += 1


def _head(connection: socket.socket) -> str:
    read = b""
    try:
        while b"\r\n\r\n" not in read:
            piece = connection.recv(65536)
            if not piece:
                return ""
            read += piece
        head, _, body = read.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
    except OSError:
        return ""
    return head.decode()


@contextmanager
def peer(*replies: Reply, **options: Any) -> Iterator[tuple[Peer, Wire]]:
    """Serve on loopback while the block runs; yields the server, and a wire to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = Peer(list(replies))
        thread = threading.Thread(target=found.serve, args=(listening,), daemon=True)
        thread.start()
        with closing(Wire(Address(host="127.0.0.1", port=listening.getsockname()[1]), **options)) as wire:
            yield found, wire
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(LONG_S)


def says(body: str = "{}", status: str = "200 OK", *headers: str, stays: bool = True) -> Reply:
    """Return a reply with this answer."""

    def reply(connection: socket.socket, head: str) -> bool:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return stays

    return reply


def drops(connection: socket.socket, head: str) -> bool:
    """End the connection without an answer."""
    return False


BUSY = says('{"detail": "too much to do"}', "503 Service Unavailable", "Retry-After: 0")


def test_a_connection_is_kept_for_the_next_call() -> None:
    with peer(says('{"n": 1}'), token=TOKEN) as (found, wire):
        assert [wire.get("/v1/x"), wire.post("/v1/y", {"a": 1})] == [{"n": 1}, {"n": 1}]
    assert found.connections == 1
    assert f"Authorization: Bearer {TOKEN}" in found.heads[0]
    assert found.heads[1].startswith("POST /v1/y ")


def _is_closed(found: Peer, times: int) -> bool:
    return found.closed == times


def test_one_that_the_server_has_closed_meanwhile_is_not_used() -> None:
    with peer(says(stays=False)) as (found, wire):
        for number in range(1, 4):
            wire.post("/v1/write", {"a": 1})  # would not be sent twice
            until(partial(_is_closed, found, number))
    assert (found.connections, len(found.heads)) == (3, 3)


def test_what_only_reads_is_asked_again_when_its_connection_breaks() -> None:
    with peer(drops, says('{"n": 1}')) as (found, wire):
        assert wire.get("/v1/x") == {"n": 1}
    assert len(found.heads) == 2


def test_what_writes_is_never_sent_twice() -> None:
    with peer(drops, says()) as (found, wire):
        with pytest.raises(UnavailableError, match="can not be reached, or broke off"):
            wire.post("/v1/write", {"a": 1})
        assert len(found.heads) == 1
        wire.post("/v1/write", {"a": 1})
    assert len(found.heads) == 2


def test_what_writes_is_sent_again_where_that_is_safe() -> None:
    with peer(drops, says('{"n": 1}')) as (found, wire):
        assert wire.post("/v1/write", {"a": 1}, is_safe=True) == {"n": 1}
    assert len(found.heads) == 2


def test_a_busy_server_is_asked_again_and_not_for_ever() -> None:
    with peer(BUSY, BUSY, says('{"n": 1}')) as (found, wire):
        assert wire.post("/v1/write", {"a": 1}) == {"n": 1}
    with peer(BUSY) as (found, wire), pytest.raises(UnavailableError, match="too much to do"):
        wire.post("/v1/write", {"a": 1})
    assert len(found.heads) == 3


def test_a_silent_server_is_given_up() -> None:
    ended = threading.Event()

    def silent(connection: socket.socket, head: str) -> bool:
        ended.wait(LONG_S)
        return False

    with peer(silent, timeout_s=0.05) as (found, wire):
        with pytest.raises(UnavailableError, match=r"has not answered GET /v1/x within 0\.05 s"):
            wire.get("/v1/x")
        ended.set()
    assert len(found.heads) == 1


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnavailableError, match="slipstream serve"):
        Wire(Address(host="127.0.0.1", port=port)).get("/v1/x")


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.app.client.wire.ANSWER_BYTES_MAX", 100)
    with peer(says('"' + "x" * 200 + '"')) as (_, wire), pytest.raises(QueryLimitError, match="100 bytes"):
        wire.get("/v1/x")


def test_a_redirect_is_not_followed() -> None:
    with peer(says("{}", "302 Found", "Location: http://127.0.0.1:1/"), token=TOKEN) as (found, wire):
        with pytest.raises(SlipstreamError, match="status 302"):
            wire.get("/v1/x")
        assert len(found.heads) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *[(body, "200 OK") for body in ("", "null", "[]", "1", "{}", "<html>", "[" * 100_000)],
        *[(body, "200 OK") for body in ('{"result": null}', '{"result": {"states": [1]}}', '{"id": null}')],
        ('{"error": {}}', "500 x"),
        ('{"class": "IncidentError", "incident": {"x": 1}}', "503 x"),
        ('{"class": "RateLimitedError", "retry_after_s": "x"}', "429 x"),
        ('{"class": "RepairNeedsConfirmationError", "plan": [1]}', "409 x"),
    ],
)
def test_what_no_server_of_ours_answers_is_told_as_that(body: str, status: str) -> None:
    with peer(says(body, status)) as (_, wire):
        caller = WireCaller(wire, SystemClock())
        with pytest.raises(UnavailableError, match="Slipstream server"):
            caller.call("pkg.read", [], {})
    with peer(says(body, status)) as (_, wire), pytest.raises(UnavailableError, match="Slipstream server"):
        WireCaller(wire, SystemClock()).call("verify")


def test_a_closed_wire_asks_nobody() -> None:
    with peer(says()) as (found, wire):
        wire.close()
        wire.close()
        with pytest.raises(UnavailableError, match="connect again"):
            wire.get("/v1/x")
    assert not found.heads


@pytest.mark.parametrize("token", ["", " a", "a\n", "ä", "a\r\nX: y"])
def test_a_token_that_would_break_the_head_is_refused(token: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Wire(Address(), token=token)
    assert caught.value.field == "token"
