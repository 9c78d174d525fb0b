"""A server within a program that has a PKG open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from slipstream.app.slipstream import Slipstream
from slipstream.domain.metrics import ConsistencyMetrics
from slipstream.http.app import Faces
from slipstream.http.console import console_routes
from slipstream.http.limits import Limits
from slipstream.http.listeners import Terms, tcp_listener
from slipstream.http.scopes import Scope
from slipstream.http.served import Registry, Served
from slipstream.http.serving import WebServer
from slipstream.http.sockets import parsed_address
from slipstream.http.tokens import Tokens, checked_token

_NAME = "pkg"


class Serving:
    """A server that runs until it is closed."""

    def __init__(self, server: WebServer, url: str, host: str, port: int) -> None:
        self._server = server
        self.url, self.host, self.port = url, host, port

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._server.connections

    def close(self) -> None:
        """End; closing twice is harmless."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(
    slipstream: Slipstream,
    http: str,
    *,
    token: str | Path | None = None,
    behind_proxy: bool = False,
    only_pages: bool = False,
    consistency: Callable[[], ConsistencyMetrics] | None = None,
    limits: Limits | None = None,
) -> Serving:
    """
    Serve an open PKG on `[HOST:]PORT`, from a thread, until the result is closed.

    `token` is one that may do everything, or the path of a file of tokens. With `only_pages` metrics and health are
    all that is served.
    """
    tokens = None
    if isinstance(token, Path):
        tokens = Tokens.of(token)
    elif token is not None:
        tokens = Tokens({checked_token(token, "the token"): Scope.ADMIN})
    terms = Terms(has_tokens=tokens is not None, behind_proxy=behind_proxy)
    listener = tcp_listener(parsed_address(http, "http"), terms, only_pages=only_pages)
    served = Served(_NAME, Path())
    served.put(slipstream)
    try:
        server = WebServer(
            Registry({_NAME: served}),
            faces=Faces() if only_pages else Faces(routes=tuple(console_routes())),
            tokens=tokens,
            limits=limits or Limits(),
            consistency=consistency,
        )
        server.add(listener)
    except BaseException:
        listener.sock.close()
        raise
    host, port = listener.sock.getsockname()[:2]
    return Serving(server, listener.shown, str(host), int(port))
