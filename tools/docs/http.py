"""docs/http.md: the tables of operations and of problems, read off the application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute

from slipstream.http.problems import told_errors
from slipstream.http.routes import all_routers
from slipstream.http.scopes import Scope


def operations() -> str:
    """Return the table of operations."""
    rows = [
        f"| `{method} /v1{route.path_format}` | {needed(route).name.lower()} | {_said(route)} |"
        for method, route in _all()
    ]
    return "\n".join(["| operation | scope | what it does |", "|---|---|---|", *rows])


def problems() -> str:
    """Return the table of errors."""
    rows = [f"| {status} | `{name}` | {remedy} |" for name, status, remedy in sorted(told_errors(), key=_by_status)]
    return "\n".join(["| status | class | what to do |", "|---|---|---|", *rows])


def needed(route: APIRoute) -> Scope:
    """Return what the bearer of a request has to be allowed to do."""
    return max((scope for scope in map(_scope_of, route.dependencies) if scope is not None), default=Scope.READ)


def _scope_of(dependency: Any) -> Scope | None:
    return getattr(dependency.dependency, "scope", None)


def _all() -> Iterator[tuple[str, APIRoute]]:
    for router in all_routers():
        for route in router.routes:
            if isinstance(route, APIRoute):
                for method in sorted(route.methods or ()):
                    yield method, route


def _said(route: APIRoute) -> str:
    return " ".join(route.description.partition("\n\n")[0].split()).replace("|", "\\|")


def _by_status(row: tuple[str, int, str]) -> tuple[int, str]:
    return row[1], row[0]
