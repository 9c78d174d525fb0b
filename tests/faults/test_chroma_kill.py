"""A real `kill -9` of an embedded Chroma: nothing acknowledged is lost, doubled or risen, and it opens every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.testkit.killing import IndexKillSuite


def open_chroma(folder: Path) -> ChromaIndex:
    """Open the index, in the worker and in the test."""
    return ChromaIndex.embedded(folder / "chroma")


@pytest.mark.slow
class TestChromaKilled(IndexKillSuite):
    kills = 8
    opener = f"{__name__}:{open_chroma.__name__}"
