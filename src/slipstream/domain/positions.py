"""
Positions: where in a graph's history something is.

A position is opaque and totally ordered per graph; adapters map their own sequence numbers to it. It fits
62 bits, which every index can compare exactly. Bounds are named `after` (exclusive) and `through` (inclusive).
"""

from __future__ import annotations

from typing import NewType

Position = NewType("Position", int)
"""A point in the history of one graph."""

ORIGIN = Position(0)
"""Before the first mutation."""

POSITION_MAX = Position(2**62 - 1)
"""The greatest position there can be."""
