"""What an audit found."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position

CLASSES = ("missing", "orphaned", "stale", "outdated", "wrong_model", "duplicate")
"""Divergence classes, in the order in which they are reported."""


@dataclass(slots=True)
class TypeCoverage:
    """Of one entity or relationship type: records expected, found, and found to match the graph."""

    expected: int = 0
    found: int = 0
    fresh: int = 0


@dataclass(slots=True)
class AuditReport:
    """
    Both sides compared at `position`, the graph's head when the audit began.

    `divergences` maps each class to its keys. `consistency` is fresh matching vectors over expected ones, 1.0 for
    an empty graph without vectors; records that should not be there count against it too.
    """

    position: Position
    frontier: Position | None = None
    total_entities: int = 0
    total_embeddings: int = 0
    expected: int = 0
    fresh: int = 0
    duration_s: float = 0.0
    coverage: dict[str, TypeCoverage] = field(default_factory=dict)
    divergences: dict[str, list[RecordKey]] = field(default_factory=lambda: {name: [] for name in CLASSES})
    unrenderable: list[RecordKey] = field(default_factory=list)
    """Keys whose view fails on them: they can have no vector until view or data change."""

    @property
    def consistency(self) -> float:
        """Fresh matching vectors over everything that is expected or should not be there, in 0..1."""
        surplus = len(self.divergences["orphaned"]) + len(self.divergences["duplicate"])
        total = self.expected + surplus
        return 1.0 if total == 0 else self.fresh / total

    @property
    def is_consistent(self) -> bool:
        """Whether no divergence of any class was found."""
        return not self.unrenderable and not any(self.divergences.values())

    def divergent_keys(self) -> list[RecordKey]:
        """Return every divergent key once."""
        keys = [key for found in self.divergences.values() for key in found] + self.unrenderable
        return list(dict.fromkeys(keys))
