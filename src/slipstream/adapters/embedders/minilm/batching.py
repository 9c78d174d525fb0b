"""Length buckets: which texts go through the model together, in one run."""

from __future__ import annotations

import math
from collections.abc import Sequence

_TOKENS_MAX = 512
"""About so many tokens of one run keep the matrix kernels busy, and fit the processor's cache."""
_TOKENS_MIN = 64
"""Less is not cut into runs for several threads."""
_RUNS_EACH_MIN = 2
"""Of several threads: the second run of each evens out by how much the first ones differ."""
_RUN = 9.0
"""What a run costs by itself (every weight is read once, every node begun), in the time of so many tokens."""


def length_buckets(lengths: Sequence[int], *, threads: int = 1, pads: bool = True) -> list[list[int]]:
    """
    Group the numbers of the texts by similar length; every number is in exactly one bucket, the greatest go first.

    A shorter text wastes attention on the bucket's width, and where the model computes padding (`pads`) that too. A
    bucket ends before it wastes more than another run costs. The threads get buckets of equal size, as many each.
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
    """Return what the attention of one text costs, in the time that all else of a token takes (measured)."""
    return width * (width + 64) / 1024
