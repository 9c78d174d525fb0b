"""The server of a PKG: whether its socket answers."""

from __future__ import annotations

import time
from contextlib import closing

from slipstream.app.client.addresses import SOCKET, socket_in
from slipstream.app.client.wire import Wire
from slipstream.app.composition.doctor.findings import Examination
from slipstream.domain.errors import SlipstreamError

_PATIENCE_S = 5.0


def look_at_serving(found: Examination) -> None:
    """Ask the server, if there is one, how it stands."""
    found.look("server", lambda: _look_at_server(found), "end it, and start it again")


def _look_at_server(found: Examination) -> None:
    path = found.directory / SOCKET
    address = socket_in(found.directory)
    if address is None:
        if path.is_socket():
            found.warn(
                "server", f"{path} was left by a server that was killed", "the next `slipstream serve` takes it"
            )
        else:
            found.ok("server", "none runs: commands open the PKG themselves")
        return
    began = time.monotonic()
    try:
        with closing(Wire(address, timeout_s=_PATIENCE_S)) as wire:
            status = wire.get("/v1/status")
    except SlipstreamError as error:
        found.fail("server", str(error), "see whether it hangs or was stopped; end it, and start it again")
        return
    took_ms = (time.monotonic() - began) * 1_000
    halted, outage = status.get("halted"), status.get("outage")
    if halted or outage:
        found.fail("server", f"answers, but: {halted or outage}", "see `slipstream status`")
    else:
        found.ok("server", f"{address.shown} answers, within {took_ms:,.0f} ms")
