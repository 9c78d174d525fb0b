"""
The mirror in a file beside the graph, so that the next process need not fill it anew.

The file is disposable: one that is damaged, of another graph or of another version is ignored. It is written under
another name and then moved into place, readable by its owner only.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import kglite

from slipstream.adapters.cypher.kglite.following import Standing
from slipstream.adapters.cypher.kglite.mirror import Mirror
from slipstream.adapters.cypher.kglite.names import PREFIX, RESERVED
from slipstream.adapters.cypher.kglite.source import Mark

_MAGIC = b"SLIPSTREAM-CYPHER\n"
_VERSION = 1
_HEADER_SIZE_MAX = 64 * 1024


def saved_path(graph: Path) -> Path:
    """Return where the mirror of a graph file is saved."""
    return graph.with_name(f"{graph.name}.cypher")


def _form() -> str:
    """Return what decides the layout of a saved mirror: a file of another form is useless."""
    names = zlib.crc32(" ".join((PREFIX, *sorted(RESERVED))).encode())
    return f"{_VERSION}/{kglite.__version__}/{names}"


def save(standing: Standing, path: Path) -> None:
    """Save the mirror; do nothing if the file can not be written."""
    payload = standing.mirror.graph.to_bytes()
    mark = standing.mark
    header = json.dumps({
        "form": _form(), "graph_id": mark.graph_id, "position": mark.position, "digest": mark.digest,
        "marker": standing.mirror.marker, "size": len(payload), "crc": zlib.crc32(payload),
    }).encode()  # fmt: skip
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_MAGIC + len(header).to_bytes(4, "big") + header)
            file.write(payload)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
    standing.unsaved = 0


def load(path: Path) -> Standing | None:
    """Return the saved mirror, None when there is no usable one."""
    try:
        header, payload = _read(path)
        if header["form"] != _form() or header["size"] != len(payload) or header["crc"] != zlib.crc32(payload):
            return None
        mark = Mark(header["graph_id"], header["position"], header["digest"])
        return Standing(Mirror(header["marker"], kglite.from_bytes(payload)), mark)
    except (OSError, ValueError, KeyError, TypeError, kglite.KgError):
        return None


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("another kind of file")
        size = int.from_bytes(file.read(4), "big")
        if size > _HEADER_SIZE_MAX:
            raise ValueError("a damaged header")
        header = json.loads(file.read(size))
        return header, file.read()
