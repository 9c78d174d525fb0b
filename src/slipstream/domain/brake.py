"""
The brake: how much of an index may be deleted or embedded anew although no commit says so.

A log entry, a changed view, a migration or a request explains what is done because of it. What is only found by
comparing both sides is not explained: the graph may be the side that is damaged.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime

from slipstream.domain.errors import InvalidInputError

BRAKE = "brake"
"""The journal's name for what is braked; set until that is confirmed or no longer needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeSettings:
    """How much may be deleted or embedded anew unasked: `share` of the index, and never less than `records_min`."""

    share: float = 0.05
    """Share of the records in the index, in 0..1."""
    records_min: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInputError("must be within 0..1 (0.05 is 5 %)", field="brake.share")
        if self.records_min < 0:
            raise InvalidInputError("must not be negative", field="brake.records_min")

    def limit(self, index_records: int) -> int:
        """Return how many records may be deleted or embedded anew in an index of `index_records`."""
        return max(self.records_min, math.floor(self.share * index_records))


@dataclass(frozen=True, slots=True)
class Braked:
    """Why something was not done, and the plan that would do it, once there is one."""

    why: str
    at: datetime
    plan_id: str | None = None

    def dump(self) -> str:
        """Return the text that the journal keeps."""
        return json.dumps({"why": self.why, "at": self.at.isoformat(), "plan": self.plan_id})

    @classmethod
    def load(cls, text: str | None) -> Braked | None:
        """Return what `dump` wrote; None where nothing is braked."""
        if text is None:
            return None
        found = json.loads(text)
        return cls(found["why"], datetime.fromisoformat(found["at"]), found["plan"])
