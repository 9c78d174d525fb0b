"""Connecting to a Chroma server."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any


def open_server(host: str, port: int, token: str | None, database: str | None, resources: ExitStack) -> Any:
    """Return a client of a server; closing `resources` closes it."""
    import chromadb
    from chromadb.config import DEFAULT_DATABASE, Settings

    settings = Settings(anonymized_telemetry=False)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    name = DEFAULT_DATABASE if database is None else database
    if name != DEFAULT_DATABASE:
        _make_database(host, port, headers, name)
    client = chromadb.HttpClient(host, port, headers=headers, settings=settings, database=name)
    resources.callback(client.close)
    return client


def _make_database(host: str, port: int, headers: dict[str, str], name: str) -> None:
    import chromadb
    from chromadb.config import Settings
    from chromadb.errors import NotFoundError

    settings = Settings(
        anonymized_telemetry=False,
        chroma_api_impl="chromadb.api.fastapi.FastAPI",
        chroma_server_host=host,
        chroma_server_http_port=port,
        chroma_server_headers=headers,
    )
    admin = chromadb.AdminClient(settings)
    try:
        admin.get_database(name)
    except NotFoundError:
        admin.create_database(name)
