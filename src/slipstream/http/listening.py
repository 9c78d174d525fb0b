"""Where a server is reached: what is known of whoever comes in there."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Listener:
    """One bound socket, and what follows from coming in by it."""

    sock: socket.socket
    shown: str
    """Its address for people: a URL, or the path of a socket."""
    pkg: str | None = None
    """The PKG that is meant when a request names none; None for the server's first one."""
    is_local: bool = False
    """Whether only who owns the files can connect: no token is needed, and no browser gets here."""
    tls: ssl.SSLContext | None = None
    only_pages: bool = False
    """Whether metrics and health are all that is served."""
    hosts: frozenset[str] = field(default_factory=frozenset)
    """Names by which it may be asked, beside the loopback names and the address that was connected to."""


LISTENER = "slipstream.listener"
"""Where the state of a request's scope holds the listener that it came in by."""
