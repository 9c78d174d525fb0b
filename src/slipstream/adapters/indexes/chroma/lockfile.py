"""An exclusive lock on a file, held by at most one opener even within one process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from slipstream.domain.errors import UnavailableError


class FileLock:
    """A lock that the operating system drops when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, refusal: str) -> None:
        """Take the lock; raises `UnavailableError` with the given text when somebody else holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock_exclusively(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise UnavailableError(refusal) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; releasing twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock_exclusively(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
