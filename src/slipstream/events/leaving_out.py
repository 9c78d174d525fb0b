"""Properties that no graph can keep are left out of a row, which is imported without them, and are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipstream.domain.names import NAME_SIZE_MAX, without_unkept

NAMES_MAX = 20
_OTHERS = "others"


@dataclass(slots=True)
class LeftOut:
    """How often each property was left out, and why; past `NAMES_MAX` names the rest is counted together."""

    counts: dict[str, int] = field(default_factory=dict)
    """By type and name."""
    notes: list[str] = field(default_factory=list)
    """One for each name that is counted."""

    def kept(self, type_name: str, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the properties that can be kept, and count the others."""
        kept, faults = without_unkept(properties)
        for name, fault in faults.items():
            self._count(f"{type_name}.{name}"[: 2 * NAME_SIZE_MAX], fault)
        return kept

    def _count(self, place: str, fault: str) -> None:
        if place not in self.counts and len(self.counts) >= NAMES_MAX:
            place = _OTHERS
        elif place not in self.counts:
            self.notes.append(f"the property {place} can not be kept and is left out: {fault}")
        self.counts[place] = self.counts.get(place, 0) + 1
