"""Reads a request with a limit on its size and on its time, however slowly it comes."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class BoundedRequest(io.RawIOBase):
    """The bytes of one connection: raises when there are too many of them, or when they take too long in all."""

    def __init__(self, connection: socket.socket, bytes_max: int, seconds_max: float) -> None:
        super().__init__()
        self._connection = connection
        self._left = bytes_max
        self._deadline = time.monotonic() + seconds_max

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Receive bytes, at most as many as are still allowed, and return how many."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request took too long")
        if self._left <= 0:
            raise http.client.LineTooLong("request")
        self._connection.settimeout(left_s)
        received = self._connection.recv_into(memoryview(buffer).cast("B")[: self._left])
        self._left -= received
        return received
