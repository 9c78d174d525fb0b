"""The application: every route of the API, problems for errors, an honest description of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from fastapi import FastAPI
from starlette.routing import BaseRoute

from slipstream._version import __version__
from slipstream.http.freshness import TELLS_FRESHNESS
from slipstream.http.problems import CONTENT_TYPE, Problem, add_problems
from slipstream.http.routes import all_routers
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Registry

_FOR_ALL = (needs(Scope.READ), TELLS_FRESHNESS)
_PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": {"model": Problem}, "5XX": {"model": Problem}}
_ABOUT = """Search and change a property graph whose vector index follows every commit.

Every answer has the headers `Slipstream-Frontier` (the position that the index reflects), `Slipstream-Lag` (seconds)
and `Slipstream-Degraded`. Errors are problem details (RFC 9457). Another PKG of the server is under `/pkgs/NAME`.
A property that is a time is `{"$datetime": "2026-01-01T00:00:00+00:00"}`.
"""


@dataclass(frozen=True, kw_only=True)
class Faces:
    """What stands beside the API: routes, and what has to run while the server does."""

    routes: tuple[BaseRoute, ...] = ()
    running: tuple[Callable[[], AbstractAsyncContextManager[object]], ...] = ()


class Stopping:
    """Tells streams of events that the server ends; made in the loop that serves."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    @property
    def is_set(self) -> bool:
        """Whether the server ends."""
        return self._event.is_set()

    def set(self) -> None:
        """Tell it; in the loop that serves."""
        self._event.set()

    async def wait(self) -> None:
        """Wait until the server ends."""
        await self._event.wait()


class _App(FastAPI):
    """Describes of errors what is sent: problem details."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            for operations in document["paths"].values():
                for operation in operations.values():
                    _tell_problems(operation["responses"])
            registry: Registry = self.state.registry
            named = {"pkg": {"default": registry.first.name, "enum": list(registry)}}
            document["servers"] = [{"url": "/"}, {"url": "/pkgs/{pkg}", "variables": named}]
            self.openapi_schema = document
        return self.openapi_schema


def build_app(registry: Registry, faces: Faces | None = None) -> FastAPI:
    """Return the application for some PKGs, with other faces beside its API."""
    faces = faces or Faces()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.stopping = Stopping()
        async with AsyncExitStack() as stack:
            for run in faces.running:
                await stack.enter_async_context(run())
            yield

    app = _App(
        title="Slipstream",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # both load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # its addresses would lead out of /pkgs/NAME, and a write into another PKG
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.registry = registry
    add_problems(app)
    for router in all_routers():  # side by side: each level of nesting would be matched anew, for every request
        app.include_router(router, prefix="/v1", dependencies=_FOR_ALL, responses=_PROBLEMS)
    app.router.routes.extend(faces.routes)
    return app


def _tell_problems(responses: dict[str, Any]) -> None:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for status, response in responses.items():
        if status[0] in "45":
            response["content"] = {CONTENT_TYPE: problem}
