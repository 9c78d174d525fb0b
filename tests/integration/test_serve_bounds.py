"""What a server bears: slow, large, many and hanging requests hold nobody up, and take a bounded share of it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.http import serve
from slipstream.http.limits import Limits
from slipstream.http.program import Serving
from tests.integration.served import (
    LONG_S,
    SEARCH,
    Held,
    answer_on,
    ask,
    connected,
    head_of,
    is_ended,
    opened,
)
from tests.until import until

SOON_S = 0.3


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def slip(tmp_path: Path, held: Held) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg", held) as slipstream:
        assert slipstream.sync.wait(slipstream.pkg.create_entity("Note", "first", {"name": "first"}), LONG_S)
        yield slipstream


def _is_cut_off(connection: socket.socket, piece: bytes) -> bool:
    """Send piece after piece, until the other side does not take them any more."""
    pause, deadline = threading.Event(), time.monotonic() + LONG_S
    try:
        while time.monotonic() < deadline:
            connection.sendall(piece)
            pause.wait(0.01)
    except ConnectionError:
        return True
    return False


# ------------------------------------------------------------------ heads


def test_a_head_that_trickles_is_ended_and_holds_nobody_up(slip: Slipstream) -> None:
    with serve(slip, "0", limits=Limits(header_s=SOON_S)) as server, closing(connected(server)) as slow:
        slow.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert ask(server, "GET", "/v1/status").status == 200
        assert _is_cut_off(slow, b"x")


def test_an_idle_connection_is_ended_between_two_requests(slip: Slipstream) -> None:
    with serve(slip, "0", limits=Limits(keep_alive_s=1)) as server, closing(connected(server)) as idle:
        for _ in range(2):
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer_on(idle).status == 200
        assert is_ended(idle)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_large_head_is_refused(slip: Slipstream, *, at_once: bool) -> None:
    limits = Limits()
    with serve(slip, "0", limits=limits) as server, closing(connected(server)) as large:
        large.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Large: ")
        large.sendall(b"x" * (limits.header_bytes + 1) + (b"\r\n\r\n" if at_once else b""))
        refused = answer_on(large)
        assert (refused.status, refused.headers["content-type"]) == (431, "application/problem+json")
        assert "larger than 32 KiB" in refused.json["detail"]
        assert is_ended(large)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(slip: Slipstream, rubbish: bytes) -> None:
    with serve(slip, "0") as server, closing(connected(server)) as hostile:
        hostile.sendall(rubbish)
        refused = answer_on(hostile)
        assert (refused.status // 100, refused.headers["content-type"]) in {
            (4, "application/problem+json"),
            (5, "application/problem+json"),
        }
        assert is_ended(hostile)
        assert ask(server, "GET", "/healthz").status == 200


def test_too_many_connections_make_room_for_those_who_ask(slip: Slipstream) -> None:
    with serve(slip, "0", limits=Limits(connections=4)) as server, ExitStack() as stack:
        idle = [stack.enter_context(closing(connected(server))) for _ in range(4)]
        assert ask(server, "GET", "/v1/status").status == 200
        assert is_ended(idle[0])  # it had waited longest
        idle[3].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_on(idle[3]).status == 200


def test_a_connection_that_is_worked_on_never_makes_room(slip: Slipstream, held: Held) -> None:
    with serve(slip, "0", limits=Limits(connections=2)) as server, ExitStack() as stack:
        held.begin()
        busy = [stack.enter_context(closing(connected(server))) for _ in range(2)]
        for number, each in enumerate(busy):
            each.sendall(head_of("/v1/search", len(SEARCH) + 1) + b" " + SEARCH.replace(b"note", b"not%d" % number))
        for _ in busy:
            assert held.at_it.acquire(timeout=LONG_S)
        with closing(connected(server)) as surplus:
            refused = answer_on(surplus)
            assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
        held.end()
        assert [answer_on(each).status for each in busy] == [200, 200]


# ------------------------------------------------------------------ bodies


def test_a_body_that_trickles_is_refused_and_takes_no_room(slip: Slipstream) -> None:
    limits = Limits(working=1, waiting=0, body_s=SOON_S)
    with serve(slip, "0", limits=limits) as server, ExitStack() as stack:
        slow = [stack.enter_context(closing(connected(server))) for _ in range(8)]
        for each in slow:
            each.sendall(head_of("/v1/search", 1000) + b'{"te')
        assert ask(server, "POST", "/v1/search", {"text": "note"}).status == 200
        for each in slow:
            refused = answer_on(each)
            assert refused.status == 408
            assert "within 0.3 s" in refused.json["detail"]
            assert is_ended(each)


@pytest.mark.parametrize("how", ["declared", "chunked"])
def test_a_large_body_is_refused(slip: Slipstream, how: str) -> None:
    limits = Limits()
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with serve(slip, "0", limits=limits) as server, closing(connected(server)) as large:
        if how == "declared":
            large.sendall(head_of("/v1/search", limits.body_bytes + 1))
        else:
            head = head_of("/v1/search", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            large.sendall(head + chunk * (limits.body_bytes // 0x10000 + 1))
        refused = answer_on(large)
        assert refused.status == 413
        assert "larger than 1 MiB" in refused.json["detail"]


def test_the_rest_of_a_refused_body_is_not_taken_in_for_long(slip: Slipstream) -> None:
    with serve(slip, "0") as server, closing(connected(server)) as endless:
        endless.sendall(head_of("/v1/search", 1 << 40))
        assert answer_on(endless).status == 413
        assert _is_cut_off(endless, b"x" * 65536)


def test_all_bodies_together_take_a_bounded_memory(slip: Slipstream, held: Held) -> None:
    limits = Limits(bodies_bytes=1000)
    with serve(slip, "0", limits=limits) as server, closing(connected(server)) as first:
        first.sendall(head_of("/v1/search", 950) + b" " * 900)

        def second() -> int:
            return ask(server, "POST", "/v1/search", b" " * 300 + SEARCH).status

        until(lambda: second() == 503, "that there is no room for a second body")
        first.sendall(b" " * (50 - len(SEARCH)) + SEARCH)
        assert answer_on(first).status == 200
        until(lambda: second() == 200, "that the room is given back")


def test_a_client_that_goes_while_it_sends_leaves_nothing(slip: Slipstream) -> None:
    limits = Limits(bodies_bytes=1000, working=1, waiting=0)
    with serve(slip, "0", limits=limits) as server:
        for _ in range(10):
            with closing(connected(server)) as leaving:
                leaving.sendall(head_of("/v1/search", 950) + b" " * 900)
        until(lambda: ask(server, "POST", "/v1/search", b" " * 600 + SEARCH).status == 200)
        assert ask(server, "POST", "/v1/search", b" " * 600 + SEARCH).status == 200, "and it stays so"


def test_an_upload_is_bounded_in_size_and_pauses(slip: Slipstream) -> None:
    limits = Limits(upload_bytes=100_000, upload_part_s=SOON_S, uploads=1)
    octets = {"Content-Type": "application/octet-stream"}
    with serve(slip, "0", limits=limits) as server:
        refused = ask(server, "POST", "/v1/imports?format=apoc&name=x.jsonl", b" " * 100_001, octets)
        assert (refused.status, "larger than" in refused.json["detail"]) == (413, True)
        head = head_of("/v1/imports?name=x.jsonl", 50_000).replace(b"application/json", b"application/octet-stream")
        with closing(connected(server)) as slow:
            slow.sendall(head + b" " * 1000)
            until(lambda: ask(server, "POST", "/v1/imports?name=x.jsonl", b"", octets).status == 503)
            assert ask(server, "GET", "/v1/status").status == 200
            paused = answer_on(slow)
            assert (paused.status, "of the upload have arrived" in paused.json["detail"]) == (408, True)
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        with closing(connected(server)) as endless:
            chunked = head.replace(b"Content-Length: 50000", b"Transfer-Encoding: chunked")
            endless.sendall(chunked + chunk * 4)
            assert answer_on(endless).status == 413


# ------------------------------------------------------------------ work


def test_when_there_is_too_much_to_do_it_says_so_and_still_tells_its_health(slip: Slipstream, held: Held) -> None:
    limits = Limits(working=2, waiting=1, waiting_s=LONG_S)
    with serve(slip, "0", limits=limits) as server, ThreadPoolExecutor(3) as pool:
        held.begin()
        busy = [pool.submit(ask, server, "POST", "/v1/search", {"text": f"note {number}"}) for number in range(2)]
        for _ in busy:
            assert held.at_it.acquire(timeout=LONG_S)
        with closing(connected(server)) as waiting:
            waiting.sendall(head_of("/v1/search", len(SEARCH)) + SEARCH)
            until(lambda: ask(server, "GET", "/v1/status").status == 503, "that the third one waits")
            refused = ask(server, "GET", "/v1/status")
            assert (refused.headers["retry-after"], refused.headers["content-type"]) == (
                "1",
                "application/problem+json",
            )
            assert "too much to do" in refused.json["detail"]
            for path in ("/healthz", "/readyz", "/metrics"):
                assert ask(server, "GET", path).status == 200
            held.end()
            assert answer_on(waiting).status == 200
        assert [each.result(LONG_S).status for each in busy] == [200, 200]


def test_whoever_waits_too_long_for_room_is_told_so(slip: Slipstream, held: Held) -> None:
    limits = Limits(working=1, waiting=4, waiting_s=0.1)
    with serve(slip, "0", limits=limits) as server, ThreadPoolExecutor(1) as pool:
        held.begin()
        busy = pool.submit(ask, server, "POST", "/v1/search", {"text": "note"})
        assert held.at_it.acquire(timeout=LONG_S)
        assert [ask(server, "GET", "/v1/status").status for _ in range(6)] == [503] * 6
        held.end()
        assert busy.result(LONG_S).status == 200
        until(lambda: ask(server, "GET", "/v1/status").status == 200)


def test_those_who_wait_for_something_take_no_room_from_those_who_ask(slip: Slipstream) -> None:
    limits = Limits(working=1, waiting=0)
    with serve(slip, "0", limits=limits) as server, ExitStack() as stack:
        head = int(slip.pkg.feed.head())
        waiting = [stack.enter_context(closing(connected(server))) for _ in range(8)]
        body = b'{"position": %d, "timeout_s": 30}' % (head + 1)
        for each in waiting:
            each.sendall(head_of("/v1/wait", len(body)) + body)
        assert ask(server, "GET", "/v1/status").status == 200
        slip.pkg.create_entity("Note", "n1", {"name": "note"})
        assert [answer_on(each).json["reached"] for each in waiting] == [True] * 8


def test_work_that_takes_too_long_is_told_so_and_keeps_its_room_until_it_ends(slip: Slipstream, held: Held) -> None:
    limits = Limits(working=1, waiting=0, work_s=SOON_S)
    with serve(slip, "0", limits=limits) as server:
        held.begin()
        late = ask(server, "POST", "/v1/search", {"text": "note"})
        assert late.status == 503
        assert "it may still be done" in late.json["detail"]
        assert ask(server, "GET", "/v1/status").status == 503  # the hanging search still has the only place
        held.end()
        until(lambda: ask(server, "GET", "/v1/status").status == 200)


# ------------------------------------------------------------------ answers


def _filled(slip: Slipstream, size_bytes: int, count: int) -> None:
    with slip.pkg.transaction() as tx:
        for number in range(count):
            tx.create_entity("Note", f"n{number}", {"name": f"note {number}", "long": "x" * size_bytes})


def test_a_large_answer_is_refused(slip: Slipstream) -> None:
    _filled(slip, 1000, 20)
    with serve(slip, "0", limits=Limits(answer_bytes=10_000)) as server:
        assert ask(server, "GET", "/v1/entities?limit=5").status == 200
        refused = ask(server, "GET", "/v1/entities?limit=20")
        assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json")
        assert "ask for less" in refused.json["detail"]


def test_a_slow_reader_takes_no_room_and_is_dropped(slip: Slipstream) -> None:
    _filled(slip, 100_000, 80)
    limits = Limits(working=1, waiting=0, progress_s=0.5)
    with serve(slip, "0", limits=limits) as server, ExitStack() as stack:
        slow = []
        for _ in range(3):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(LONG_S)
            sock.connect((server.host, server.port))
            slow.append(stack.enter_context(closing(sock)))

        def has_begun(sock: socket.socket) -> bool:
            sock.sendall(b"GET /v1/entities?limit=80 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return sock.recv(12) == b"HTTP/1.1 200"

        for sock in slow:
            until(lambda sock=sock: has_begun(sock))  # type: ignore[misc]
        until(lambda: ask(server, "GET", "/v1/entities?limit=1").status == 200, "that slow readers have no room")
        total = 8_000_000
        until(lambda: server.connections == 0, "that they are dropped")
        for sock in slow:
            taken = 0
            try:
                while chunk := sock.recv(1 << 20):
                    taken += len(chunk)
            except ConnectionError:
                pass
            assert taken < total, "it was cut off before its end"


def test_a_reader_that_takes_its_time_and_reads_is_not_dropped(slip: Slipstream) -> None:
    _filled(slip, 100_000, 20)
    with serve(slip, "0", limits=Limits(progress_s=0.5, progress_bytes=1000)) as server:
        with closing(http.client.HTTPConnection(server.host, server.port, timeout=LONG_S)) as connection:
            connection.request("GET", "/v1/entities?limit=20")
            response = connection.getresponse()
            taken = 0
            while chunk := response.read(50_000):
                taken += len(chunk)
                threading.Event().wait(0.05)
        assert taken == int(response.headers["content-length"]) > 1_800_000


# ------------------------------------------------------------------ streams


def test_streams_are_bounded_and_take_no_room_from_those_who_ask(slip: Slipstream) -> None:
    limits = Limits(working=1, waiting=0, streams=3)
    with serve(slip, "0", limits=limits) as server, ExitStack() as stack:
        streams = []
        for _ in range(3):
            connection = stack.enter_context(
                closing(http.client.HTTPConnection(server.host, server.port, timeout=LONG_S))
            )
            connection.request("GET", "/v1/changes/stream?after=0")
            response = connection.getresponse()
            assert response.status == 200
            streams.append((connection, response))
        refused = ask(server, "GET", "/v1/changes/stream?after=0")
        assert (refused.status, "streams of events" in refused.json["detail"]) == (503, True)
        assert ask(server, "GET", "/v1/status").status == 200
        slip.pkg.create_entity("Note", "n1", {"name": "note"})
        for _, response in streams:
            while b"n1" not in response.readline():
                pass
        streams[0][0].sock.close()
        streams[0][1].close()
        until(lambda: _streamed(server) == 200, "that a stream whose client has gone gives its room back")


def _streamed(server: Serving) -> int:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=LONG_S)) as connection:
        connection.request("GET", "/v1/changes/stream?after=0")
        return connection.getresponse().status


def test_streams_end_with_the_server(slip: Slipstream) -> None:
    server = serve(slip, "0")
    connections = [http.client.HTTPConnection(server.host, server.port, timeout=LONG_S) for _ in range(5)]
    responses = []
    for connection in connections:
        connection.request("GET", "/v1/changes/stream?after=0")
        responses.append(connection.getresponse())
    server.close()
    for response in responses:
        assert response.read().startswith(b"retry: ")  # to an end in order: an IncompleteRead would say otherwise
    for connection in connections:
        connection.close()


def test_a_server_does_not_wait_for_a_call_that_hangs(slip: Slipstream, held: Held) -> None:
    server = serve(slip, "0", limits=Limits(grace_s=1))
    held.begin()
    with closing(connected(server)) as hung:
        hung.sendall(head_of("/v1/search", len(SEARCH)) + SEARCH)
        assert held.at_it.acquire(timeout=LONG_S)
        server.close()  # would hang here, and the test's time would run out
        assert is_ended(hung)
    held.end()
