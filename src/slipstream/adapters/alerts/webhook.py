"""Alerts posted as JSON to a URL."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from slipstream.domain.errors import ConfigError, InvalidInputError, SlipstreamError, UnavailableError
from slipstream.ports.alerts import AlertEvent

SCHEMA = "slipstream.alert/1"

_TOKEN_BYTES_MAX = 8_192
_LATER = frozenset({408, 425, 429})
_FIXES: Mapping[int, str] = MappingProxyType(
    {
        401: "check the token file",
        403: "check what the token may do",
        404: "check the path of the URL",
        410: "the hook was removed there: make a new one",
    }
)


class WebhookSink:
    """
    Posts each event as one JSON object; any 2xx status means that it has arrived.

    `timeout_s` limits connecting, and again the whole exchange, however slowly the other side answers. Only status
    and headers of the answer are read. Redirects are refused: the alert and its token go to this host or nowhere.
    Proxies of the environment are ignored. Path and query of a hook's URL are often its password, so errors and logs
    show only scheme and host. `token_file` holds a bearer token; it is read for each alert, so that it can be
    replaced.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0, token_file: Path | None = None) -> None:
        if not 0 < timeout_s <= 60:
            raise InvalidInputError("must be more than 0 and at most 60", field="timeout_s")
        self._scheme, self._host, self._port, self._target = _parts(url)
        self._timeout_s, self._token_file = timeout_s, token_file

    def __repr__(self) -> str:
        return f"WebhookSink({self._where!r})"

    def notify(self, event: AlertEvent) -> None:
        """
        Post the event.

        Raises `UnavailableError` when the server does not answer, is overloaded or fails, `ConfigError` when it
        refuses or the token file can not be used.
        """
        body = {"schema": SCHEMA, "id": event.id, "incident": event.incident, **event.as_dict()}
        headers = {"Content-Type": "application/json", "User-Agent": "slipstream", "Connection": "close"}
        if self._token_file is not None:
            headers["Authorization"] = f"Bearer {_token(self._token_file)}"
        status = self._post(json.dumps(body, allow_nan=False).encode(), headers)
        if not 200 <= status < 300:
            raise self._refusal(status)

    def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        make = http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        connection = make(self._host, self._port, timeout=self._timeout_s)
        is_over = threading.Event()
        try:
            connection.connect()
            with _deadline(connection.sock, self._timeout_s, is_over):
                connection.request("POST", self._target, body, dict(headers))
                with connection.getresponse() as response:
                    status = response.status
            if is_over.is_set():  # an answer before the cut may be incomplete
                raise TimeoutError
            return status
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, TimeoutError) or is_over.is_set():
                raise UnavailableError(f"{self._where} did not answer within {self._timeout_s:g} s") from error
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnavailableError(f"{self._where} can not be reached or broke off: {reason}") from error
        finally:
            connection.close()

    def _refusal(self, status: int) -> SlipstreamError:
        if 300 <= status < 400:
            return ConfigError(f"{self._where} answered {status}, a redirect: set the URL to where it leads")
        said = f"{self._where} answered {status}"
        if status in _LATER or status >= 500:
            return UnavailableError(said)
        return ConfigError(f"{said}: {_FIXES.get(status, 'check that the URL takes JSON posts')}")

    @property
    def _where(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"the webhook at {self._scheme}://{host}{f':{self._port}' if self._port else ''}"


@contextmanager
def _deadline(connected: socket.socket, timeout_s: float, is_over: threading.Event) -> Iterator[None]:
    """
    Cut the connection when the block takes longer than `timeout_s`.

    A socket's own timeout is for each read: a server that sends a byte now and then would hold the caller for ever.
    """

    def cut() -> None:
        is_over.set()
        with suppress(OSError):  # it may be closing at this moment
            socket.socket.shutdown(connected, socket.SHUT_RDWR)  # below TLS, whose own shutdown would wait

    watchdog = threading.Timer(timeout_s, cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _parts(url: str) -> tuple[str, str, int | None, str]:
    """Take a URL apart; no error repeats it, because hooks carry their password in it."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise InvalidInputError("must be ASCII without blanks: percent-encode the rest", field="url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidInputError(
            "has a host or port that can not be read", field="url"
        ) from None  # the cause repeats the URL
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInputError("must begin with http:// or https:// and a host", field="url")
    if "@" in parts.netloc:
        raise InvalidInputError("must not hold a user or password: put a token into token_file", field="url")
    path = parts.path or "/"
    return parts.scheme, host, port, f"{path}?{parts.query}" if parts.query else path


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            token = file.read(_TOKEN_BYTES_MAX).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no ASCII text"
        # Not chained: the decoder's error would carry the token.
        raise ConfigError(f"the webhook's token file {path} can not be read: {reason}") from None
    if not token or not token.isprintable() or " " in token:
        raise ConfigError(f"the webhook's token file {path} must hold one token, without blanks or further lines")
    return token
