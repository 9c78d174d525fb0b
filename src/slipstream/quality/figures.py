"""What a run measures of one record, as it is kept for the record's trend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

RECORDS_MAX = 10_000
"""Records of one run whose figures are kept: those whose keys have the smallest digests, the same from run to run."""


@dataclass(slots=True)
class RecordFigures:
    """Figures of one record; None where a run did not look, or there is nothing to see."""

    key: str
    entity_type: str
    norm: float | None
    """Length of the vector: a sound one has 1."""
    confidence: float | None
    valid: bool = True
    nearest_distance: float | None = None
    """Cosine distance of the nearest other record."""
    nearest: str | None = None
    neighbour_of: int = 0
    """How many records that the run looked at have this one among their nearest; with a high number it is a hub."""
    self_rank: int | None = None
    """The rank at which a search for its own name finds it; 0: not found."""

    def row(self) -> Sequence[Any]:
        """Return the figures as a row for JSON."""
        return astuple(self)

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> RecordFigures:
        """Return what `row` wrote; raises `TypeError` or `ValueError` for anything else."""
        if len(row) != len(fields(cls)):
            raise ValueError(f"{len(row)} figures instead of {len(fields(cls))}")
        return cls(*row)


def confidence_change(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """Return by how much the confidence of a record changed over its runs; None with fewer than two that know it."""
    known = [run["confidence"] for run in runs if run["confidence"] is not None]
    return round(known[-1] - known[0], 9) if len(known) > 1 else None
