"""Puts a backup, finished or not, together as the directory of a PKG, and checks it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slipstream.app.backup.auditing import CopyFound, audit_copy
from slipstream.app.backup.folders import sync_path
from slipstream.app.backup.manifest import FileEntry, copied
from slipstream.app.backup.parts import BackupParts, OnStep, Step
from slipstream.app.config import CONFIG_NAME, Config
from slipstream.audit.pacing import FULL_SPEED, Pace
from slipstream.domain.errors import CorruptionError
from slipstream.domain.journal_names import TOLD_OF_INDEX


def stage(
    folder: Path, names: Sequence[str], data: Path, expected: Mapping[str, FileEntry], on_step: OnStep
) -> dict[str, FileEntry]:
    """
    Copy files of a backup, the configuration included, into a new data folder; return the entries of what was read.

    Raises `CorruptionError` when a file is missing or differs from what is expected.
    """
    found: dict[str, FileEntry] = {}
    done, total = 0, sum(_size_of(folder / name) for name in names)

    def told(size: int) -> None:
        on_step(Step("checking", "bytes", done + size, total))

    for name in names:
        found[name] = copied(folder / name, data / name, told)
        done += found[name].size_bytes
        if expected.get(name, found[name]) != found[name]:
            raise CorruptionError(
                f"{folder / name} is not what the manifest says (size or sha256 differ): use another backup"
            )
    return found


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise CorruptionError(f"{path} can not be read ({error.strerror}): use another backup") from error


def make_usable(data: Path, parts: BackupParts, *, has_vectors: bool) -> None:
    """Make what was staged ready to be opened as a PKG."""
    index = data / parts.names.index
    if index.exists():
        parts.make_ready(index, () if has_vectors else TOLD_OF_INDEX)


def make_durable(data: Path) -> None:
    """Sync everything staged to the disk."""
    for path in data.iterdir():
        sync_path(path)
    sync_path(data)


def looked_through(folder: Path, names: Sequence[str], parts: BackupParts) -> None:
    """Have the store check its own files; raises `CorruptionError` with what it finds."""
    for name in names:
        if name != CONFIG_NAME and (problems := parts.problems_of(folder / name)):
            raise CorruptionError(
                f"{name} is damaged ({'; '.join(problems)}): take an older backup, or make a new one"
            )


def audited(
    scratch: Path, config: Config, parts: BackupParts, on_step: OnStep, expected: int, pace: Pace = FULL_SPEED
) -> CopyFound:
    """Audit a PKG that nobody else knows of."""
    with parts.opened_copy(scratch, config) as copy:
        return audit_copy(copy, lambda keys: on_step(Step("auditing", "records", keys, max(keys, expected))), pace)
