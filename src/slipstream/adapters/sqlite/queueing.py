"""
The queue of writers: a writer holds the file's lock file during its transaction.

SQLite's own waiting is not a queue. Beside a bulk writer of another process a single commit waited 0.7 to 2 s for its
turn; at a blocking lock it waits for one transaction of the other writer. Programs that do not take the lock are
still waited for.

There are two locks, for one alone is not a queue either: a writer that releases it and wants it again at once is
often faster than the waiter that it wakes. The holder of the second lock is next, and every writer takes that one
first. It is a courtesy only: a process that is stopped while it is next holds up the others for no more than a
moment.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from slipstream.domain.errors import UnavailableError

WAIT_S = 60.0
_NEXT_TRIES, _NEXT_PAUSE_S = 1_000, 0.001


class WriterQueue:
    """A lock that the operating system drops when its holder dies. For one thread at a time."""

    def __init__(self, path: Path, wait_s: float = WAIT_S) -> None:
        self._path, self._wait_s = path, wait_s
        self._locks: _Locks | None = None

    def acquire(self) -> None:
        """Wait for this writer's turn; raises `UnavailableError` when it does not come in time, or locking fails."""
        try:
            if self._locks is None:
                self._locks = _Locks.opened(self._path)
            if self._locks.has_at_once():
                return
        except OSError as error:
            raise UnavailableError(
                f"{self._path} can not be locked ({error.strerror}): check that it and its directory may be written"
            ) from error
        if self._has_turn_within(self._wait_s, self._locks):
            return
        raise UnavailableError(
            f"{self._path}: another process has been writing for {self._wait_s:g} s (or was stopped amid a write); "
            "nothing was written, try again"
        )

    def _has_turn_within(self, wait_s: float, locks: _Locks) -> bool:
        waiter = _Waiter(locks)
        has_turn = False
        try:
            has_turn = waiter.has_lock_within(wait_s)
        finally:  # also at Ctrl-C
            if waiter.give_up():
                self._locks = None  # they now belong to the waiting thread
            elif not has_turn:
                self.release()
        return has_turn

    def release(self) -> None:
        """Let the next writer in."""
        if self._locks is not None:
            _unlock(self._locks.turn)

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        if self._locks is not None:
            self._locks.close()
            self._locks = None


class _Locks(NamedTuple):
    """Descriptors of the two lock files: that of the writer in turn, and that of the next one."""

    turn: int
    next: int

    @classmethod
    def opened(cls, path: Path) -> _Locks:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        turn = os.open(path, flags, 0o600)
        try:
            return cls(turn, os.open(path.with_name(f"{path.name}-next"), flags, 0o600))
        except BaseException:
            os.close(turn)
            raise

    def has_at_once(self) -> bool:
        """Take the lock if nobody has it, and nobody is next."""
        if not _lock(self.next, blocking=False):
            return False
        try:
            return _lock(self.turn, blocking=False)
        finally:
            _unlock(self.next)

    def wait(self) -> None:
        """Take the lock, after waiting for a limited time to be the next one."""
        for _ in range(_NEXT_TRIES):
            if _lock(self.next, blocking=False):
                break
            time.sleep(_NEXT_PAUSE_S)
        _lock(self.turn, blocking=True)
        _unlock(self.next)

    def close(self) -> None:
        """Close both, and with them the locks."""
        os.close(self.turn)
        os.close(self.next)


class _Waiter:
    """Waits in a thread of its own, since a blocking lock has no time limit."""

    def __init__(self, locks: _Locks) -> None:
        self._locks = locks
        self._guard = threading.Lock()
        self._is_given_up = False
        self._is_over = threading.Event()
        self._error: OSError | None = None

    def _wait(self) -> None:
        try:
            self._locks.wait()
        except OSError as error:
            self._error = error
        with self._guard:
            if self._is_given_up:
                self._locks.close()
            else:
                self._is_over.set()

    def has_lock_within(self, wait_s: float) -> bool:
        """Wait for the lock; returns whether it was taken in time."""
        threading.Thread(target=self._wait, name="slipstream-queue", daemon=True).start()
        is_over = self._is_over.wait(wait_s)
        if self._error is not None:
            raise UnavailableError(
                f"waiting for the other writers failed ({self._error}): try again"
            ) from self._error
        return is_over

    def give_up(self) -> bool:
        """Leave the locks to the waiting thread, which closes them; False when its waiting is over already."""
        with self._guard:
            self._is_given_up = not self._is_over.is_set()
            return self._is_given_up


def _lock(descriptor: int, *, blocking: bool) -> bool:
    if sys.platform == "win32":  # there only SQLite's own waiting is used
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_UN)
