"""The real application over a real PKG, on loopback, with a client that says by a header what it may do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.http.app import build_app
from slipstream.http.scopes import GRANTED, Scope
from slipstream.http.served import Registry, Served
from slipstream.testkit.embedders import HashEmbedder
from tests.until import until

PEOPLE = 40
LONG_S = 60.0
_SCOPE = b"x-scope"


@dataclass(frozen=True)
class Answer:
    """One answer of the API."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def ok(self, status: int = 200) -> Any:
        """Return the body; fails for another status."""
        assert self.status == status, (self.status, self.body)
        return self.body


class Api:
    """Asks a server of the tests."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        scope: str = "admin",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = LONG_S,
    ) -> Answer:
        """Return the answer to one request; bytes and iterators are sent as they are, all else as JSON."""
        sent = dict(headers or {}) | {"X-Scope": scope}
        is_raw = body is None or isinstance(body, bytes) or hasattr(body, "__next__")
        if not is_raw:
            body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, sent, encode_chunked=hasattr(body, "__next__"))
            return _read(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        """Return the answer to GET."""
        return self("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Return the answer to POST."""
        return self("POST", path, {} if body is None else body, **options)


def _read(response: HTTPResponse) -> Answer:
    raw = response.read()
    is_json = "json" in (response.getheader("Content-Type") or "")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, json.loads(raw) if is_json and raw else raw)


def granting(app: ASGIApp) -> ASGIApp:
    """Grant what a request says of itself: stands in for the access checks of a server."""

    async def call(scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            name = dict(scope["headers"]).get(_SCOPE, b"").decode().upper()
            if name:
                scope[GRANTED] = Scope[name]
        await app(scope, receive, send)

    return call


@contextmanager
def serving(app: FastAPI) -> Iterator[Api]:
    """Serve the application on loopback."""
    server = uvicorn.Server(uvicorn.Config(granting(app), port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield Api(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(LONG_S)


def made_app(slipstream: Slipstream, directory: Path) -> FastAPI:
    """Return the application over one PKG."""
    served = Served("test", directory)
    served.put(slipstream)
    return build_app(Registry({"test": served}))


@dataclass
class World:
    """One PKG, its application, and a client."""

    slipstream: Slipstream
    api: Api
    app: FastAPI
    embedders: tuple[HashEmbedder, ...]
    directory: Path

    def drain(self) -> None:
        """Wait until the index has everything."""
        assert self.slipstream.sync.drain(timeout_s=LONG_S)


def populate(slipstream: Slipstream) -> None:
    """Make some people who know each other."""
    with slipstream.pkg.transaction() as tx:
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        for number in range(PEOPLE):
            tx.create_entity("Person", f"p{number}", {"name": f"name {number}", "motto": f"motto {number}"})
        tx.relate("p0", "WORKS_AT", "acme", {"since": 1999})


@contextmanager
def world(
    directory: Path, config: Config | None = None, fill: Callable[[Slipstream], None] = populate, **options: Any
) -> Iterator[World]:
    """Open a PKG, fill it, and serve it."""
    embedders = (HashEmbedder(dimension=16, id="old"), HashEmbedder(dimension=32, id="new"))
    directory.mkdir(parents=True, exist_ok=True)
    with open_pkg(
        directory, config=config or Config(), options=Options(embedders=embedders, **options)
    ) as slipstream:
        fill(slipstream)
        assert slipstream.sync.drain(timeout_s=LONG_S)
        app = made_app(slipstream, directory)
        with serving(app) as api:
            yield World(slipstream, api, app, embedders, directory)
