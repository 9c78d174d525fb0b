"""What the suite needs of a format: a source, the same one with less in it, and a damaged one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipstream.importers.options import ReadOptions

Write = Callable[[Path], list[Path]]
"""Writes a source into an empty folder, and returns the paths to import."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    A format's source.

    `shorter` is the same source, in which `gone` (entity ids) and their relationships are not mentioned any more.
    """

    write: Write
    shorter: Write
    gone: frozenset[str]
    damaged: Mapping[str, Write]
    """By what is wrong with it: a source of which at least one row, or all of it, must be refused."""
    entities: Mapping[str, tuple[str, Mapping[str, Any]]]
    """What the source holds, exactly: type and properties by id."""
    relationships: frozenset[str]
    """Ids of what it holds."""
    format: str | None = None
    """None: told by the files."""
    options: ReadOptions = field(default_factory=ReadOptions)
    is_one_file: bool = True
    """Whether it may be packed."""
