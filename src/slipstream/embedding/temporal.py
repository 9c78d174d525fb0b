"""
Temporal fusion: an event's vector is made of its content, its time and its causes.

Each part is embedded on its own; the unit vectors are added with weights and the sum is brought back to unit
length. A part that is absent drops out and the other weights are scaled up to one. All of it is pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from slipstream.domain.errors import ConfigError
from slipstream.domain.stamps import Vector
from slipstream.domain.temporal import TemporalEmbeddingContext

# Names are spelled out because strftime("%A") follows the process's locale and the text must not.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_SUM_NORM_MIN = 1e-3
"""Below this length a fused sum is mostly rounding: the parts cancel each other."""


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """How much content, time and causes count; only their ratios matter."""

    content: float = 0.6
    time: float = 0.3
    causes: float = 0.1

    def __post_init__(self) -> None:
        weights = (self.content, self.time, self.causes)
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or self.content == 0:
            raise ConfigError(
                f"fusion weights {weights} can not be used: give finite numbers, content > 0, time and causes >= 0"
            )

    @property
    def rule(self) -> str:
        """The weights and the version of the rules below, as they go into a fingerprint."""
        total = self.content + self.time + self.causes
        shares = (round(weight / total, 9) for weight in (self.content, self.time, self.causes))
        return "fusion/1:" + ",".join(f"{share:g}" for share in shares)


class WeightedText(NamedTuple):
    """One part of a request, and its share of the vector."""

    weight: float
    text: str


def parts_of(
    content: str, context: TemporalEmbeddingContext | None, weights: FusionWeights
) -> tuple[WeightedText, ...]:
    """
    Return the texts to embed for a request; their weights sum to one.

    Empty texts and zero weights drop out; when nothing is left, the content stays, even if empty.
    """
    if context is None:
        return (WeightedText(1.0, content),)
    given = (
        (weights.content, content),
        (weights.time, time_text(context)),
        (weights.causes, causes_text(context)),
    )
    present = [(weight, text) for weight, text in given if weight > 0 and text]
    if not present:
        return (WeightedText(1.0, content),)
    total = sum(weight for weight, _ in present)
    return tuple(WeightedText(weight / total, text) for weight, text in present)


def applies(context: TemporalEmbeddingContext | None, weights: FusionWeights) -> bool:
    """Return whether a context holds anything that changes the vector."""
    if context is None:
        return False
    return bool((weights.time > 0 and time_text(context)) or (weights.causes > 0 and causes_text(context)))


def fuse(vectors: Sequence[Vector], weights: Sequence[float]) -> Vector:
    """
    Return the unit-length weighted sum of unit vectors.

    When they cancel each other, so that the sum has no direction to speak of, the heaviest one (the first of
    them) stands for all.
    """
    if len(vectors) == 1:
        return vectors[0]
    total = np.zeros(vectors[0].shape, dtype=np.float64)
    for vector, weight in zip(vectors, weights, strict=True):
        total += weight * vector.astype(np.float64)
    norm = float(np.linalg.norm(total))
    if norm < _SUM_NORM_MIN * sum(weights):
        return vectors[int(np.argmax(weights))]
    return (total / norm).astype(np.float32)


def time_text(context: TemporalEmbeddingContext) -> str:
    """Return when, for how long and what kind, in words; empty when the context says none of it."""
    said = []
    if context.timestamp is not None:
        said.append(_moment_text(context.timestamp))
    if context.duration is not None:
        said.append(f"lasting {duration_text(context.duration)}")
    if context.temporal_type:
        said.append(context.temporal_type)
    return ", ".join(said)


def causes_text(context: TemporalEmbeddingContext) -> str:
    """Return what came before and what led to it, in the given order; empty when the context says neither."""
    said = []
    if context.event_sequence:
        said.append("after " + ", then ".join(context.event_sequence))
    if context.causal_chain:
        said.append("caused by " + ", leading to ".join(context.causal_chain))
    return "; ".join(said)


def duration_text(duration: timedelta) -> str:
    """Return a duration in days, hours, minutes and seconds, the units that are zero left out."""
    sign = "minus " if duration < timedelta(0) else ""
    size = abs(duration)
    hours, rest = divmod(size.seconds, 3600)  # `seconds` is less than a day; `days` has the rest
    minutes, seconds = divmod(rest, 60)
    exact_seconds = seconds + size.microseconds / 1e6
    amounts = ((size.days, "day"), (hours, "hour"), (minutes, "minute"), (exact_seconds, "second"))
    said = [f"{amount:.10g} {unit}{'' if amount == 1 else 's'}" for amount, unit in amounts if amount]
    return sign + (" ".join(said) or "0 seconds")


def _moment_text(moment: datetime) -> str:
    month = _MONTHS[moment.month - 1]
    quarter = (moment.month + 2) // 3
    clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    return (
        f"{moment.date().isoformat()} {_WEEKDAYS[moment.weekday()]}, {month} {moment.year}, "
        f"Q{quarter} {moment.year}, {clock} UTC"
    )
