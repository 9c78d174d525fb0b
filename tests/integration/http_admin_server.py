"""A process that serves a PKG until it is killed: `python -m tests.integration.http_admin_server DIR PORT_FILE`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import uvicorn

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.http_admin_world import granting, made_app


def main(directory: Path, port_file: Path) -> None:
    """Serve, and say where."""
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with open_pkg(directory, config=Config(), options=options) as slipstream, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(granting(made_app(slipstream, directory)), log_level="error"))
        beside = port_file.with_suffix(".new")
        beside.write_text(str(listener.getsockname()[1]))
        os.replace(beside, port_file)
        asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
