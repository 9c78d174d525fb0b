"""What a reading of the environment brought, and what it had to leave out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

EXAMPLES_MAX = 20


@dataclass(slots=True)
class CorpusReport:
    """Counts of a reading, filled while it is consumed. Nothing is left out without being counted in `skipped`."""

    entities: Counter[str] = field(default_factory=Counter)
    """Entities by type."""
    relationships: Counter[str] = field(default_factory=Counter)
    """Relationships by type."""
    skipped: Counter[str] = field(default_factory=Counter)
    """What was left out, by reason: `unreadable source`, `oversized source`, `no file list`, …"""
    examples: list[str] = field(default_factory=list)
    """The first of what was left out, with the reason."""
    truncated: bool = False
    """Whether `entities_max` ended the reading early."""

    @property
    def entity_count(self) -> int:
        """How many entities there were."""
        return self.entities.total()

    @property
    def relationship_count(self) -> int:
        """How many relationships there were."""
        return self.relationships.total()

    def skip(self, reason: str, what: str) -> None:
        """Count something that is left out."""
        self.skipped[reason] += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(f"{reason}: {what}")
