"""The webhook sink against a real HTTP server on the loopback, well behaved and otherwise."""

from __future__ import annotations

import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.alerts.webhook import WebhookSink
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.errors import ConfigError, InvalidInputError, TransientError, UnavailableError
from slipstream.ports.alerts import AlertEvent, AlertSink
from slipstream.report.alerts import Alerts, AlertThresholds, Measurements
from tests.until import until

SECRET = "s3cr3t-T0KEN"  # noqa: S105
SINCE = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENT = AlertEvent(
    rule="lag",
    state="firing",
    message="behind",
    value=2.5,
    threshold=1.0,
    since=SINCE,
    at=SINCE + timedelta(seconds=10),
)


@dataclass(slots=True)
class Hook:
    """What the server was posted, and how it answers."""

    url: str = ""
    status: int = 204
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    misbehave: Callable[[BaseHTTPRequestHandler], None] | None = None
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    leaving: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving() -> Iterator[Hook]:
    """Run a server on a loopback port of its own."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.paths.append(self.path)
            hook.headers.append({name.lower(): value for name, value in self.headers.items()})
            hook.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            if hook.misbehave is not None:
                hook.misbehave(self)
                return
            self.send_response(hook.status)
            for name, value in hook.answer_headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hook
    finally:
        hook.leaving.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving() as started:
        yield started


def test_the_event_arrives_as_json(hook: Hook) -> None:
    sink = WebhookSink(f"{hook.url}/alerts?team=pkg")
    assert isinstance(sink, AlertSink)
    sink.notify(EVENT)
    assert hook.paths == ["/alerts?team=pkg"]
    assert hook.headers[0]["content-type"] == "application/json"
    assert "authorization" not in hook.headers[0]
    assert hook.bodies == [
        {
            "schema": "slipstream.alert/1",
            "id": "lag@2026-01-01T12:00:00+00:00/firing",
            "incident": "lag@2026-01-01T12:00:00+00:00",
            "rule": "lag",
            "state": "firing",
            "message": "behind",
            "value": 2.5,
            "threshold": 1.0,
            "since": "2026-01-01T12:00:00+00:00",
            "at": "2026-01-01T12:00:10+00:00",
        }
    ]


def test_the_token_is_read_at_each_alert(hook: Hook, tmp_path: Path) -> None:
    token = tmp_path / "token"
    sink = WebhookSink(hook.url, token_file=token)
    for text in ("first", "second"):
        token.write_text(f"{text}\n", encoding="ascii")
        sink.notify(EVENT)
    assert [headers["authorization"] for headers in hook.headers] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, UnavailableError),
        (503, UnavailableError),
        (429, TransientError),
        (408, TransientError),
        (400, ConfigError),
        (401, ConfigError),
        (404, ConfigError),
        (304, ConfigError),
    ],
)
def test_a_refusal_says_whether_to_try_again(hook: Hook, status: int, error: type[Exception]) -> None:
    hook.status = status
    with pytest.raises(error, match=f"answered {status}"):
        WebhookSink(hook.url).notify(EVENT)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(hook: Hook, tmp_path: Path, status: int) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET, encoding="ascii")
    with serving() as elsewhere:
        hook.status, hook.answer_headers = status, {"Location": f"{elsewhere.url}/stolen"}
        with pytest.raises(ConfigError, match="a redirect: set the URL"):
            WebhookSink(hook.url, token_file=token).notify(EVENT)
        assert (len(hook.bodies), elsewhere.bodies) == (1, [])


def test_a_server_that_hangs_is_given_up(hook: Hook) -> None:
    def hang(_: BaseHTTPRequestHandler) -> None:
        hook.leaving.wait()  # no end of its own

    hook.misbehave = hang
    with pytest.raises(UnavailableError, match=r"0\.2 s"):
        WebhookSink(hook.url, timeout_s=0.2).notify(EVENT)


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX-"])
def test_a_server_that_drips_is_given_up_just_as_soon(hook: Hook, begin: bytes) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.sendall(begin)
        while not hook.leaving.wait(0.05):
            try:
                handler.connection.sendall(b"X")
            except OSError:
                return  # the sink has hung up, as it should

    hook.misbehave = drip
    with pytest.raises(UnavailableError, match=r"0\.3 s"):
        WebhookSink(hook.url, timeout_s=0.3).notify(EVENT)


def test_an_endless_answer_is_not_read(hook: Hook) -> None:
    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not hook.leaving.is_set():
            try:
                handler.connection.sendall(b"x" * 65_536)
            except OSError:
                return

    hook.misbehave = pour
    WebhookSink(hook.url, timeout_s=60).notify(EVENT)
    assert len(hook.bodies) == 1


def test_a_server_that_does_not_speak_http_is_unavailable(hook: Hook) -> None:
    hook.misbehave = lambda handler: handler.connection.sendall(b"220 mail.example ESMTP\r\n")
    with pytest.raises(UnavailableError, match="broke off"):
        WebhookSink(hook.url).notify(EVENT)


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(UnavailableError, match="can not be reached"):
            WebhookSink(f"http://127.0.0.1:{taken.getsockname()[1]}").notify(EVENT)


def test_a_server_without_tls_is_unavailable_over_https(hook: Hook) -> None:
    with pytest.raises(UnavailableError, match="SSL"):
        WebhookSink(hook.url.replace("http:", "https:")).notify(EVENT)
    assert hook.bodies == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "example.com/hook",
        "http://",
        "http://[::1/x",
        f"http://user:{SECRET}@example.com/",
        f"http://example.com:{SECRET}/",
        f"http://example.com/{SECRET} x",
        f"http://example.com/{SECRET}\r\nX-Forged: 1",
        f"http://exämple.com/{SECRET}",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInputError, match="url") as refused:
        WebhookSink(url)
    assert SECRET not in "".join(traceback.format_exception(refused.value)).partition("InvalidInputError")[2]
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_no_secret_is_in_an_error_or_in_the_representation(hook: Hook, tmp_path: Path, status: int) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET, encoding="ascii")
    sink = WebhookSink(f"{hook.url}/services/{SECRET}?key={SECRET}", token_file=token)
    assert SECRET not in repr(sink)
    hook.status = status
    hook.answer_headers = {"Location": f"/{SECRET}"}
    if status == 200:
        hook.misbehave = lambda handler: handler.connection.sendall(f"{SECRET} is what you sent\r\n".encode())
    with pytest.raises((ConfigError, UnavailableError)) as refused:
        sink.notify(EVENT)
    assert SECRET not in str(refused.value)
    assert hook.url in str(refused.value)


@pytest.mark.parametrize(
    "content", [None, b"", b"two tokens", f"{SECRET}\nX: y".encode(), f"{SECRET}\xff".encode("latin1")]
)
def test_a_token_file_that_can_not_be_used_is_said_before_anything_is_sent(
    hook: Hook, tmp_path: Path, content: bytes | None
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    with pytest.raises(ConfigError, match="token file") as refused:
        WebhookSink(hook.url, token_file=token).notify(EVENT)
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert hook.bodies == []


@pytest.mark.parametrize("timeout_s", [0, -1, 61, float("nan"), float("inf")])
def test_a_wrong_timeout_is_refused(timeout_s: float) -> None:
    with pytest.raises(InvalidInputError, match="timeout_s"):
        WebhookSink("http://127.0.0.1/", timeout_s=timeout_s)


def test_an_alert_that_the_hook_missed_is_posted_later(hook: Hook) -> None:
    alerts = Alerts(MemoryJournal(), SystemClock(), AlertThresholds(), {"hook": WebhookSink(hook.url)})
    hook.status = 500
    letters = Measurements(lag_s=0.0, dead_letters=1)
    assert [event.state for event in alerts.evaluate(letters)] == ["firing"]
    assert alerts.undelivered() == {"hook": 1}
    hook.status = 200
    turns: list[AlertEvent] = []

    def is_delivered() -> bool:
        turns.extend(alerts.evaluate(letters))
        return alerts.undelivered() == {"hook": 0}

    until(is_delivered)
    assert turns == []
    alerts.evaluate(Measurements(lag_s=0.0, dead_letters=0))
    assert [body["state"] for body in hook.bodies][-2:] == ["firing", "resolved"]
    assert len({body["incident"] for body in hook.bodies}) == 1


def test_incidents_survive_the_file_being_opened_again(hook: Hook, tmp_path: Path) -> None:
    sinks = {"hook": WebhookSink(hook.url)}
    turns = []
    for letters in (1, 1, 0, 0):
        store = SqliteStore(tmp_path / "index.db")
        try:
            alerts = Alerts(store.journal, SystemClock(), AlertThresholds(), sinks)
            turns.append([event.state for event in alerts.evaluate(Measurements(lag_s=0, dead_letters=letters))])
        finally:
            store.close()
    assert turns == [["firing"], [], ["resolved"], []]
    assert [body["state"] for body in hook.bodies] == ["firing", "resolved"]
