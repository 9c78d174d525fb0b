"""The memory of the alerts in a file whose space is allocated in advance, so that it works on a full disk."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from slipstream.domain.errors import DiskFullError, LeaseLostError, UnavailableError

SLOT_BYTES = 128 * 1024
_SLOTS = 2
_DIGEST_BYTES = 16
_HEAD_BYTES = _DIGEST_BYTES + 8 + 4
"""Digest of the rest, serial number of the write, length."""


class _Kept(NamedTuple):
    number: int
    text: str
    slot: int


class AlertFile:
    """
    An `AlertMemory` of one value, independent of index and journal.

    Two slots are written in turn and in place, so that an interrupted write leaves the one before; each is written
    over whole, so that nothing of an older value is left once another has been set twice. `owns` says whether this
    process runs the engine, as far as it knows without the journal.
    """

    def __init__(self, path: Path, owns: Callable[[], bool]) -> None:
        self._path, self._owns = path, owns
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        """Return the value set last; None when there is no readable one."""
        del name
        try:
            newest = self._newest(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable("read", error) from error
        return newest.text if newest and newest.text else None

    def set(self, name: str, value: str | None) -> None:
        """Write the older slot, and flush it."""
        del name
        if not self._owns():
            raise LeaseLostError("the alerts are another process's: this one does not run the engine (any more)")
        with self._lock:
            try:
                self._write(value or "")
            except OSError as error:
                raise self._unavailable("written", error) from error

    def _write(self, text: str) -> None:
        packed = zlib.compress(text.encode())
        if len(packed) > SLOT_BYTES - _HEAD_BYTES:
            raise UnavailableError(f"{self._path}: the state of the alerts has too many bytes: {len(packed):,}")
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < _SLOTS * SLOT_BYTES:
                _put(descriptor, b"\0" * (_SLOTS * SLOT_BYTES), 0)  # write zeros, to allocate the space
            held = _all_of(descriptor)
            newest = self._newest(held)
            slot, number = (0, 1) if newest is None else ((newest.slot + 1) % _SLOTS, newest.number + 1)
            body = number.to_bytes(8) + len(packed).to_bytes(4) + packed
            start = slot * SLOT_BYTES
            before = len(held[start : start + SLOT_BYTES].rstrip(b"\0"))
            _put(descriptor, (_digest(body) + body).ljust(before, b"\0"), start)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _newest(data: bytes) -> _Kept | None:
        slots = (_parsed(data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES], slot) for slot in range(_SLOTS))
        return max((kept for kept in slots if kept is not None), default=None)

    def _unavailable(self, what: str, error: OSError) -> UnavailableError:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UnavailableError
        return kind(
            f"{self._path} can not be {what} ({error.strerror}): see that there is room and it may be written"
        )


def _put(descriptor: int, data: bytes, at: int) -> None:
    os.lseek(descriptor, at, os.SEEK_SET)
    while data:
        data = data[os.write(descriptor, data) :]


def _all_of(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, _SLOTS * SLOT_BYTES):
        parts.append(part)
    return b"".join(parts)


def _parsed(data: bytes, slot: int) -> _Kept | None:
    head, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    size = int.from_bytes(body[8:12])
    body = body[: 12 + size]
    if not size or _digest(body) != head:
        return None
    return _Kept(int.from_bytes(body[:8]), zlib.decompress(body[12:]).decode(), slot)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
