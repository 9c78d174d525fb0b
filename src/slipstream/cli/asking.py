"""
What a command asks the server of its PKG, where one runs: so it loads no model, and opens nothing.

Whatever the server does not answer at once, a command does as it would without one: as a guest beside it. So its
output is the same with a server and without, errors and warnings too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from slipstream.app.client.addresses import SOCKET, socket_in
from slipstream.app.client.wire import Wire
from slipstream.domain.errors import SlipstreamError

logger = logging.getLogger(__name__)

SOON_S = 2.0
"""How long a server may take before the command goes on without it."""
_CONFIG = "slipstream.toml"

T = TypeVar("T")


class Owner:
    """The server of a PKG."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def call(self, operation: str, **arguments: Any) -> Any:
        """Return what an operation that only reads returns, as plain data."""
        found = self._wire.post(f"/v1/operations/{operation}", {"arguments": arguments}, is_safe=True)
        return found["result"]

    def get(self, path: str) -> Any:
        """Return what a path holds, as plain data."""
        return self._wire.get(path)


def answered(directory: Path, ask: Callable[[Owner], T | None]) -> T | None:
    """
    Return what a PKG's server answers; None when there is none, or it has no answer for this command.

    A server whose `slipstream.toml` was edited since, or that keeps another recipe than the declared one, is not
    asked: the command itself has to say so.
    """
    address = socket_in(directory)
    if address is None or _is_edited(directory):
        return None
    try:
        with closing(Wire(address, timeout_s=SOON_S)) as wire:
            owner = Owner(wire)
            return None if owner.call("refused_recipe") is not None else ask(owner)
    except (
        SlipstreamError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # a server of another version tells other things
        logger.info("done without the server: %s: %s", type(error).__name__, error)
        return None


def _is_edited(directory: Path) -> bool:
    """Return whether the configuration is not the one that the server has read."""
    try:
        return (directory / _CONFIG).stat().st_mtime_ns >= (directory / SOCKET).stat().st_ctime_ns
    except OSError:
        return True
