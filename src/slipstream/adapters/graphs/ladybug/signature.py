"""The clean-close signature: proof that nobody wrote the database since this adapter closed it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


def _side_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.clean")


def _current(path: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for file in (path, path.with_name(f"{path.name}.wal"), path.with_name(f"{path.name}.shadow")):
        with suppress(FileNotFoundError):  # the log and the shadow come and go
            stat = file.stat()
            found[file.name] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    return found


def take_signature(path: Path) -> bool:
    """Whether the signature of the last clean close still matches; it is used up, so that a crash leaves none."""
    side_file = _side_file(path)
    try:
        left = json.loads(side_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # never closed cleanly, or died while writing it: the same answer
        left = None
    matches = left is not None and left == _current(path)
    side_file.unlink(missing_ok=True)
    return matches


def leave_signature(path: Path) -> None:
    """Record what the files look like right after a clean close."""
    _side_file(path).write_text(json.dumps(_current(path)), encoding="utf-8")
