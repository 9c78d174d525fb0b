"""Length buckets: which texts go through the model together, in one run."""

from __future__ import annotations

import math
from collections.abc import Sequence

_TOKENS_MAX = 512
"""About how many tokens of one run keep the matrix kernels busy and fit the processor's cache."""
_TOKENS_MIN = 64
"""Fewer tokens than this are not cut into runs for several threads."""
_RUNS_EACH_MIN = 2
"""Of several threads: the second run of each evens out by how much the first ones differ."""
_RUN = 9.0
"""The fixed cost of a run (each weight is read, each node started), in the time of so many tokens."""


def length_buckets(lengths: Sequence[int], *, threads: int = 1, pads: bool = True) -> list[list[int]]:
    """
    Group the indexes of texts by similar length; each index is in one bucket, and the largest buckets come first.

    A text that is shorter than its bucket wastes attention, and, if the model computes padding (`pads`), that too. A
    bucket ends before it wastes more than another run costs. Each thread gets as many buckets, of equal size.
    """
    runs_each = max(_RUNS_EACH_MIN if threads > 1 else 1, math.ceil(sum(lengths) / (_TOKENS_MAX * threads)))
    enough = max(_TOKENS_MIN, sum(lengths) / (runs_each * threads))
    buckets: list[list[int]] = []
    width, tokens, waste = 0, 0, 0.0
    for number in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = lengths[number]
        wasted = _attention(width) - _attention(length) + (width - length if pads else 0)
        if buckets and tokens < enough and waste + wasted <= _RUN:
            waste += wasted
        else:
            buckets.append([])
            width, tokens, waste = length, 0, 0.0
        buckets[-1].append(number)
        tokens += width if pads else length
    return sorted(buckets, key=lambda bucket: -sum(lengths[number] for number in bucket))


def _attention(width: int) -> float:
    """Return the cost of attention for one text, in units of what a token costs otherwise (measured)."""
    return width * (width + 64) / 1024
