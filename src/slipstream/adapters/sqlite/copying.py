"""Files for a backup: pinned at one snapshot, copied page by page, checked, and held exclusively."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from slipstream.adapters.sqlite.errors import mapped, mapped_errors
from slipstream.domain.errors import UnavailableError

SQLITE_VERSION = sqlite3.sqlite_version
_BUSY_TIMEOUT_S = 30.0
_ALONE_TIMEOUT_S = 0.5
_PAGES_A_STEP = 512
_PROBLEMS_MAX = 10
_TAKEN = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class PinnedFile:
    """
    A file at the snapshot of the moment when this was made, while others go on writing it.

    A read transaction stays open until `close`: without one, a copy by pages would begin anew at each commit of
    another process. Writers do not wait for it, but the write-ahead log grows meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with mapped_errors(path):
            self.connection = _connect(path, _BUSY_TIMEOUT_S)
            try:
                self.connection.execute("BEGIN")
                self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # takes the snapshot
                pages, page = (self._pragma(name) for name in ("page_count", "page_size"))
            except BaseException:
                self.connection.close()
                raise
        self.page_bytes, self.size_bytes = page, pages * page

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"PRAGMA {name}").fetchone()[0])

    def copy_into(self, path: Path, on_step: Callable[[int], None]) -> None:
        """
        Copy the snapshot into a new file, which is not synced.

        `on_step` is called with the bytes copied, every two megabytes, and may raise to end the copy.
        """

        def told(_: int, left: int, pages: int) -> None:
            on_step((pages - left) * self.page_bytes)

        with mapped_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = OFF")  # an incomplete copy is thrown away
            copy.execute("PRAGMA synchronous = OFF")
            copy.execute("PRAGMA locking_mode = EXCLUSIVE")
            copy.execute("PRAGMA cache_size = 100")  # each page is written once, and never read
            self.connection.backup(copy, pages=_PAGES_A_STEP, progress=told)

    def close(self) -> None:
        """Release the snapshot; closing twice is harmless."""
        self.connection.close()


def _connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    # A missing file is not created. Not read-only: the log beside the file may have to be replayed.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,  # used by one thread at a time: it may be pinned in one, and copied in another
    )


def problems_of(path: Path) -> list[str]:
    """
    Return the first faults that SQLite finds in a file that nobody else has open.

    Raises `UnavailableError` when the disk is full or fails, which says nothing about the file.
    """
    try:
        with closing(_connect(path, _ALONE_TIMEOUT_S)) as connection:
            rows = connection.execute(f"PRAGMA integrity_check({_PROBLEMS_MAX})").fetchall()
    except sqlite3.DatabaseError as error:
        wrong = mapped(error, path)
        if isinstance(wrong, UnavailableError):
            raise wrong from error
        return [str(error)]
    return [str(row[0]) for row in rows if row[0] != "ok"]


@contextmanager
def held_alone(path: Path) -> Iterator[None]:
    """
    Keep all other processes out of a file; raises `UnavailableError` when one has it open.

    A file that is too damaged to be opened counts as free.
    """
    with closing(_connect(path, _ALONE_TIMEOUT_S)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            # Leaving WAL mode succeeds only for the sole user. The next open switches back to it.
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
            is_alone = mode == "delete"
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _TAKEN and isinstance(error, sqlite3.OperationalError):
                raise mapped(error, path) from error
            is_alone = not isinstance(error, sqlite3.OperationalError)
        if not is_alone:
            raise UnavailableError(f"another process has {path} open: end it, and try again")
        yield
