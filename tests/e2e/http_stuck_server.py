"""
A server, as a process of its own, whose model can hang: `python -m tests.e2e.http_stuck_server DIRECTORY [stuck]`.

What is written to it then is committed, and waited for without end. Prints its port.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from slipstream.adapters.wrappers.faults import FaultyEmbedder
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.config import Config
from slipstream.http.app import Faces
from slipstream.http.limits import Limits
from slipstream.http.listeners import Terms, tcp_listener
from slipstream.http.served import Registry, Served
from slipstream.http.serving import WebServer
from slipstream.http.sockets import parsed_address
from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder


def main(directory: Path, *, is_stuck: bool) -> None:
    """Serve until killed."""

    def hook(name: str) -> None:
        if is_stuck and name.startswith("embed"):
            threading.Event().wait()

    def wrapped(embedder: Embedder) -> Embedder:
        return FaultyEmbedder(embedder, hook)

    options = Options(embedders=(HashEmbedder(dimension=16),), wrapping=Wrapping(embedder=wrapped))
    served = Served("test", directory)
    served.put(open_pkg(directory, config=Config(), options=options))
    server = WebServer(Registry({"test": served}), faces=Faces(), tokens=None, limits=Limits())
    listener = tcp_listener(parsed_address("127.0.0.1:0", "http"), Terms(has_tokens=False))
    server.add(listener)
    sys.stdout.write(f"{listener.shown}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_stuck="stuck" in sys.argv[2:])
