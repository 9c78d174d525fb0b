"""What the server of warm processes and those who ask it say to each other: a length, JSON, and descriptors."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

_LENGTH = struct.Struct("!I")
_DESCRIPTORS_MAX = 8


def sent(to: socket.socket, what: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message."""
    text = json.dumps(what).encode()
    head = _LENGTH.pack(len(text))
    if descriptors:
        socket.send_fds(to, [head], descriptors)
    else:
        to.sendall(head)
    to.sendall(text)


def received(of: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return the next message and its descriptors; None when the other side has gone."""
    head, descriptors, _, _ = socket.recv_fds(of, _LENGTH.size, _DESCRIPTORS_MAX)
    if not head:
        return None, descriptors
    head += _exactly(of, _LENGTH.size - len(head))
    return json.loads(_exactly(of, *_LENGTH.unpack(head))), descriptors


def _exactly(of: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = of.recv(size - len(parts))
        if not part:
            raise EOFError("the other side has gone in the middle of a message")
        parts += part
    return bytes(parts)
