"""What is asked of the engine, and whether a run shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for one figure."""

    figure: str
    bound: float
    at_most: bool
    strict: bool = False

    @property
    def text(self) -> str:
        """The bound in signs."""
        sign = ("<" if self.at_most else ">") if self.strict else ("≤" if self.at_most else "≥")
        return f"{sign} {self.bound:g}"

    def is_met(self, figures: Mapping[str, object]) -> bool | None:
        """Whether the figure keeps the bound; None when it was not measured."""
        value = figures.get(self.figure)
        if not isinstance(value, int | float):
            return None
        if value == self.bound:
            return not self.strict
        return value < self.bound if self.at_most else value > self.bound


TARGETS = (
    Target("freshness_ratio_p95", 2.0, at_most=True),
    Target("freshness_p95_ms", 1_000.0, at_most=True, strict=True),
    Target("model_ratio", 0.9, at_most=False),
    Target("model_updates_per_s", 100.0, at_most=False, strict=True),
    Target("static_ratio", 0.6, at_most=False),
)


def targets_as_dicts(figures: Mapping[str, object]) -> list[dict[str, object]]:
    """Return every target with its verdict, ready for JSON."""
    return [
        {
            "figure": target.figure,
            "value": figures.get(target.figure),
            "target": target.text,
            "met": target.is_met(figures),
        }
        for target in TARGETS
    ]
