"""`/pkgs/NAME/…`: the same paths, about another PKG of the server."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from slipstream.http.listening import LISTENER
from slipstream.http.served import PKG_NAME

PREFIX = "/pkgs/"


class Naming:
    """Tells from the path, or else from the socket, which PKG a request is about."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the prefix off."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        listener = scope["state"][LISTENER]
        if not path.startswith(PREFIX):
            named = {} if listener.pkg is None else {PKG_NAME: listener.pkg}
            await self._app({**scope, **named}, receive, send)
            return
        name, slash, rest = path[len(PREFIX) :].partition("/")
        if not slash and scope["method"] in {"GET", "HEAD"}:  # the console's own addresses are relative
            await RedirectResponse(f"{PREFIX}{name}/")(scope, receive, send)
            return
        raw: bytes = scope["raw_path"]
        stripped = {"path": f"/{rest}", "raw_path": b"/" + raw.split(b"/", 3)[-1] if slash else b"/"}
        await self._app({**scope, **stripped, PKG_NAME: name}, receive, send)
