"""Folders of backups: made under a temporary name, renamed when whole, removed when there are too many."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from slipstream.app.backup.manifest import Manifest, manifest_or_none
from slipstream.domain.errors import ConfigError, DiskFullError, UnavailableError

_PREFIX = "slipstream-"
_BEGUN = ".partial"
_LOCK_NAME = "running.lock"
_ATTEMPTS_MAX = 10


class Lock(Protocol):
    """A lock file whose lock ends with its process, however the process ends."""

    def lock(self) -> bool:
        """Take it without waiting; False when somebody holds it."""
        ...

    def unlock(self) -> None:
        """Let go; harmless when nothing is held."""
        ...


LockAt = Callable[[Path], Lock]


@contextmanager
def disk_trouble(place: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into `DiskFullError` when the disk is full, else into `UnavailableError`."""
    try:
        yield
    except OSError as error:
        where = place if error.filename is None else os.fsdecode(error.filename)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{where}: {error.strerror}: free some space, then try again") from error
        raise UnavailableError(f"{where}: {error.strerror}: look after the disk, then try again") from error


@contextmanager
def begun(destination: Path, now: datetime, lock_at: LockAt, remedy: str = "choose another folder") -> Iterator[Path]:
    """
    Yield a new folder for a backup, under a temporary name; `finish` gives it its final one.

    An unfinished folder is removed at the end of the block; what killed processes have left is removed first.
    Raises `ConfigError`, with the remedy, when no folder can be made; errors of the block as `disk_trouble` does.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        remove_left(destination, f".{_PREFIX}*{_BEGUN}", lock_at)
        folder, lock = _locked(destination, now, lock_at)
    except OSError as error:
        raise ConfigError(f"{destination} can not hold a backup ({error.strerror}): {remedy}") from error
    try:
        with disk_trouble(destination):
            yield folder
    finally:
        lock.unlock()
        shutil.rmtree(folder, ignore_errors=True)


def _locked(destination: Path, now: datetime, lock_at: LockAt) -> tuple[Path, Lock]:
    """Make a folder and lock it; try again when another process removes it as a left one before it is locked."""
    for _ in range(_ATTEMPTS_MAX):
        folder = _made(destination, now)
        lock = lock_at(folder / _LOCK_NAME)
        try:
            if lock.lock():
                return folder, lock
        except ConfigError:
            if folder.exists():
                raise
    raise UnavailableError(f"other processes keep cleaning {destination}: try again")


def _made(destination: Path, now: datetime) -> Path:
    """Make a folder named after this second, numbered if that name is taken."""
    stem, number = f"{_PREFIX}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}", 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        folder = destination / f".{name}{_BEGUN}"
        if not (destination / name).exists():
            try:
                folder.mkdir(mode=0o700)
                return folder
            except FileExistsError:  # another process makes one in the same second
                pass
        number += 1


def finish(folder: Path) -> Path:
    """Give a whole backup its own name, durably."""
    sync_path(folder)
    whole = folder.with_name(folder.name.removeprefix(".").removesuffix(_BEGUN))
    folder.rename(whole)
    unlock_name(whole)  # not before: a folder without it is taken for a left one
    sync_path(whole.parent)
    return whole


def unlock_name(folder: Path) -> None:
    """Remove the lock file of a folder that already has its final name."""
    (folder / _LOCK_NAME).unlink(missing_ok=True)


def remove_left(parent: Path, pattern: str, lock_at: LockAt) -> None:
    """Remove folders that killed processes have left; folders in use are locked, and stay."""
    for folder in parent.glob(pattern):
        if not folder.is_dir():
            continue
        lock = lock_at(folder / _LOCK_NAME)
        if lock.lock():
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                lock.unlock()


def keep_newest(destination: Path, count: int, graph_id: str, made: Path) -> list[Path]:
    """
    Remove all whole backups of a graph but the newest `count`, and return what was removed.

    The one just `made` counts as the newest, whatever the clock says.
    """
    found = [folder for folder, manifest in whole_backups(destination) if manifest.graph_id == graph_id]
    others = [folder for folder in found if folder.name != made.name]
    gone = others[: max(0, len(others) + 1 - count)]
    for folder in gone:
        # Renamed first: a half removed one must not look like a backup.
        doomed = folder.with_name(f".{folder.name}{_BEGUN}")
        folder.rename(doomed)
        shutil.rmtree(doomed)
    return gone


def whole_backups(destination: Path) -> list[tuple[Path, Manifest]]:
    """Return the folders with a manifest of ours, oldest first."""
    folders = (each for each in destination.iterdir() if each.is_dir() and not each.name.startswith("."))
    found = [(folder, manifest) for folder in folders if (manifest := manifest_or_none(folder)) is not None]
    return sorted(found, key=lambda pair: (pair[1].created_at, pair[0].name))


def sync_path(path: Path) -> None:
    """Make a file, or the entries of a folder, durable."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can not open a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
