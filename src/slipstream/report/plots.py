"""Where the marks of the evidence page's plots stand: plain geometry, no markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from slipstream.audit.ratios import percent

_SPAN_MIN = 1e-5
"""A plot of consistencies shows at least this much below 1.0."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing area in user units, with the room that the labels around it take."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Point:
    """One audit on a plot."""

    x: float
    y: float
    label: str
    is_whole: bool
    """Whether the audit looked at everything, not at some keys."""
    is_latest: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled height."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Points from left to right, over time."""

    title: str
    frame: Frame
    points: Sequence[Point]
    ticks: Sequence[Tick]
    is_from_zero: bool = True
    """Whether the heights begin at 0, so that the area under the line means something."""

    @property
    def line(self) -> str:
        """The points as an SVG `points` attribute."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)

    @property
    def base(self) -> float:
        """The height of the bottom line."""
        return self.frame.height - self.frame.bottom

    @property
    def area(self) -> str:
        """The surface under the line as an SVG `points` attribute."""
        if not self.points:
            return ""
        first, last = self.points[0].x, self.points[-1].x
        return f"{first},{self.base} {self.line} {last},{self.base}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One audit, as the plots see it."""

    at: datetime
    value: float
    label: str
    is_whole: bool
    is_latest: bool


LARGE = Frame(width=760, height=230, left=74, right=14, top=14, bottom=30)
SMALL = Frame(width=360, height=92, left=52, right=10, top=10, bottom=8)


def consistency_plot(samples: Sequence[Sample]) -> Plot:
    """Place consistencies between the worst of them and 1.0."""
    span = max(_SPAN_MIN, 1.0 - min((sample.value for sample in samples), default=1.0))
    step = _round_step(span / 3)
    steps = math.ceil(round(span / step, 6))
    heights = [max(0.0, round(1.0 - n * step, 12)) for n in range(steps + 1)]
    bottom = heights[-1]
    ticks = [Tick(_y(height, bottom, 1.0, LARGE), percent(height)) for height in dict.fromkeys(heights)]
    return Plot("Consistency", LARGE, _points(samples, bottom, 1.0, LARGE), ticks, is_from_zero=bottom == 0)


def count_plot(title: str, samples: Sequence[Sample]) -> Plot:
    """Place counts between 0 and the highest of them."""
    top = max(1.0, max((sample.value for sample in samples), default=1.0))
    ticks = [Tick(_y(height, 0.0, top, SMALL), f"{height:,.0f}") for height in (top, 0.0)]
    return Plot(title, SMALL, _points(samples, 0.0, top, SMALL), ticks)


def _points(samples: Sequence[Sample], bottom: float, top: float, frame: Frame) -> Sequence[Point]:
    return [
        Point(x, _y(sample.value, bottom, top, frame), sample.label, sample.is_whole, sample.is_latest)
        for x, sample in zip(_places([sample.at for sample in samples], frame), samples, strict=True)
    ]


def _places(times: Sequence[datetime], frame: Frame) -> Sequence[float]:
    """Spread times over the width; those of one moment stand in the middle."""
    if not times:
        return []
    width = frame.width - frame.left - frame.right
    first, span_s = min(times), (max(times) - min(times)).total_seconds()
    if span_s == 0:
        return [frame.left + width / 2] * len(times)
    return [round(frame.left + width * (at - first).total_seconds() / span_s, 2) for at in times]


def _y(value: float, bottom: float, top: float, frame: Frame) -> float:
    height = frame.height - frame.top - frame.bottom
    share = (value - bottom) / (top - bottom)
    return round(frame.top + height * (1.0 - min(1.0, max(0.0, share))), 2)


def _round_step(wanted: float) -> float:
    """Return the next of 1, 2, 5, 10, … (times a power of ten) that is not below what is wanted."""
    magnitude = 10.0 ** math.floor(math.log10(wanted))
    return next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= wanted * (1 - 1e-9))
