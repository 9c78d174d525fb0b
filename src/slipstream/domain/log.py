"""Entries of a change log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from slipstream.domain.events import PKGEvent
from slipstream.domain.positions import Position


@dataclass(frozen=True, slots=True)
class Rescan:
    """
    A log entry of unknown effect: everything of its types is to be compared.

    Written when a graph was restored, or a trigger was found to be gone. `types` are the entity and relationship
    types that can have changed; None means any.
    """

    position: Position
    types: frozenset[str] | None = None


LogEntry: TypeAlias = "PKGEvent | Rescan"


def position_of(entry: LogEntry) -> Position:
    """Return the position of a log entry; raises `ValueError` for an event that no log has numbered."""
    if entry.position is None:
        raise ValueError(f"{entry!r} has no position: it did not come from a log")
    return Position(entry.position)
