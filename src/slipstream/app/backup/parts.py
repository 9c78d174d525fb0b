"""What backup and restore are given by the composition root, which alone knows the adapters of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.backup.auditing import OpenCopy
from slipstream.app.backup.folders import LockAt
from slipstream.app.config import Config
from slipstream.ports.backup import Pinned, PinnedGraph, PinnedIndex
from slipstream.ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """The files of a PKG's data folder that a backup knows of."""

    data: str
    """The folder, in the PKG's directory."""
    graph: str
    index: str
    cache: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupParts:
    """The outside, as backup and restore see it."""

    names: FileNames
    sqlite_version: str
    clock: Clock
    pin_graph: Callable[[Path], PinnedGraph]
    pin_index: Callable[[Path], PinnedIndex]
    pin_file: Callable[[Path], Pinned]
    problems_of: Callable[[Path], Sequence[str]]
    """What the store itself finds wrong with one of its files."""
    make_ready: Callable[[Path, Iterable[str]], None]
    """Removes from a copy of the journal's file what must not happen again, and the named values."""
    has_vectors: Callable[[Config], bool]
    """Whether the journal's file holds the vectors too."""
    opened_copy: Callable[[Path, Config], AbstractContextManager[OpenCopy]]
    held_alone: Callable[[Path], AbstractContextManager[None]]
    """Keeps everybody out of a data folder; raises `UnavailableError` when a process has it open."""
    exchange: Callable[[Path, Path], bool]
    """Exchanges two names in one step; False where the system can not do that."""
    lock_at: LockAt


@dataclass(frozen=True, slots=True)
class Step:
    """How far one stage of the work is."""

    stage: str
    unit: str
    done: int
    total: int | None = None


OnStep = Callable[[Step], None]
"""Told of the progress; may raise, to stop: then nothing is left behind."""


def no_step(step: Step) -> None:
    """Tell nobody."""
    del step
