"""
The routes of the API, a module for each resource.

Each has a function `router()` that returns them. May touch: app, and the pieces of `http` that all routes share.
"""

from __future__ import annotations

from fastapi import APIRouter

from slipstream.http.routes import (
    audits,
    backups,
    batch,
    changes,
    dead_letters,
    entities,
    imports,
    keys,
    maps,
    migrations,
    neighbours,
    operations,
    pkgs,
    quality,
    query,
    relationships,
    repairs,
    requests,
    schema,
    search,
    settings,
    status,
    views,
    wait,
)

_MODULES = (
    audits,
    backups,
    batch,
    changes,
    dead_letters,
    entities,
    imports,
    keys,
    maps,
    migrations,
    neighbours,
    operations,
    pkgs,
    quality,
    query,
    relationships,
    repairs,
    requests,
    schema,
    search,
    settings,
    status,
    views,
    wait,
)


def all_routers() -> list[APIRouter]:
    """Return the routers of all resources; a request is matched against one after the other: search is first."""
    return [module.router() for module in sorted(_MODULES, key=lambda module: module is not search)]
