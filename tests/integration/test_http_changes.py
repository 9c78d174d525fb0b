"""The changes of a graph over HTTP: pages, waiting for the next one, and the stream, of a server that also ends."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Self

import pytest

from slipstream.app.browsing import PAGE_MAX
from slipstream.http.limits import Limits
from slipstream.http.routes import changes
from slipstream.ports.feed import Retention
from tests.integration.http_admin_world import LONG_S
from tests.integration.http_running import Running, running
from tests.until import until

NOTHING_KEPT = Retention(kept_bytes=0, kept_s=0.0, limit_bytes=0)


@pytest.fixture(scope="module")
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("pkg")) as made:
        yield made


@dataclass
class Event:
    """One block of a stream."""

    id: str | None = None
    event: str | None = None
    data: Any = None
    comment: str | None = None


class Stream:
    """A client of a stream of events, as a browser is one."""

    def __init__(self, port: int, query: str = "", last_event_id: str | None = None) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=LONG_S)
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        self._connection.request("GET", f"/v1/changes/stream{query}", headers=headers)
        self.response: HTTPResponse = self._connection.getresponse()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._connection.close()

    def next(self) -> Event | None:
        """Return the next block; None at the end."""
        found = Event()
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            if not text:
                return found
            name, _, value = text.partition(": ")
            if name == "data":
                found.data = json.loads(value)
            else:
                setattr(found, name or "comment", value)
        return None

    def change(self) -> Event:
        """Return the next change."""
        found = self.next()
        while found is not None and found.event != "change":
            found = self.next()
        assert found is not None, "the stream has ended"
        return found


# ------------------------------------------------------------------ pages


def test_pages_give_every_change_in_order(slip: Running) -> None:
    first = slip.commit()
    last = [slip.commit() for _ in range(9)][-1]
    seen, after = [], first - 1
    while after < last:
        page = slip.api.get(f"/v1/changes?after={after}&limit=4").ok()
        assert page["head"] >= last
        seen += page["items"]
        after = page["next"]
    assert [change["position"] for change in seen] == list(range(first, last + 1))
    assert {(change["kind"], change["id"], change["type"]) for change in seen} == {("entity_updated", "it", "Thing")}
    assert all(change["changed"] == ["name"] and change["committed_at"].endswith("Z") for change in seen)
    assert slip.api.get(f"/v1/changes?after={last}").ok() == {"items": [], "next": last, "head": last}


def test_the_next_change_is_waited_for(slip: Running) -> None:
    head = int(slip.slipstream.pkg.feed.head())
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(slip.api.get(f"/v1/changes?after={head}&wait_s=60").ok()))
    thread.start()
    until(lambda: _follower(slip) is not None and _follower(slip)._waiting == 1)
    slip.commit()
    thread.join(LONG_S)
    assert [change["position"] for change in answers[0]["items"]] == [head + 1]
    assert slip.api.get(f"/v1/changes?after={head + 1}&wait_s=0.1").ok()["items"] == []


def _follower(slip: Running) -> Any:
    waiting = getattr(slip.server._app.state, "waiting", None)
    return None if waiting is None else waiting.follower(slip.slipstream)


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", f"after={2**62}", "limit=0", f"limit={PAGE_MAX + 1}", "wait_s=61"]
)
def test_what_can_not_be_asked_is_refused(slip: Running, query: str) -> None:
    assert slip.api.get(f"/v1/changes?{query}").status == HTTPStatus.UNPROCESSABLE_ENTITY


# ------------------------------------------------------------------ the stream


def test_a_stream_tells_what_is_committed(slip: Running) -> None:
    with Stream(slip.api.port) as stream:
        assert stream.response.getheader("Content-Type", "").startswith("text/event-stream")
        assert stream.response.getheader("Cache-Control") == "no-store"
        begin = stream.next()
        assert begin is not None
        assert (begin.id, begin.data) == (str(slip.slipstream.pkg.feed.head()), None)
        for _ in range(3):
            position = slip.commit()
            event = stream.change()
            assert (event.id, event.data["position"], event.data["id"]) == (str(position), position, "it")


def test_a_stream_begins_where_it_is_asked_to(slip: Running) -> None:
    positions = [slip.commit() for _ in range(5)]
    with Stream(slip.api.port, f"?after={positions[0]}") as stream:
        assert [stream.change().data["position"] for _ in range(4)] == positions[1:]
    # A browser that comes again sends both: what it has seen counts.
    with Stream(slip.api.port, f"?after={positions[0]}", last_event_id=str(positions[2])) as stream:
        assert stream.change().data["position"] == positions[3]


def test_nothing_is_lost_between_two_streams(slip: Running) -> None:
    """Whoever comes again with the last id sees each change once, also when there was none before the line broke."""
    seen: list[int] = []
    expected: list[int] = []
    last: str | None = None
    for number in range(6):
        with Stream(slip.api.port, last_event_id=last) as stream:
            begin = stream.next()
            assert begin is not None
            last = begin.id
            if number % 2:
                expected.append(slip.commit())
                event = stream.change()
                seen.append(event.data["position"])
                while len(seen) < len(expected):
                    event = stream.change()
                    seen.append(event.data["position"])
                last = event.id
        expected.append(slip.commit())
    with Stream(slip.api.port, last_event_id=last) as stream:
        while len(seen) < len(expected):
            seen.append(stream.change().data["position"])
    assert seen == expected


@pytest.mark.parametrize("wrong", ["x", "-1", "", "1" * 30, "٣", str(2**62)])
def test_an_id_that_no_event_had_is_refused(slip: Running, wrong: str) -> None:
    headers = {"Last-Event-ID": wrong.encode().decode("latin-1")}
    refused = slip.api.get("/v1/changes/stream", headers=headers)
    assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "Last-Event-ID")


def test_many_streams_take_no_thread_each(slip: Running) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(slip.api.port)) for _ in range(40)]
        for stream in streams:
            stream.next()
        until(lambda: _follower(slip)._waiting == 40)
        before = threading.active_count()
        position = slip.commit()
        assert {stream.change().data["position"] for stream in streams} == {position}
        until(lambda: _follower(slip)._waiting == 40)
        assert threading.active_count() <= before + 2
        assert slip.api.get("/v1/entities/it", timeout_s=5.0).ok()
    until(lambda: _follower(slip)._waiting == 0)
    until(_follower(slip)._task.done)


def test_a_silent_stream_is_kept_alive(slip: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEEP_ALIVE_S", 0.05)
    with Stream(slip.api.port) as stream:
        stream.next()
        assert stream.next() == Event(comment="still here")
        position = slip.commit()
        assert stream.change().data["position"] == position


def test_a_log_that_does_not_reach_back_is_told_by_the_status(slip: Running) -> None:
    slip.commit()
    assert slip.slipstream.sync.drain(timeout_s=LONG_S)
    slip.slipstream.pkg.feed.trim(NOTHING_KEPT)
    for path in ("/v1/changes?after=1", "/v1/changes/stream?after=1"):
        refused = slip.api.get(path)
        assert (refused.status, refused.body["class"]) == (HTTPStatus.GONE, "PositionLostError")


def test_a_stream_that_was_overtaken_tells_so_and_ends(slip: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is trimmed while the stream waits: what it would have sent next is gone."""
    monkeypatch.setattr(changes, "KEEP_ALIVE_S", 0.05)
    with Stream(slip.api.port) as stream:
        stream.next()
        held = _follower(slip)._reading
        loop = slip.server._loop
        _in_loop(loop, held.acquire)
        for _ in range(3):
            slip.commit()
        assert slip.slipstream.sync.drain(timeout_s=LONG_S)
        slip.slipstream.pkg.feed.trim(NOTHING_KEPT)
        loop.call_soon_threadsafe(held.release)
        found = stream.next()
        while found is not None and found.event is None:
            found = stream.next()
        assert found is not None
        assert (found.event, found.data["class"], found.data["status"]) == ("problem", "PositionLostError", 410)
        assert stream.next() is None


