"""A PKG behind the server itself: its bounds, its access checks, and its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.http.app import Faces
from slipstream.http.limits import Limits
from slipstream.http.listeners import Terms, tcp_listener
from slipstream.http.served import Registry, Served
from slipstream.http.serving import WebServer
from slipstream.http.sockets import parsed_address
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.http_admin_world import Api


@dataclass
class Running:
    """A PKG, and a server that serves it."""

    slipstream: Slipstream
    server: WebServer
    api: Api

    def commit(self, name: str = "x") -> int:
        """Commit a change of one entity."""
        return int(self.slipstream.pkg.upsert_entity("Thing", "it", {"name": f"{name} {time.monotonic_ns()}"}))


@contextmanager
def running(
    directory: Path, limits: Limits | None = None, backups: Path | None = None, *, is_empty: bool = False
) -> Iterator[Running]:
    """Serve a PKG that has one entity, or none."""
    embedders = (HashEmbedder(dimension=16), HashEmbedder(dimension=32, id="new"))
    options = Options(embedders=embedders)
    with open_pkg(directory, config=Config(), options=options) as slipstream:
        if not is_empty:
            slipstream.pkg.create_entity("Thing", "it", {"name": "it"})
        served = Served("test", directory)
        served.put(slipstream)
        registry, limits = Registry({"test": served}), limits or Limits()
        with WebServer(registry, faces=Faces(), tokens=None, limits=limits, backups=backups) as server:
            listener = tcp_listener(parsed_address("127.0.0.1:0", "http"), Terms(has_tokens=False))
            server.add(listener)
            yield Running(slipstream, server, Api(int(listener.shown.rpartition(":")[2].strip("/"))))
