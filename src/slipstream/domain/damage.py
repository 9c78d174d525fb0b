"""Damage below the records: in the files of a store itself, or in rows that no reader of records looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that a store found wrong with itself."""

    store: str
    """Which store: `graph.db`, `index.db`, `chroma`."""
    place: str
    """Where in the store; tells this damage from all others there, and tells the store what to mend."""
    what: str
    """What is wrong, in words."""
    remedy: str
    """What mends it: for a person to do, unless it `is_mendable`, when a repair does it."""
    is_mendable: bool = False
    hides_rows: bool = False
    """Whether reads may miss rows that are there: until it is mended, nothing may be taken for absent."""
    keys: tuple[str, ...] = ()
    """Encoded keys that are there more than once, though no read by key shows it."""

    @property
    def told(self) -> str:
        """The damage in one line."""
        mended = "`slipstream repair` mends it" if self.is_mendable else self.remedy
        return f"{self.store}: {self.place}: {self.what}: {mended}"

    def as_data(self) -> dict[str, Any]:
        """Return the damage as plain data, ready for JSON."""
        return {**asdict(self), "keys": list(self.keys)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Damage:
        """Return the damage that `as_data` was called on."""
        return cls(**{**data, "keys": tuple(data["keys"])})
