"""One peer, in a process of its own: `python -m bench.peers.child PEER DIRECTORY DUMP [rebuild]`; prints JSON."""

from __future__ import annotations

import json
import logging
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from bench.peers.steps import Steps
from bench.peers.work import read_graph

PEERS = {
    "slipstream-sqlite": ("with_slipstream", ("sqlite",), ()),
    "slipstream-chroma": ("with_slipstream", ("chroma",), ("chromadb",)),
    "langchain": ("with_langchain", (), ("langchain-core", "langchain-chroma", "chromadb", "sqlalchemy")),
    "llamaindex": ("with_llamaindex", (), ("llama-index-core", "llama-index-vector-stores-chroma", "chromadb")),
    "cocoindex": ("with_cocoindex", (), ("cocoindex", "lancedb", "pyarrow")),
}
"""Module, what it is given, and the packages whose versions count."""


def main() -> None:
    """Run the peer that the arguments name."""
    name, directory, dump, *rebuild = sys.argv[1:]
    logging.disable()  # alerts of an index that is behind, which it is while it is filled
    module, arguments, packages = PEERS[name]
    peer = import_module(f"bench.peers.{module}").Peer(Path(directory), *arguments)
    try:
        found = Steps(peer, read_graph(Path(dump)), rebuilds=bool(rebuild)).run()
    finally:
        peer.close()
    found["versions"] = {package: version(package) for package in packages} | {"python": sys.version.split()[0]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
