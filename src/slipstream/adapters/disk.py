"""How much room there is on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(path: Path) -> int:
    """Return how many bytes this user may still write on the disk of a path; raises `OSError` for a missing path."""
    return shutil.disk_usage(path).free
