"""Standard input as a file: it is read twice, and known again when the same is piped in after an interruption."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slipstream.domain.errors import ConfigError, InvalidInputError

_CHUNK_BYTES = 1 << 20
_FOLDER = "piped"


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
    digest = hashlib.blake2b(digest_size=16)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        taken = Path(file.name)
        while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    own = folder / digest.hexdigest()
    try:
        own.mkdir(mode=0o700, exist_ok=True)
        os.utime(taken, (0, 0))
        yield taken.rename(own / called)
    finally:
        taken.unlink(missing_ok=True)
        (own / called).unlink(missing_ok=True)
        with suppress(OSError):  # another process has just been given the same
            own.rmdir()


def _folder(directory: Path) -> Path:
    """Return a folder of this user alone, in the PKG; raises `ConfigError` when there is none."""
    from slipstream.app.composition import DATA_FOLDER
    from slipstream.app.config import load_config

    load_config(directory)
    folder = directory / DATA_FOLDER / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
