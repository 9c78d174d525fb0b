"""
Puts a backup in the place of a PKG: built beside it, then swapped in one step.

The data folder is renamed in one step, with the configuration inside it; the configuration is then moved to where it
belongs, at once or by the next open (`finish_restore`). So a process that dies at any point leaves either the PKG
that was there or the one of the backup.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.backup.checking import manifest_of
from slipstream.app.backup.folders import begun, sync_path, unlock_name
from slipstream.app.backup.manifest import Manifest
from slipstream.app.backup.parts import BackupParts, OnStep, no_step
from slipstream.app.backup.staging import looked_through, make_durable, make_usable, stage
from slipstream.app.config import CONFIG_NAME
from slipstream.domain.errors import AlreadyExistsError, UnavailableError
from slipstream.signing.keys import FOLDER as SIGNING

_NEXT, _BEFORE = ".next", ".before"


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A PKG that was restored to the directory asked for."""

    directory: Path
    manifest: Manifest
    has_replaced: bool
    """Whether another PKG was there before."""


def restore(
    source: Path | str,
    directory: Path | str,
    parts: BackupParts,
    *,
    replace: bool = False,
    on_progress: OnStep = no_step,
) -> RestoreReport:
    """
    Restore a backup into a directory; the next open goes on from the moment of the backup.

    Raises `AlreadyExistsError` when there is a PKG already (unless `replace`), `UnavailableError` while a process
    has that PKG open and when the disk is full or fails, `CorruptionError` when the backup differs from its manifest.
    Then nothing has changed.
    """
    backup, root = Path(source), Path(directory)
    manifest = manifest_of(backup)
    data = root / parts.names.data
    is_there = data.exists() or (root / CONFIG_NAME).exists()
    if is_there and not replace:
        raise AlreadyExistsError(f"{root} holds a PKG already: choose another directory, or replace it (`--replace`)")
    was_missing = not root.exists()
    if data.exists():
        with parts.held_alone(data):  # refused before anything is copied; asked again for the swap
            pass
    try:
        _built(backup, manifest, root, parts, on_progress)
    except BaseException:
        if was_missing:
            with suppress(OSError):  # not empty: somebody else has put something there
                root.rmdir()
        raise
    return RestoreReport(root, manifest, is_there)


def _built(backup: Path, manifest: Manifest, root: Path, parts: BackupParts, on_progress: OnStep) -> None:
    """Build the restored data folder beside the present one, then put it in its place."""
    with begun(root, parts.clock.now(), parts.lock_at) as staged:
        files = sorted(manifest.files)
        stage(backup, files, staged, manifest.files, on_progress)
        looked_through(staged, files, parts)
        make_usable(staged, parts, has_vectors=manifest.index.has_vectors)
        _keep_signing_key(root / parts.names.data, staged)
        make_durable(staged)
        _put_in_place(root, staged, parts)


def _keep_signing_key(data: Path, staged: Path) -> None:
    """Copy the keys that are there: the directory goes on signing as it did. No backup holds them."""
    if (data / SIGNING).is_dir():
        shutil.copytree(data / SIGNING, staged / SIGNING)
        for path in (staged / SIGNING).iterdir():
            sync_path(path)


def _put_in_place(root: Path, staged: Path, parts: BackupParts) -> None:
    data = root / parts.names.data
    if data.exists():
        with parts.held_alone(data):
            _swap(staged, data, parts)
    else:
        try:
            staged.rename(data)
        except OSError as error:
            raise UnavailableError(
                f"{data} was made by another process just now ({error.strerror}): try again"
            ) from error
    unlock_name(data)
    sync_path(root)
    finish_restore(root, data)


def _swap(staged: Path, data: Path, parts: BackupParts) -> None:
    """Exchange both folders; if the system needs several steps, `finish_restore` can complete them after a crash."""
    if parts.exchange(staged, data):
        return
    following, before = (data.with_name(f"{data.name}{suffix}") for suffix in (_NEXT, _BEFORE))
    for left in (following, before):
        shutil.rmtree(left, ignore_errors=True)
    staged.rename(following)
    sync_path(data.parent)
    data.rename(before)
    with suppress(FileNotFoundError):  # another process that opened the PKG has just done this
        following.rename(data)
    sync_path(data.parent)
    shutil.rmtree(before)


def finish_restore(root: Path, data: Path) -> None:
    """
    Complete a restore that was killed in the middle; called at every open, before anything is read.

    Harmless when there is nothing to do, and when several processes call it at once.
    """
    following = data.with_name(f"{data.name}{_NEXT}")
    if following.exists() and not data.exists():
        with suppress(FileNotFoundError):
            following.rename(data)
    settings = data / CONFIG_NAME
    if settings.exists():
        unlock_name(data)  # not before: without this lock file the folder could be removed as a left one
        with suppress(FileNotFoundError):
            os.replace(settings, root / CONFIG_NAME)
        sync_path(data)
        sync_path(root)
