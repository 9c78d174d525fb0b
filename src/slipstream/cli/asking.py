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
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from slipstream.app.client.addresses import SOCKET, socket_in
from slipstream.app.client.wire import Wire
from slipstream.domain.errors import SlipstreamError

if TYPE_CHECKING:
    from slipstream.app.slipstream import Slipstream
    from slipstream.cli.context import Context

logger = logging.getLogger(__name__)

SOON_S = 2.0
"""How long a server may take before the command goes on without it."""
_CONFIG = "slipstream.toml"

T = TypeVar("T")


class Asked(Protocol):
    """A PKG as a command asks it: by the operations of its server, whose answers are plain data."""

    def call(self, operation: str, **arguments: Any) -> Any:
        """Return what an operation returns, as plain data."""
        ...


class Owner:
    """The server of a PKG."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def call(self, operation: str, **arguments: Any) -> Any:
        """Return what an operation returns, as plain data; one that writes must have an `event_id` (see `commit`)."""
        found = self._wire.post(f"/v1/operations/{operation}", {"arguments": arguments}, is_safe=True)
        return found["result"]

    def get(self, path: str) -> Any:
        """Return what a path holds, as plain data."""
        return self._wire.get(path)


class Here:
    """A PKG that is open in this process, asked for the same operations and answering the same."""

    def __init__(self, slipstream: Slipstream) -> None:
        self._slipstream = slipstream

    def call(self, operation: str, **arguments: Any) -> Any:
        """Return what an operation returns, as plain data."""
        from slipstream.app.remote.serving_operations import operation_served

        row = operation_served(operation)
        given = row.signature.decoded(arguments, self._slipstream.audits)
        return row.signature.result_as_data(row.perform(self._slipstream, **given))


def asked(settings: Context, ask: Callable[[Asked], T], *, run: bool = False) -> T:
    """
    Return what a PKG answers: its server, or where none does, the PKG opened here.

    Where the server breaks off, everything is asked anew: what writes has to be harmless when it is repeated.
    """
    found = answered(settings.directory, ask)
    if found is not None:
        return found
    with settings.opened(run=run) as slipstream:
        return ask(Here(slipstream))


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
