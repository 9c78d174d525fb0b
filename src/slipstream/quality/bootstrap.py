"""Intervals of differences by the paired bootstrap (Efron 1979), seeded: equal figures give equal intervals."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
COVERAGE = 0.95
_COUNTS_MAX = 5_000_000
"""Numbers of one batch of resamples, so that memory stays bounded."""

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A mean, and the bounds between which it lies in 95 of 100 resamples."""

    mean: float
    low: float
    high: float


def resampled_means(values: Floats, seed: int, label: str, resamples: int = RESAMPLES) -> Floats:
    """
    Return the means of resamples: a row for each, a column for each column of `values`.

    All columns are resampled alike, so that differences stay paired. The same seed, label and number of rows resample
    alike too.
    """
    rows = values.shape[0]
    rng = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(label.encode())])
    batch = max(1, _COUNTS_MAX // rows)
    means = []
    for start in range(0, resamples, batch):
        counts = rng.multinomial(rows, np.full(rows, 1.0 / rows), size=min(batch, resamples - start))
        means.append(counts @ values / rows)
    return np.concatenate(means)


def interval(mean: float, means: Floats) -> Interval:
    """Return the percentile interval of a mean, by the means of its resamples."""
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(float(mean), float(low), float(high))


def paired_differences(
    classes: Mapping[str, Floats], seed: int, resamples: int = RESAMPLES
) -> tuple[Mapping[str, Sequence[Interval]], Sequence[Interval]]:
    """
    Return the interval of each column's mean: by class, and of the macro average over classes.

    `classes` holds the differences of each class: a row for each question, a column for each figure. A class counts
    once in the macro average, however many questions it has.
    """
    by_class: dict[str, Sequence[Interval]] = {}
    sums: Floats | None = None
    for name, values in classes.items():
        means = resampled_means(values, seed, name, resamples)
        by_class[name] = _intervals(values.mean(axis=0), means)
        sums = means if sums is None else sums + means
    if sums is None:
        return {}, ()
    plain = sum((values.mean(axis=0) for values in classes.values()), np.zeros(sums.shape[1])) / len(classes)
    return by_class, _intervals(plain, sums / len(classes))


def _intervals(plain: Floats, means: Floats) -> tuple[Interval, ...]:
    return tuple(interval(mean, means[:, column]) for column, mean in enumerate(plain))
