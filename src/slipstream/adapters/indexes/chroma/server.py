"""Connecting to a Chroma server."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any


def open_server(
    host: str, port: int, *, token: str | None, database: str, timeout_s: float, resources: ExitStack
) -> Any:
    """Return a client of a database on a server; closing `resources` closes it."""
    import chromadb
    import httpx
    from chromadb.config import Settings

    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    # Chroma's client has no time limit, and makes requests while it is made: so check first that the server answers,
    # and set the client's limit afterwards.
    httpx.get(f"http://{host}:{port}/api/v2/heartbeat", headers=headers, timeout=timeout_s).raise_for_status()
    settings = Settings.model_construct(anonymized_telemetry=False)  # reads no environment
    client = chromadb.HttpClient(host, port, headers=headers, settings=settings, database=database)
    session = client._server._session  # noqa: SLF001  (there is no setting for a limit, and `close` forgets the sockets)
    session.timeout = httpx.Timeout(timeout_s)
    resources.callback(session.close)
    resources.callback(client.close)
    return client
