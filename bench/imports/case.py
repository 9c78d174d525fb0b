"""What is measured of a format: its source, how the bare parser reads it, and the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipstream.importers.options import ReadOptions


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    A format.

    `write` makes a source of so many records in a folder, the same one each time, and returns the paths to import;
    `parse` reads them with nothing but the parser, and returns how many records there were.
    """

    write: Callable[[Path, int], Sequence[Path]]
    parse: Callable[[Sequence[Path]], int]
    unit: str
    count: int
    target: float
    """The share of the speed of its parts that the import reaches."""
    options: ReadOptions | None = None