def _in_loop(loop: Any, call: Any) -> None:
    asyncio.run_coroutine_threadsafe(call(), loop).result(LONG_S)


def test_streams_end_at_once_with_the_server(tmp_path: Path) -> None:
    with running(tmp_path, Limits(grace_s=int(LONG_S))) as slip, ExitStack() as stack:
        streams = [stack.enter_context(Stream(slip.api.port)) for _ in range(5)]
        for stream in streams:
            stream.next()
        waits = threading.Thread(target=lambda: slip.api.get("/v1/changes?after=100&wait_s=60"))
        waits.start()
        until(lambda: _follower(slip)._waiting == 6)
        began_s = time.monotonic()
        slip.server.close()
        for stream in streams:
            while stream.next() is not None:
                pass
        waits.join(LONG_S)
        assert time.monotonic() - began_s < LONG_S / 2  # and not when the grace is over


def test_a_closed_pkg_ends_its_streams(tmp_path: Path) -> None:
    with running(tmp_path) as slip, Stream(slip.api.port) as stream:
        stream.next()
        until(lambda: _follower(slip)._waiting == 1)
        slip.slipstream.close()
        found = stream.next()
        while found is not None and found.event is None:
            found = stream.next()
        assert found is not None
        assert (found.event, found.data["class"]) == ("problem", "UnavailableError")
        assert stream.next() is None
