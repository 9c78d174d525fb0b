"""The configuration in force, without anything that is secret."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from slipstream._version import __version__
from slipstream.http.served import Pkg, Registry, ServedPkg

HIDDEN = "(set)"
"""What stands for a value that is not told."""
_FILES = frozenset({"api_key_file", "webhook_token_file"})
_ADDRESSES = frozenset({"base_url", "webhook"})


class Settings(BaseModel):
    """What is in force at this server, and in this PKG."""

    version: str
    pkg: str = Field(description="Name of this PKG at the server")
    pkgs: list[str]
    backups: bool = Field(description="Whether the server has a folder for backups")
    config: dict[str, Any] = Field(
        description=f"slipstream.toml in force. Of files with secrets only {HIDDEN} is told, of addresses the server"
    )


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["settings"])

    @routes.get("/settings")
    def read_settings(request: Request, slipstream: Pkg, served: ServedPkg) -> Settings:
        """Tell the configuration in force; read-only, and without secrets."""
        registry: Registry = request.app.state.registry
        return Settings(
            version=__version__,
            pkg=served.name,
            pkgs=list(registry),
            backups=getattr(request.app.state, "backups", None) is not None,
            config=told_config(slipstream.opened.config.model_dump(mode="json")),
        )

    return routes


def told_config(value: Any, name: str = "") -> Any:
    """Return a part of a configuration without what is secret, or may be."""
    if isinstance(value, dict):
        return {key: told_config(item, key) for key, item in value.items()}
    if value is None:
        return None
    if name in _FILES:
        return HIDDEN
    if name in _ADDRESSES:
        return _server_of(str(value))
    return value


def _server_of(address: str) -> str:
    """Return scheme, host and port: user, path and query of an address may be a credential."""
    try:
        parts = urlsplit(address)
        port = "" if parts.port is None else f":{parts.port}"
        more = "/…" if parts.path.strip("/") or parts.query or parts.fragment else ""
        return f"{parts.scheme}://{parts.hostname or HIDDEN}{port}{more}"
    except ValueError:
        return HIDDEN
