"""No part of an answer waits for the acknowledgement of another: 40 ms on every request, else."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.http import serve
from slipstream.http.program import Serving
from slipstream.http.protocol import Connection
from slipstream.testkit.embedders import HashEmbedder


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with (
        open_pkg(tmp_path / "pkg", create=True, options=options) as slipstream,
        serve(slipstream, "127.0.0.1:0") as server,
    ):
        yield server


def test_an_accepted_connection_sends_at_once(serving: Serving) -> None:
    client = http.client.HTTPConnection(serving.host, serving.port, timeout=10)
    client.request("GET", "/healthz")
    assert client.getresponse().read() == b"ok\n"
    (connection,) = serving._server._server.server_state.connections
    assert isinstance(connection, Connection)
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    client.close()
