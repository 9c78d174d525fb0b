"""The plot: how often each figure is what it was at the smallest size, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from bench.growth.shown import FIGURES, PLOTTED
from slipstream.report.plots import Frame, Point, Tick

_FRAME = Frame(width=760, height=360, left=64, right=230, top=20, bottom=36)
_COLOURS = ("#2f6fdb", "#c4462d", "#2c8a57", "#8a4fbf", "#b07d12", "#1b8f9e", "#6b7280")
_STYLE = "font: 12px system-ui, sans-serif; fill: #444"


def plot(sizes: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG."""
    top = max(float(size[name]) / float(sizes[0][name]) for size in sizes for name in PLOTTED)
    decades = max(1, math.ceil(math.log10(top)))
    ticks = [Tick(_y(10.0**n, decades), f"{10**n:,}") for n in range(decades + 1)]
    places = [_x(size["entities"], sizes) for size in sizes]
    parts = [_open(), *(_grid(tick) for tick in ticks)]
    parts += [_text(x, _FRAME.height - 12, f"{size['entities']:,}") for x, size in zip(places, sizes, strict=True)]
    for number, (name, colour) in enumerate(zip(PLOTTED, _COLOURS, strict=True)):
        factors = [float(size[name]) / float(sizes[0][name]) for size in sizes]
        points = [
            Point(x, _y(factor, decades), name, is_whole=True, is_latest=size is sizes[-1])
            for x, factor, size in zip(places, factors, sizes, strict=True)
        ]
        parts.append(_line(points, colour))
        label = f"{FIGURES[name][0].strip()}: {factors[-1]:.1f}"
        parts.append(_text(_FRAME.width - _FRAME.right + 14, 30 + 20 * number, label, colour, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _open() -> str:
    size = f'width="{_FRAME.width:g}" height="{_FRAME.height:g}" viewBox="0 0 {_FRAME.width:g} {_FRAME.height:g}"'
    title = "<title>Figures at each size, as multiples of those at the smallest one</title>"
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{title}{ground}'


def _grid(tick: Tick) -> str:
    right = _FRAME.width - _FRAME.right
    line = f'<line x1="{_FRAME.left:g}" x2="{right:g}" y1="{tick.y}" y2="{tick.y}" stroke="#ddd"/>'
    return line + _text(_FRAME.left - 8, tick.y + 4, tick.label, anchor="end")


def _line(points: Sequence[Point], colour: str) -> str:
    marks = "".join(f'<circle cx="{point.x}" cy="{point.y}" r="3.5" fill="{colour}"/>' for point in points)
    places = " ".join(f"{point.x},{point.y}" for point in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>{marks}'


def _text(x: float, y: float, text: str, colour: str = "#444", anchor: str = "middle") -> str:
    style = _STYLE.replace("#444", colour)
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'


def _x(entities: int, sizes: Sequence[Mapping[str, Any]]) -> float:
    first, last = (math.log10(sizes[at]["entities"]) for at in (0, -1))
    width = _FRAME.width - _FRAME.left - _FRAME.right
    share = (math.log10(entities) - first) / (last - first) if last > first else 0.5
    return round(_FRAME.left + width * share, 2)


def _y(factor: float, decades: int) -> float:
    """Place a multiple; what is less than one stands on the bottom line."""
    height = _FRAME.height - _FRAME.top - _FRAME.bottom
    share = max(0.0, math.log10(factor)) / decades if factor > 0 else 0.0
    return round(_FRAME.top + height * (1.0 - share), 2)
