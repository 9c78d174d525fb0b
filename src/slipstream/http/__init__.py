"""
Slipstream over HTTP: an API, its pages for metrics and health, and the server of both (extra `server`).

`app` puts the routes together, `serving` runs them; between a connection and a route stand `protocol`, `naming`,
`access` and `bounds`, in this order. May touch: app, and values of domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from slipstream.domain.errors import ConfigError

if TYPE_CHECKING:
    from slipstream.app.slipstream import Slipstream
    from slipstream.domain.metrics import ConsistencyMetrics
    from slipstream.http.limits import Limits
    from slipstream.http.program import Serving

__all__ = ["METRICS_PORT", "needing_extra", "serve"]

METRICS_PORT = 9464
_PARTS = frozenset({"anyio", "fastapi", "h11", "prometheus_client", "starlette", "uvicorn"})


@contextmanager
def needing_extra() -> Iterator[None]:
    """Name the extra when a part of the server is not installed; raises `ConfigError`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PARTS:
            raise
        raise ConfigError("the server needs an extra: pip install 'slipstream-pkg[server]'") from error


def serve(
    slipstream: Slipstream,
    http: str = f"127.0.0.1:{METRICS_PORT}",
    *,
    token: str | Path | None = None,
    behind_proxy: bool = False,
    only_pages: bool = False,
    consistency: Callable[[], ConsistencyMetrics] | None = None,
    limits: Limits | None = None,
) -> Serving:
    """
    Serve an open PKG over HTTP, from a thread of its own, until the result is closed; it is a context manager.

    `http` is `[HOST:]PORT`, on loopback without a host; port 0 takes a free one, which the result's `url` tells. With
    a `token` every request must bear it; a `Path` is a file of tokens, see `docs/serving.md`. With `only_pages`
    nothing but `/metrics`, `/healthz` and `/readyz` is served. `consistency` replaces what the PKG's watch tells.

    Raises `ConfigError` for an address beyond the loopback interface without a token, or without a proxy that speaks
    TLS (`behind_proxy`), for one that can not be bound, and when the extra `server` is not installed.
    """
    with needing_extra():
        from slipstream.http import program

        return program.serve(
            slipstream,
            http,
            token=token,
            behind_proxy=behind_proxy,
            only_pages=only_pages,
            consistency=consistency,
            limits=limits,
        )
