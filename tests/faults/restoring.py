"""Copying the graph file of a closed PKG, and bringing the copy back."""

from __future__ import annotations

import shutil
from pathlib import Path

GRAPH = "graph.lbug"


def copy_graph(root: Path, backup: Path) -> None:
    """Copy the graph of a closed PKG into a new directory."""
    backup.mkdir()
    for file in (root / ".slipstream").glob(f"{GRAPH}*"):
        shutil.copy2(file, backup / file.name)


def restore_graph(backup: Path, root: Path) -> None:
    """Put a copied graph in the place of the one that is there."""
    for file in (root / ".slipstream").glob(f"{GRAPH}*"):
        file.unlink()
    for file in backup.iterdir():
        shutil.copy2(file, root / ".slipstream" / file.name)
