"""Clients of Chroma, made without its reading of the environment and without its telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipstream.adapters.indexes.chroma.errors import mapped_errors
from slipstream.domain.errors import ConfigError, UnavailableError

_HEARTBEAT_TIMEOUT_S = 10.0


def embedded_client(path: Path) -> Any:
    """Open the files in a folder. The folder must be locked: two clients on it lose writes."""
    chroma = _import_chroma()
    settings = _settings(persist_directory=str(path), is_persistent=True)
    with mapped_errors(f"Chroma in {path}"):
        return chroma.PersistentClient(str(path), settings, "default_tenant", "default_database")


def server_client(
    host: str, port: int, *, ssl: bool, headers: Mapping[str, str], tenant: str, database: str, timeout_s: float
) -> Any:
    """Connect to a server; raises `UnavailableError` when it does not answer in time."""
    chroma = _import_chroma()
    import httpx

    url = f"{'https' if ssl else 'http'}://{host}:{port}"
    with mapped_errors(f"Chroma at {url}"):
        # Chroma's own client waits for ever, and asks the server things while it is made: so ask for a sign of life
        # first, and give it a limit afterwards.
        answer = httpx.get(f"{url}/api/v2/heartbeat", headers=dict(headers), timeout=_HEARTBEAT_TIMEOUT_S)
        if answer.is_error:
            raise UnavailableError(f"Chroma at {url} answers its heartbeat with {answer.status_code}; check its log")
        settings = _settings()
        client = chroma.HttpClient(host, port, ssl, dict(headers), settings, tenant, database)
        client._server._session.timeout = httpx.Timeout(timeout_s)  # noqa: SLF001  (there is no setting for it)
    return client


def _import_chroma() -> Any:
    try:
        import chromadb
    except ImportError as error:
        raise ConfigError("chromadb is not installed; install slipstream-pkg[chroma]") from error
    return chromadb


def _settings(**given: Any) -> Any:
    """Return settings that come from these arguments alone: `Settings(…)` would read the environment and `.env`."""
    from chromadb.config import Settings

    return Settings.model_construct(anonymized_telemetry=False, **given)
