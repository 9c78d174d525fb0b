"""Messages between the two processes: a length, then JSON. Pure but for the stream."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from slipstream.domain.values import decode_value, encode_value

_LENGTH_BYTES = 4
FRAME_SIZE_MAX = 512 * 1024 * 1024


def encoded(message: dict[str, Any]) -> bytes:
    """Return a message as bytes, with its values encoded by `encode_value`, so that times are kept."""
    return framed(encode_value(message))


def framed(message: dict[str, Any]) -> bytes:
    """Return a message as bytes, given values already encoded by `encode_value`."""
    data = json.dumps(message, separators=(",", ":")).encode()
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """Return the next message, None when the stream has ended, even within a message."""
    head = stream.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(head, "big")
    if size > FRAME_SIZE_MAX:
        return None
    data = stream.read(size)
    if len(data) < size:
        return None
    message: dict[str, Any] = json.loads(data)
    return decode_value(message) if b'"$' in data else message
