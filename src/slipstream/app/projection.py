"""Vectors in two dimensions: along the two axes of most variance (PCA). Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

_FITTED_MAX = 4_000
"""Rows that the two axes are found from: more do not move them visibly."""
_BESIDE, _ROUNDS = 6, 12
"""Further axes that are carried along, and how often all are turned towards those of most variance."""
_DIGITS = 4


def projected(vectors: Matrix, seed: int = 0) -> tuple[npt.NDArray[np.float64], tuple[float, float]]:
    """
    Return the place of each vector, within -1..1, and the share of all variance along each axis.

    The same vectors and seed give the same places. Vectors that are not finite stand at the middle.
    """
    rows = vectors.astype(np.float32, copy=True)
    rows[~np.isfinite(rows).all(axis=1)] = 0.0
    if len(rows) == 0:
        return np.zeros((0, 2)), (0.0, 0.0)
    chosen = np.random.default_rng(seed)
    fitted = rows if len(rows) <= _FITTED_MAX else rows[chosen.choice(len(rows), _FITTED_MAX, replace=False)]
    middle = fitted.mean(axis=0)
    axes, explained = _axes(fitted - middle, chosen)
    places = ((rows - middle) @ axes).astype(np.float64)
    widest = float(np.abs(places).max())
    return np.round(places / widest if widest > 0 else places, _DIGITS), explained


def _axes(centred: Matrix, chosen: np.random.Generator) -> tuple[Matrix, tuple[float, float]]:
    """Return two orthogonal axes, by subspace iteration: their number decides the cost, not the dimension squared."""
    width = min(2 + _BESIDE, centred.shape[1])
    axes = chosen.standard_normal((centred.shape[1], width)).astype(np.float32)
    for _ in range(_ROUNDS):
        axes = np.linalg.qr(centred.T @ (centred @ axes))[0]
    _, along, turned = np.linalg.svd(centred @ axes, full_matrices=False)
    axes = axes @ turned.T
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)  # a sign is free
    total = float(np.square(centred, dtype=np.float64).sum())
    shares = [float(length) ** 2 / total if total > 0 else 0.0 for length in along[:2]]
    padded = np.zeros((centred.shape[1], 2), dtype=np.float32)
    padded[:, : min(2, axes.shape[1])] = axes[:, :2]
    return padded, (shares[0], shares[1] if len(shares) > 1 else 0.0)
