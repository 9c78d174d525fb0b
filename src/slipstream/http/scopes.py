"""What the bearer of a request may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any

from fastapi import Depends, HTTPException, Request

GRANTED = "slipstream.scope"
"""Where a request's scope holds what its bearer may do."""


class Scope(IntEnum):
    """What may be done; each includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


def granted(request: Request) -> Scope:
    """Return what the bearer of a request may do; nothing was granted where nobody has checked it."""
    found = request.scope.get(GRANTED)
    if not isinstance(found, Scope):
        raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
    return found


def demand(request: Request, scope: Scope) -> None:
    """Refuse a bearer who may do less than `scope`, with 403."""
    if granted(request) < scope:
        raise HTTPException(
            403, f"this needs a token of the scope {scope.name.lower()}, not {granted(request).name.lower()}"
        )


def needs(scope: Scope) -> Any:
    """Return a dependency that refuses a bearer who may do less than `scope`, with 403."""
    return Depends(_check_of(scope))


def _check_of(scope: Scope) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:  # async, though it awaits nothing: else it takes a thread
        demand(request, scope)

    check.scope = scope  # type: ignore[attr-defined]  # for those who describe the operations
    return check


WRITES = (needs(Scope.WRITE),)
"""The dependencies of an operation that writes."""
