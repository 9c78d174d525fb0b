"""How much room there is on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(path: Path) -> int:
    """Return how many bytes this user may still write where the path is; raises `OSError` when it is not there."""
    return shutil.disk_usage(path).free
