"""The fence: decides inside each write whether the file accepts it from this process."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from slipstream.domain.errors import LeaseLostError


class Fence:
    """
    Compares the epoch that this process writes under with the one in the file (table `lease`).

    An open fence compares nothing: for a file that one program has to itself. Without an epoch, a closed one lets
    nothing pass. Safe for threads: the epoch is replaced as a whole, and the file decides.
    """

    def __init__(self, path: Path, *, is_open: bool) -> None:
        self._path, self._is_open = path, is_open
        self._epoch: int | None = None
        self._is_taken = False
        self._lock = threading.Lock()

    @property
    def epoch(self) -> int | None:
        """The epoch under which this process writes; None when it does not own the engine."""
        return self._epoch

    @property
    def admits(self) -> bool:
        """Whether a write would pass as far as this process knows."""
        return self._is_open or self._epoch is not None

    def own(self, epoch: int) -> None:
        """Let writes pass while the file has this epoch."""
        with self._lock:
            self._epoch, self._is_open, self._is_taken = epoch, False, False

    def disown(self) -> None:
        """Let nothing pass from now on; an open fence that was never owned stays open."""
        with self._lock:
            self._epoch = None

    def check(self, connection: sqlite3.Connection) -> None:
        """Raise `LeaseLostError` unless a write may pass; called inside its transaction."""
        if self._is_open:
            return
        epoch = self._epoch
        if epoch is None:
            raise self.refusal()
        if epoch_in(connection) != epoch:
            self._forget(epoch)
            raise self._taken_over()

    def refusal(self) -> LeaseLostError:
        """Return the error for writes of this process, which has no epoch (any more)."""
        if self._is_taken:
            return self._taken_over()
        return LeaseLostError(
            f"{self._path}: this process does not run the engine of the PKG, so it writes nothing here: ask the "
            "process that does, or wait until it has ended"
        )

    def _taken_over(self) -> LeaseLostError:
        return LeaseLostError(
            f"{self._path}: another process has taken over the engine (this one had been stopped, or was not heard "
            "of for long); nothing was written. Open the PKG anew"
        )

    def _forget(self, epoch: int) -> None:
        with self._lock:
            if self._epoch == epoch:  # not the newer epoch of a lease that was acquired meanwhile
                self._epoch, self._is_taken = None, True


def epoch_in(connection: sqlite3.Connection) -> int:
    """Return the epoch of the newest owner, 0 when there was none."""
    row = connection.execute("SELECT epoch FROM lease").fetchone()
    return 0 if row is None else int(row[0])
