"""Which PKGs a server holds."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import Field

from slipstream.http.models import Answer
from slipstream.http.served import Registry, ServedPkg


class Held(Answer):
    """The PKGs of a server; each is under `/pkgs/NAME`."""

    pkgs: list[str] = Field(description="All names; the first one is meant where a path names none")
    current: str = Field(description="The one that this path is about")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["status"])

    @routes.get("/pkgs")
    def list_pkgs(request: Request, served: ServedPkg) -> Held:
        """Tell which PKGs the server holds."""
        registry: Registry = request.app.state.registry
        return Held(pkgs=list(registry), current=served.name)

    return routes
