"""Overwrites what SQLite has freed in a file, in a child process: see `wiper`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipstream.adapters.sqlite import wiper
from slipstream.domain.errors import CorruptionError, UnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiped:
    """What was overwritten in one file."""

    pages: int
    """Pages of the file, all of which were looked at."""
    wiped_bytes: int
    """Old bytes that were replaced by zeros."""
    left: tuple[int, ...]
    """How often each text that was sought still stands in the file: in rows that are in use."""


def wipe(path: Path, sought: Sequence[str] = (), *, timeout_s: float = 30.0) -> Wiped:
    """
    Overwrite every free byte of a SQLite file and empty its write-ahead log, while others have it open.

    Writers wait meanwhile; readers do not, but a reader that keeps one snapshot open for `timeout_s` seconds prevents
    it. Idempotent, and harmless wherever it dies. Raises `UnavailableError` when the file was not to be had in time,
    `CorruptionError` when it is damaged or of a form that is not known.
    """
    texts = [text.encode("utf-8", "surrogatepass").hex() for text in sought]
    asked = json.dumps({"path": str(path), "timeout_s": timeout_s, "sought": texts})
    done = subprocess.run(  # noqa: S603  (this Python, and a file of ours)
        [sys.executable, "-I", "-S", wiper.__file__],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s + 600,
    )
    if done.returncode == 0:
        found = json.loads(done.stdout)
        return Wiped(pages=found["pages"], wiped_bytes=found["wiped"], left=tuple(found["left"]))
    said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    if done.returncode == wiper.BUSY:
        raise UnavailableError(
            f"{path}: what was deleted could not be overwritten within {timeout_s:g} s, for another program reads or "
            f"writes the file without a pause ({said[0]}): end it, and erase again"
        )
    raise CorruptionError(f"{path}: what was deleted can not be overwritten ({said[0]}): see `slipstream doctor`")
