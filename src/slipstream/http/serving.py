"""The server: uvicorn in a thread of ours, with listeners that come and go while it runs."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from anyio import to_thread

from slipstream.domain.errors import ConfigError
from slipstream.domain.metrics import ConsistencyMetrics
from slipstream.http.access import Access
from slipstream.http.app import Faces, build_app
from slipstream.http.bounds import Bounds
from slipstream.http.limits import Limits
from slipstream.http.listening import Listener
from slipstream.http.naming import Naming
from slipstream.http.pages import Pages
from slipstream.http.protocol import Connection, Door
from slipstream.http.served import Registry
from slipstream.http.sockets import BACKLOG
from slipstream.http.tokens import Tokens

logger = logging.getLogger(__name__)

START_S = 30.0
_LOOK_EVERY = 5
"""Connections are looked at once in so many ticks of a tenth of a second."""
_CALL_S = 10.0
_SERVER_HEADER = ("server", "slipstream")


class WebServer:
    """
    Serves some PKGs from a thread of its own, by the listeners that it is given.

    Ending it tells the streams, gives answers in flight a moment, and does not wait for calls that hang: what they
    still do comes to nothing once the PKG is closed.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        faces: Faces,
        tokens: Tokens | None,
        limits: Limits,
        consistency: Callable[[], ConsistencyMetrics] | None = None,
        backups: Path | None = None,
    ) -> None:
        self.limits = limits
        self._app = build_app(registry, _with_pages(faces, Pages(registry, consistency), limits))
        self._app.state.backups, self._app.state.upload_bytes = backups, limits.upload_bytes
        config = uvicorn.Config(
            Naming(Access(Bounds(self._app, limits), tokens)),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=[_SERVER_HEADER],
            timeout_graceful_shutdown=limits.grace_s,
            timeout_keep_alive=int(limits.keep_alive_s),
            h11_max_incomplete_event_size=limits.header_bytes,
        )
        self._server = _Server(config, limits)
        self._loop = asyncio.new_event_loop()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slipstream-http", daemon=True)
        self._thread.start()
        self._await_start()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._server.server_state.connections)

    def add(self, listener: Listener) -> None:
        """Serve by a listener, whose socket is closed with the server."""
        asyncio.run_coroutine_threadsafe(self._server.listen(listener), self._loop).result(_CALL_S)

    def remove(self, listener: Listener) -> None:
        """Take no new connections by a listener, and close its socket."""
        asyncio.run_coroutine_threadsafe(self._server.unlisten(listener), self._loop).result(_CALL_S)

    def close(self) -> None:
        """End; closing twice is harmless."""
        if not self._over.is_set():
            self._loop.call_soon_threadsafe(self._app.state.stopping.set)
            self._server.should_exit = True
            self._over.wait(self.limits.grace_s + 1.0)
        self._thread.join(0.2)  # a call that hangs is left behind

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _await_start(self) -> None:
        deadline = time.monotonic() + START_S
        while not self._server.started:
            if self._over.wait(0.005) or time.monotonic() > deadline:
                raise ConfigError("the server does not start: see its log")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.serve(sockets=[]))
        except SystemExit:
            logger.error("the server could not begin")  # noqa: TRY400  (uvicorn has logged why)
        except Exception:
            logger.exception("the server has ended")
        finally:
            self._over.set()
            self._leave()

    def _leave(self) -> None:
        """Wait for calls that hang, as long as they do: nobody waits for this thread."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class _Server(uvicorn.Server):
    """uvicorn's server, with listeners that come and go, and connections that are looked at."""

    def __init__(self, config: uvicorn.Config, limits: Limits) -> None:
        super().__init__(config)
        self._limits = limits
        self._doors: dict[Listener, tuple[Door, asyncio.Server]] = {}
        self._left: list[Door] = []

    async def listen(self, listener: Listener) -> None:
        door = Door(listener, self._limits)

        def connected() -> Connection:
            return Connection(self.config, self.server_state, self.lifespan.state, door)

        server = await asyncio.get_running_loop().create_server(
            connected,
            sock=listener.sock,
            ssl=listener.tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=None if listener.tls is None else self._limits.header_s,
        )
        self.servers.append(server)
        self._doors[listener] = (door, server)

    async def unlisten(self, listener: Listener) -> None:
        door, server = self._doors.pop(listener)
        self._left.append(door)
        server.close()
        self.servers.remove(server)

    async def on_tick(self, counter: int) -> bool:
        if counter % _LOOK_EVERY == 0:
            now = time.monotonic()
            for door in (*(each for each, _ in self._doors.values()), *self._left):
                door.look(now)
        return await super().on_tick(counter)


def _with_pages(faces: Faces, pages: Pages, limits: Limits) -> Faces:
    @asynccontextmanager
    async def threads() -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = limits.threads
        yield

    return replace(faces, routes=(*pages.routes(), *faces.routes), running=(threads, *faces.running))
