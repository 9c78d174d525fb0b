"""Composes a client: a URL, or the directory of a PKG that another process serves, becomes the facade."""

from __future__ import annotations

from pathlib import Path

from slipstream.app.client.addresses import Address, address_of, is_url, socket_in
from slipstream.app.client.facade import RemoteSlipstream
from slipstream.app.client.wire import TIMEOUT_S, Wire
from slipstream.app.composition.factories import graph_checks, system_clock
from slipstream.app.composition.opening import open_pkg
from slipstream.app.slipstream import Slipstream


def connect_pkg(place: Path | str, *, token: str | None = None, timeout_s: float = TIMEOUT_S) -> Slipstream:
    """
    Return the PKG at a URL, or in a directory: by its server's socket if one listens, else opened by its files.

    See `slipstream.connect`.
    """
    if isinstance(place, str) and is_url(place):
        return _client(address_of(place), token, timeout_s)
    found = socket_in(Path(place))
    return open_pkg(place) if found is None else _client(found, None, timeout_s)


def _client(address: Address, token: str | None, timeout_s: float) -> RemoteSlipstream:
    return RemoteSlipstream(Wire(address, token=token, timeout_s=timeout_s), system_clock(), graph_checks())
