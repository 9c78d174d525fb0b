"""The SDK is an extra: whether it is there, said by name."""

from __future__ import annotations

from importlib.util import find_spec

from slipstream.domain.errors import ConfigError


def is_installed() -> bool:
    """Return whether the MCP SDK is there; imports nothing."""
    return find_spec("mcp") is not None


def need_sdk() -> None:
    """Raise `ConfigError`, which names the extra, if the MCP SDK is not there."""
    if not is_installed():
        raise ConfigError("tools for agents need the MCP SDK, which is not installed: install slipstream-pkg[mcp]")
