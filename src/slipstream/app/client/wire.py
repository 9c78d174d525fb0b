"""The wire to a server: HTTP over its socket, TCP or TLS, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from slipstream._version import __version__
from slipstream.app.client.addresses import Address, connected
from slipstream.app.client.answers import Answer
from slipstream.domain.errors import ConfigError, InvalidInputError, QueryLimitError, UnavailableError

TIMEOUT_S = 30.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
_IDLE_MAX = 8
"""Connections that are kept for the next call."""
_BUSY_TRIES = 3
_PAUSE_S_MAX = 2.0
_LOST = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)

Body = bytes | Iterable[bytes]


class Wire:
    """
    Asks one PKG of a server, with a few connections that are kept. Safe for threads.

    A request whose connection breaks is sent a second time only where that does nothing twice: it only reads, or the
    caller says `is_safe` (an `Idempotency-Key`, say). One that a busy server has not begun is sent again soon.
    """

    def __init__(self, address: Address, *, token: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token and token):
            raise InvalidInputError("must be printable ASCII without spaces around it", field="token")
        self.address, self.timeout_s = address, timeout_s
        self._token = token
        self._idle: list[http.client.HTTPConnection] = []
        self._lock, self._closed = threading.Lock(), False

    def get(self, path: str, **how: Any) -> Any:
        """Return what a path holds, as data; raises what the server raises."""
        return self.ask("GET", path, **how).data

    def post(self, path: str, data: Any = None, **how: Any) -> Any:
        """Send data to a path, and return the answer as data; raises what the server raises."""
        return self.ask("POST", path, data, **how).data

    def ask(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        is_safe: bool | None = None,
    ) -> Answer:
        """
        Ask, and return the answer, whatever its status.

        `timeout_s` is how long the server may be silent. Raises `UnavailableError` when it can not be reached, or
        breaks off: what was sent may have been done then, unless it was safe to send again.
        """
        body = None if data is None else json.dumps(data).encode()
        told = {"Content-Type": "application/json", **(headers or {})} if body is not None else dict(headers or {})
        silence_s = self.timeout_s if timeout_s is None else timeout_s
        is_safe = method in ("GET", "HEAD") if is_safe is None else is_safe
        for _ in range(_BUSY_TRIES - 1):
            answer = self._asked(method, path, body, told, silence_s, is_safe=is_safe)
            if not answer.is_refused_for_now:
                return answer
            time.sleep(_pause_s(answer))
        return self._asked(method, path, body, told, silence_s, is_safe=is_safe)

    def send(self, method: str, path: str, body: Iterable[bytes], *, headers: Mapping[str, str]) -> Answer:
        """Send a body in pieces, as they come, and return the answer; it is never sent twice."""
        return self._asked(method, path, body, {**headers, "Transfer-Encoding": "chunked"}, self.timeout_s)

    def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # ------------------------------------------------------------------ connections

    def _asked(
        self,
        method: str,
        path: str,
        body: Body | None,
        headers: Mapping[str, str],
        silence_s: float,
        *,
        is_safe: bool = False,
    ) -> Answer:
        try:
            try:
                return self._exchanged(self._connection(silence_s), method, path, body, headers)
            except _LOST:
                if not is_safe:
                    raise
                return self._exchanged(self._fresh(silence_s), method, path, body, headers)
        except TimeoutError as error:
            raise UnavailableError(
                f"the server at {self.address.shown} has not answered {method} {path} within {silence_s:g} s: see "
                "whether it hangs, or allow more time"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _connection(self, silence_s: float) -> http.client.HTTPConnection:
        """Return an idle connection that the server has not closed, or a new one."""
        while True:
            with self._lock:
                if self._closed:
                    raise UnavailableError("this client is closed: connect again")
                found = self._idle.pop() if self._idle else None
            if found is None:
                return self._fresh(silence_s)
            if _is_open(found):
                found.sock.settimeout(silence_s)
                return found
            found.close()

    def _fresh(self, silence_s: float) -> http.client.HTTPConnection:
        address = self.address
        if address.socket is not None:
            return _SocketConnection(address, silence_s)
        if not address.is_tls:
            return http.client.HTTPConnection(address.host, address.port, timeout=silence_s)
        import ssl  # only here: commands that use a socket start without it

        context = ssl.create_default_context()
        return http.client.HTTPSConnection(address.host, address.port, timeout=silence_s, context=context)

    def _exchanged(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Body | None,
        headers: Mapping[str, str],
    ) -> Answer:
        is_streamed, sent = not isinstance(body, bytes | None), self._headers(headers)
        try:
            try:
                connection.request(method, self.address.prefix + path, body, sent, encode_chunked=is_streamed)
            except (BrokenPipeError, ConnectionResetError):
                if not is_streamed:
                    raise  # else it was refused before all was sent: the answer says why
            response = connection.getresponse()
            text = response.read(ANSWER_BYTES_MAX + 1)
        except BaseException:
            connection.close()
            raise
        if len(text) > ANSWER_BYTES_MAX:
            connection.close()
            raise QueryLimitError(f"the answer takes more than {ANSWER_BYTES_MAX:,} bytes: ask for less")
        told = {name.lower(): value for name, value in response.getheaders()}
        has_failed = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR  # a fault may end the connection, too
        self._keep(connection, is_open=not (response.will_close or has_failed))
        return Answer(response.status, told, text)

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        more = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        return {"User-Agent": f"slipstream/{__version__}", "Accept": "application/json", **headers, **more}

    def _keep(self, connection: http.client.HTTPConnection, *, is_open: bool) -> None:
        with self._lock:
            if is_open and not self._closed and len(self._idle) < _IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def _unreachable(self, error: Exception) -> UnavailableError | ConfigError:
        if type(error).__name__ == "SSLCertVerificationError":
            return ConfigError(
                f"the certificate of {self.address.shown} is not trusted ({error}): name its issuer in SSL_CERT_FILE"
            )
        why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        return UnavailableError(
            f"the server at {self.address.shown} can not be reached, or broke off ({why}): see whether it runs "
            "(`slipstream serve`), and try again"
        )


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._address = address

    def connect(self) -> None:
        """Connect to the server's socket."""
        assert self._address.socket is not None  # noqa: S101  (made for no other address)
        self.sock = connected(self._address.socket, self.timeout)


def _is_open(connection: http.client.HTTPConnection) -> bool:
    """Return whether the server has not closed an idle connection: nothing comes from it, not even an end."""
    held: socket.socket | None = connection.sock
    if held is None:
        return False
    poll = select.poll()
    poll.register(held, select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0)


def _pause_s(answer: Answer) -> float:
    try:
        return min(_PAUSE_S_MAX, max(0.05, float(answer.headers["retry-after"])))
    except ValueError:
        return _PAUSE_S_MAX
