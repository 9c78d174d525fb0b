"""Standard input as a file: it is read twice, and known again when the same is piped in after an interruption."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipstream.domain.errors import ConfigError, InvalidInputError

_CHUNK_BYTES = 1 << 20
_FOLDER = "piped"
_LEFT_AFTER_S = 7 * 86_400.0
"""So long may an import of what was piped in take."""


@contextmanager
def piped(directory: Path, name: str | None, format_name: str | None) -> Iterator[Path]:
    """
    Yield a file beside the PKG that holds what is piped in; it is removed behind the block.

    Its name is `name`, or one for the format. The same content always gets the same path and time: so an import that
    was killed goes on when it is piped in again. Raises `InvalidInputError` without a name and a format.
    """
    from slipstream.importers.reading import PIPED_NAMES

    called = name or PIPED_NAMES.get(format_name or "")
    if called is None or Path(called).name != called:
        raise InvalidInputError("say what is piped in: --format csv, say, or --name people.csv", field="name")
    if sys.stdin is None:
        raise ConfigError("standard input is closed: name a file, or pipe one in")
    folder = _folder(directory)
    _remove_left(folder)
    with tempfile.TemporaryDirectory(dir=folder) as begun:
        taken = Path(begun) / called
        own = folder / _received(taken)
        os.utime(taken, (0, 0))
        own.mkdir(mode=0o700, exist_ok=True)
        taken.rename(own / called)
    try:
        yield own / called
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _received(path: Path) -> str:
    """Write what is piped in into a file, and return what tells its content."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("xb") as file:
        while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _remove_left(folder: Path) -> None:
    """Remove what killed processes have left: whatever nobody has touched for long."""
    for left in folder.iterdir():
        if time.time() - left.stat().st_ctime > _LEFT_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)


def _folder(directory: Path) -> Path:
    """Return a folder of this user alone, in the PKG; raises `ConfigError` when there is none."""
    from slipstream.app.composition import DATA_FOLDER
    from slipstream.app.config import load_config

    load_config(directory)
    folder = directory / DATA_FOLDER / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
