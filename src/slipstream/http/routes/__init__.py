"""
The routes of the API, a module for each resource, and nothing else.

Each has a function `router()` that returns them. May touch: app, and the pieces of `http` that all routes share.
"""

from __future__ import annotations

import importlib
import pkgutil

from fastapi import APIRouter

_FIRST = "search"


def all_routers() -> list[APIRouter]:
    """Return the routers of all resources; a request is matched against one after the other: search is first."""
    names = sorted((found.name for found in pkgutil.iter_modules(__path__)), key=lambda name: (name != _FIRST, name))
    return [importlib.import_module(f"{__name__}.{name}").router() for name in names]
