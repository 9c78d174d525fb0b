"""How a PKG stands."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from slipstream.app.insights import status_as_dict
from slipstream.http.served import Pkg


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["status"])

    @routes.get("/status")
    def read_status(slipstream: Pkg) -> dict[str, Any]:
        """Tell how far the index is behind the graph, what it holds and what is wrong."""
        return status_as_dict(slipstream)

    return routes
