"""The one place that maps SQLite's errors to ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType

from slipstream.domain.errors import (
    CorruptionError,
    DiskFullError,
    InvalidInputError,
    SlipstreamError,
    UnavailableError,
)

_FIXES = {
    sqlite3.SQLITE_BUSY: "another process is writing for long; try again",
    sqlite3.SQLITE_LOCKED: "another connection holds the table; try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then try again",
    sqlite3.SQLITE_IOERR: "reading or writing failed; look after the disk, then try again",
    sqlite3.SQLITE_CANTOPEN: "it can not be opened; check that the folder exists and may be written",
    sqlite3.SQLITE_READONLY: "it may not be written; check its permissions",
    sqlite3.SQLITE_PERM: "access is refused; check its permissions",
    sqlite3.SQLITE_NOMEM: "memory ran out; free some, then try again",
    sqlite3.SQLITE_INTERRUPT: "the call was interrupted; try again",
    sqlite3.SQLITE_PROTOCOL: "its lock is contended; try again",
}
"""Primary result codes that mean "not now", and what to do about each. Every other one means damage."""

_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
"""Codes for a full disk: no room for the file, or for what a new connection needs beside it."""


class mapped_errors:  # noqa: N801  (read as a word; a class, for a generator would cost as much as a statement)
    """Raise our errors in place of SQLite's, naming the file."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error | OverflowError | UnicodeEncodeError):
            raise mapped(error, self._path) from error


def mapped(error: Exception, path: Path) -> SlipstreamError:
    """Return what a caller should see instead of an error of the `sqlite3` module."""
    if isinstance(error, OverflowError | UnicodeEncodeError | sqlite3.IntegrityError):
        return InvalidInputError(f"a value can not be stored in {path}: {error}", field="record")
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        if "closed" in str(error):
            return UnavailableError(f"{path} is closed ({error}); open the store anew")
        return InvalidInputError(f"a value can not be stored in {path}: {error}", field="record")
    code = getattr(error, "sqlite_errorcode", None)
    fix = None if code is None else _FIXES.get(sqlite3.SQLITE_FULL if code in _NO_ROOM else code & 0xFF)
    if fix is not None:
        kind = DiskFullError if code in _NO_ROOM else UnavailableError
        return kind(f"{path}: {error}: {fix}")
    return CorruptionError(
        f"{path} is damaged ({error}): restore a backup of it (only an index may be deleted: it is built anew)"
    )
