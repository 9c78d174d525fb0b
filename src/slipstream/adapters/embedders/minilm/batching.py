"""Length buckets: which texts go through the model together."""

from __future__ import annotations

from collections.abc import Sequence

_PADDED_TOKENS_MAX = 512
"""Rows times width of one run: enough to keep the matrix kernels busy, small enough for the processor's cache."""
_WIDTH_RATIO_MAX = 1.1
"""The longest text of a bucket beside its shortest: at most a tenth of the work is padding."""


def length_buckets(lengths: Sequence[int]) -> list[list[int]]:
    """
    Group the numbers of the texts by similar length, the longest first.

    Every number is in exactly one bucket. The longest first, so that no thread is left with a big one at the end.
    """
    buckets: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if buckets and _fits(lengths[number], lengths[buckets[-1][0]], len(buckets[-1])):
            buckets[-1].append(number)
        else:
            buckets.append([number])
    return buckets


def _fits(length: int, width: int, rows: int) -> bool:
    return (rows + 1) * width <= _PADDED_TOKENS_MAX and width <= max(length * _WIDTH_RATIO_MAX, length + 1)
