"""The pages for those who watch a server: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from slipstream.app.composition import prometheus_page
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import NotFoundError, UnavailableError
from slipstream.domain.metrics import ConsistencyMetrics
from slipstream.http.scopes import GRANTED
from slipstream.http.served import PKG_NAME, Registry, Served

Answer = TypeVar("Answer")

SCRAPES = 4
"""Pages of metrics that are made at a time."""
OK = "ok"


def health(slipstream: Slipstream) -> str:
    """Return how a PKG lives: `ok`, or what is wrong. Read from memory."""
    incident, sync = slipstream.incident, slipstream.sync
    if incident is not None:
        return incident.line
    if sync.running and sync.failure is None:
        if slipstream.watch.dead_parts.keys() - {"scrubber"}:
            return "dead"
        return "unwatched" if slipstream.watch.is_dead else OK
    return "stopped" if sync.failure is None else "halted" if sync.engine.halted else "dead"


class Readiness:
    """Whether a PKG's index has caught up with the graph once since it was opened."""

    def __init__(self) -> None:
        self._ready: dict[str, Slipstream] = {}

    def of(self, served: Served) -> str:
        """Return `ok`, or what is still to come. Asks the graph's log until it was `ok` once."""
        try:
            slipstream = served.slipstream
        except UnavailableError:
            return "opening, or standing by" if served.failure is None else "dead"
        lives = health(slipstream)
        if lives != OK:
            return lives
        if self._ready.get(served.name) is not slipstream:
            status = slipstream.status()
            if status.frontier < status.head:
                return f"catching up: {status.head - status.frontier} positions behind"
            self._ready[served.name] = slipstream
        return OK


def _health_of(served: Served) -> str:
    """Return how a PKG lives; one that is being opened, or stands by, is well."""
    if served.failure is not None:
        return "dead"
    try:
        return health(served.slipstream)
    except UnavailableError:
        return OK


class Pages:
    """The pages, about all PKGs of a server, or about the one that is named."""

    def __init__(self, registry: Registry, consistency: Callable[[], ConsistencyMetrics] | None = None) -> None:
        self._registry, self._consistency = registry, consistency
        self._readiness = Readiness()
        self._scraping: anyio.CapacityLimiter | None = None

    def routes(self) -> list[Route]:
        """Return their routes."""
        pages = {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics}
        return [Route(path, page, methods=["GET"], include_in_schema=False) for path, page in pages.items()]

    async def _healthz(self, request: Request) -> Response:
        return _told(request, {each.name: _health_of(each) for each in self._meant(request)})

    async def _readyz(self, request: Request) -> Response:
        return _told(
            request, {each.name: await self._asked(self._readiness.of, each) for each in self._meant(request)}
        )

    async def _metrics(self, request: Request) -> Response:
        slipstream = self._registry.named(request.scope.get(PKG_NAME)).slipstream
        page = prometheus_page(slipstream, self._consistency or slipstream.watch.metrics)
        return Response(await self._asked(page.render), media_type=page.content_type)

    async def _asked(self, ask: Callable[..., Answer], *arguments: object) -> Answer:
        if self._scraping is None:
            self._scraping = anyio.CapacityLimiter(SCRAPES)
        return await to_thread.run_sync(partial(ask, *arguments), limiter=self._scraping)

    def _meant(self, request: Request) -> list[Served]:
        name = request.scope.get(PKG_NAME)
        if name is None:
            return list(self._registry.values())
        if request.scope.get(GRANTED) is None and name not in self._registry:
            raise NotFoundError("this server has no PKG of that name")  # strangers are not told which there are
        return [self._registry.named(name)]


def _told(request: Request, states: dict[str, str]) -> Response:
    """Answer with how PKGs stand; whoever bears no token is told no names, and no reasons."""
    wrong = {name: state for name, state in states.items() if state != OK}
    if request.scope.get(GRANTED) is None:
        lines = [next((_word(state) for state in wrong.values()), OK)]
    elif len(states) == 1:
        lines = list(states.values())
    else:
        lines = [f"{name}: {state}" for name, state in states.items()]
    status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
    return PlainTextResponse("".join(f"{line}\n" for line in lines), status)


def _word(state: str) -> str:
    return state.split(maxsplit=1)[0].rstrip(":,")
