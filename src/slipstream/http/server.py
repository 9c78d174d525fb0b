"""A small server of `/metrics` and `/healthz`: on the loopback interface, or behind a token."""

from __future__ import annotations

import hmac
import io
import ipaddress
import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from slipstream.app.composition import prometheus_page
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError
from slipstream.domain.metrics import NOT_VERIFIED, ConsistencyMetrics
from slipstream.http.bounded import BoundedRequest

logger = logging.getLogger(__name__)

METRICS_PORT = 9464
TOKEN_CHARACTERS_MIN = 16
REQUEST_BYTES_MAX = 16 * 1024
REQUEST_S_MAX = 5.0
"""How long a request may take to arrive, and its answer to be received; also the longest that closing can take."""
CONNECTIONS_MAX = 16

_TEXT = "text/plain; charset=utf-8"
_UNAUTHORIZED = HTTPStatus.UNAUTHORIZED

Answer = tuple[HTTPStatus, str, bytes]


def read_token(path: Path) -> str:
    """Return the token in a file; raises `ConfigError` when there is none, or one that could be guessed."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {path} can not be read ({error}): put one line of text into it") from error
    return _checked(token, f"the token in {path}")


def _checked(token: str, what: str) -> str:
    if len(token) < TOKEN_CHARACTERS_MIN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(
            f"{what} must be at least {TOKEN_CHARACTERS_MIN} printable ASCII characters without spaces: "
            "make one with `openssl rand -hex 32`"
        )
    return token


def serve_metrics(
    slipstream: Slipstream,
    host: str = "127.0.0.1",
    port: int = METRICS_PORT,
    token: str | None = None,
    consistency: Callable[[], ConsistencyMetrics] = lambda: NOT_VERIFIED,
) -> MetricsServer:
    """
    Serve the metrics and the health of an open PKG, from a thread of its own, until the server is closed.

    Port 0 takes a free one. With a `token` (see `read_token`) every request must carry it. Raises `ConfigError` for
    an address beyond the loopback interface without a token, for one that can not be bound, and when the extra
    `metrics` is not installed.
    """
    page = prometheus_page(slipstream, consistency)

    def metrics() -> Answer:
        return HTTPStatus.OK, page.content_type, page.render()

    def health() -> Answer:
        incident, sync = slipstream.incident, slipstream.sync
        if incident is not None:
            return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{incident.line}\n".encode()
        if sync.running and sync.failure is None:
            if slipstream.watch.dead_parts.keys() - {"scrubber"}:
                return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"dead\n"
            if slipstream.watch.is_dead:
                return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"unwatched\n"
            return HTTPStatus.OK, _TEXT, b"ok\n"
        state = b"stopped" if sync.failure is None else b"halted" if sync.engine.halted else b"dead"
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, state + b"\n"

    return MetricsServer({"/metrics": metrics, "/healthz": health}, host, port, token)


class MetricsServer:
    """Answers GET on a few paths. Closing it waits for the answers in flight."""

    def __init__(
        self, pages: dict[str, Callable[[], Answer]], host: str = "127.0.0.1", port: int = 0, token: str | None = None
    ) -> None:
        if token is not None:
            _checked(token, "the token")  # an empty one would let anybody in
        family, address = _resolved(host, port)
        if token is None and not ipaddress.ip_address(address[0].partition("%")[0]).is_loopback:
            raise ConfigError(
                f"serving on {host or 'every interface'} needs a token, for others can reach it: give a token file, "
                "or serve on 127.0.0.1"
            )
        try:
            self._server = _Server(family, address, pages, token)
        except OSError as error:
            raise ConfigError(
                f"can not serve on {host}:{port} ({error.strerror}): choose another address or port; "
                "0 takes a free one"
            ) from error
        self._thread: threading.Thread | None = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="slipstream-http", daemon=True
        )
        self._thread.start()

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        return str(self._server.server_address[0])

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address as a URL, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        """Stop listening, and wait for the answers in flight; closing twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return the address to bind, resolved once, so that the checked address is the one used."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"{host}:{port} is no address to serve on ({error}): use an IP address") from error
    family, _, _, _, address = found[0]
    return family, address


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the threads; each takes a limited time

    def __init__(
        self,
        family: socket.AddressFamily,
        address: tuple[Any, ...],
        pages: dict[str, Callable[[], Answer]],
        token: str | None,
    ) -> None:
        self.address_family = family
        self._pages = pages
        self._token = None if token is None else token.encode()
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(cast("tuple[str, int]", address), _Handler)

    def server_bind(self) -> None:
        """Bind without looking up this host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, unless there are too many of them."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for the next request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a broken connection, without what it has sent."""
        del request
        logger.debug("a connection from %s broke off", client_address[0])

    def answer(self, path: str, authorization: str | None) -> Answer:
        """Return the answer to a GET."""
        if self._token is not None and not _bears(authorization, self._token):
            return _UNAUTHORIZED, _TEXT, b"a bearer token is needed\n"
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            return HTTPStatus.NOT_FOUND, _TEXT, f"known are {', '.join(self._pages)}\n".encode()
        try:
            return page()
        except Exception:
            logger.exception("%s can not be served", path.partition("?")[0])
            return HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"see the log of the server\n"


def _bears(authorization: str | None, token: bytes) -> bool:
    scheme, _, given = (authorization or "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("utf-8", "replace"), token)


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "slipstream", ""
    timeout = REQUEST_S_MAX
    server: _Server

    def setup(self) -> None:
        """Read the request within the limits."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(BoundedRequest(self.connection, REQUEST_BYTES_MAX, REQUEST_S_MAX))

    def do_GET(self) -> None:
        """Answer."""
        status, content_type, body = self.server.answer(self.path, self.headers.get("Authorization"))
        self.connection.settimeout(REQUEST_S_MAX)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status is _UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name that the base class gives it)
        """Log no requests: their headers hold the token, and scrapes are many."""
