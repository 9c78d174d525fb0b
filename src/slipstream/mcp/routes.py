"""The tools over streamable HTTP: a face of the server, beside its API."""

from __future__ import annotations

from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Asked

from slipstream.http.app import Faces
from slipstream.http.scopes import Scope, granted
from slipstream.http.served import PKG_NAME, Registry
from slipstream.mcp.serving import Grant, build_server

PATH = "/mcp"


def mcp_face(registry: Registry) -> Faces:
    """
    Return `/mcp` for the PKGs of a server, for one run of one application.

    A request asks the PKG that its scope names, and may write if its bearer may. Who may ask at all, from which host
    and origin, and how large a body may be, is for the server's middleware.
    """

    def granting(request: Any) -> Grant:
        served = registry.named(request.scope.get(PKG_NAME))
        return Grant(lambda: served.slipstream, granted(request) >= Scope.WRITE)

    # Every request stands by itself, so that no client holds anything here between two of them.
    manager = StreamableHTTPSessionManager(build_server(granting), json_response=False, stateless=True)
    # No streams to listen on (GET), no sessions to end (DELETE): 405 says so, and clients go on without.
    route = Route(
        PATH, endpoint=_Checked(StreamableHTTPASGIApp(manager), registry), methods=["POST"], include_in_schema=False
    )
    return Faces(routes=(route,), running=(manager.run,))


class _Checked:
    """Refuses, as the API does, a request that nobody has let in, and one about a PKG that is not there."""

    def __init__(self, app: ASGIApp, registry: Registry) -> None:
        self._app, self._registry = app, registry

    async def __call__(self, asked: Asked, receive: Receive, send: Send) -> None:
        granted(Request(asked))
        self._registry.named(asked.get(PKG_NAME))
        await self._app(asked, receive, send)
