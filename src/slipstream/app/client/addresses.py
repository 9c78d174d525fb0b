"""Where a server is: the socket in a PKG's directory, or a URL."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slipstream.domain.errors import InvalidInputError

SOCKET = Path(".slipstream") / "serve.sock"
"""In a PKG's directory: where its server listens."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and which of its PKGs; `socket` is the path of its socket, None for a URL."""

    host: str = "localhost"
    port: int = 80
    is_tls: bool = False
    prefix: str = ""
    """In front of every path: `/pkgs/NAME`, or empty for the server's first PKG."""
    socket: Path | None = None

    @property
    def shown(self) -> str:
        """How people call it."""
        if self.socket is not None:
            return f"{self.socket}{self.prefix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.prefix}"


def is_url(text: str) -> bool:
    """Return whether a text is a URL, rather than the name of a directory."""
    return text.partition("://")[0].lower() in _PORTS and "://" in text


def address_of(url: str) -> Address:
    """Return the address in a URL; raises `InvalidInputError` (field `url`) for one that no server can have."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInputError(
            f"is no URL of a server ({error}): give http://HOST:PORT or https://HOST:PORT", field="url"
        ) from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise InvalidInputError("must be http://HOST:PORT or https://HOST:PORT", field="url")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInputError("must end with its path, and hold no secret: give the token as `token`", field="url")
    return Address(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        is_tls=parts.scheme == "https",
        prefix=parts.path.rstrip("/"),
    )


def socket_in(directory: Path) -> Address | None:
    """
    Return the address of the server of a PKG's directory; None where no process listens.

    A file that a killed server has left behind is told from a living one: nobody takes the connection. Where the
    path was too long for a socket, a link leads to it, and is followed only to one of the same owner.
    """
    path = directory / SOCKET
    try:
        if not path.is_socket() or path.stat().st_uid != path.parent.stat().st_uid:
            return None
        connected(path, 1.0).close()
    except OSError:
        return None
    return Address(socket=path)


def connected(path: Path, timeout_s: float | None) -> socket.socket:
    """Return a connection to a socket; raises `OSError`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(os.path.realpath(path))
    except BaseException:
        connection.close()
        raise
    return connection
