"""
A lock file that one process holds, and whose holder others can see to be alive.

The holder changes the file's time at intervals. Others do not read a clock from it: the time only has to differ from
the one before.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from pathlib import Path
from typing import NamedTuple, Protocol

from slipstream.domain.errors import ConfigError

logger = logging.getLogger(__name__)


class Sign(NamedTuple):
    """Identifies the holder of a lock file, and its latest beat."""

    device: int
    inode: int
    touched_ns: int


class LockFile(Protocol):
    """A lock file as one process sees it. For one thread at a time."""

    can_be_replaced: bool
    """Whether a file that another process holds can be replaced by a new one."""

    def lock(self) -> bool:
        """Take the lock without waiting; False when somebody holds it."""
        ...

    def is_current(self) -> bool:
        """Whether the file locked here is still the one at the path."""
        ...

    def touch(self) -> None:
        """Show others that the holder is alive."""
        ...

    def sign(self) -> Sign | None:
        """Return the sign of the file at the path; None when there is no file."""
        ...

    def unlock(self) -> None:
        """Let go; harmless when nothing is held."""
        ...


def lock_file(path: Path) -> LockFile:
    """Return the lock file at a path, in the kind that this system has."""
    try:
        import fcntl  # noqa: F401  (asked for, used below)
    except ImportError:
        return PortableLockFile(path)
    return PosixLockFile(path)


class PosixLockFile:
    """Locked by `flock`, which goes with the process, however it ends."""

    can_be_replaced = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._touched_ns = 0

    def lock(self) -> bool:
        """Lock the file at the path; try again if it was replaced between opening and locking."""
        while True:
            descriptor = self._opened(self._path, os.O_CREAT)
            if not _flock(descriptor):
                os.close(descriptor)
                return False
            self._descriptor = descriptor
            if self.is_current():
                self._sign_in()
                return True
            self.unlock()

    def _opened(self, path: Path, flags: int) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{path} can not be opened ({error.strerror}): check that the directory is there and may be written"
            ) from error

    def _sign_in(self) -> None:
        """Write the process's number into the file, for people; on a full disk it is left out."""
        if self._descriptor is None:
            return
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            logger.warning("%s does not say which process holds it: %s", self._path, error.strerror)

    def is_current(self) -> bool:
        """Return whether the locked file is the one at the path."""
        if self._descriptor is None:
            return False
        mine, found = os.fstat(self._descriptor), self.sign()
        return found is not None and (found.device, found.inode) == (mine.st_dev, mine.st_ino)

    def touch(self) -> None:
        """Change the time of the locked file, even if it is no longer the one at the path."""
        if self._descriptor is not None:
            self._touched_ns = max(time.time_ns(), self._touched_ns + 1)
            os.utime(self._descriptor, ns=(self._touched_ns, self._touched_ns))

    def sign(self) -> Sign | None:
        """Return the sign of the file at the path; None when there is none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return Sign(found.st_dev, found.st_ino, found.st_mtime_ns)

    def unlock(self) -> None:
        """Close the file without removing it: a process that has it open could lock a removed file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def successor(self) -> Successor:
        """Return a new, locked file that can replace the one that another process holds."""
        beside = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}")
        successor = Successor(self._path, beside)
        successor._descriptor = self._opened(beside, os.O_CREAT | os.O_EXCL)  # noqa: SLF001  (same module)
        _flock(successor._descriptor)  # noqa: SLF001
        successor._sign_in()  # noqa: SLF001
        return successor


class Successor(PosixLockFile):
    """A locked file that has not been moved to its path yet."""

    def __init__(self, path: Path, beside: Path) -> None:
        super().__init__(path)
        self._beside = beside

    def put_in_place(self) -> None:
        """Replace whatever is at the path, in one step."""
        self._beside.replace(self._path)

    def discard(self) -> None:
        """Unlock it, and remove it from beside the path."""
        self.unlock()
        self._beside.unlink(missing_ok=True)


class PortableLockFile:
    """Locked by the library `filelock`, where there is no `flock`. A stopped holder is never replaced."""

    can_be_replaced = False

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self._path, self._lock = path, FileLock(path)

    def lock(self) -> bool:
        """Lock the file at the path."""
        from filelock import Timeout

        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise ConfigError(f"{self._path} can not be locked ({error}): check that it may be written") from error
        return True

    def is_current(self) -> bool:
        """Return whether the file is locked: it is never replaced."""
        return self._lock.is_locked

    def touch(self) -> None:
        """Do nothing: nobody reads the time."""

    def sign(self) -> Sign | None:
        """Return None: holders are never replaced."""
        return None

    def unlock(self) -> None:
        """Let go."""
        self._lock.release()


def holder_of(path: Path) -> str | None:
    """Return who holds a lock file, as the file says; None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 64, 0).decode("ascii", "replace").strip() or "unknown"
    except ImportError:
        return "unknown"
    finally:
        os.close(descriptor)
    return None


def _flock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
