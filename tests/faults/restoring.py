"""Copying the graph file of a closed PKG, and bringing the copy back."""

from __future__ import annotations

import shutil
from pathlib import Path

GRAPH = "graph.db"
_FILES = (GRAPH, f"{GRAPH}-wal")
"""All that the graph consists of: the file, and what an open or killed process has not moved into it yet."""


def copy_graph(root: Path, backup: Path) -> None:
    """Copy the graph of a closed PKG into a new directory."""
    backup.mkdir()
    for file in (root / ".slipstream" / name for name in _FILES):
        if file.exists():
            shutil.copy2(file, backup / file.name)


def restore_graph(backup: Path, root: Path) -> None:
    """Put a copied graph in the place of the one that is there."""
    for name in (*_FILES, f"{GRAPH}-shm"):
        (root / ".slipstream" / name).unlink(missing_ok=True)
    for file in backup.iterdir():
        shutil.copy2(file, root / ".slipstream" / file.name)
