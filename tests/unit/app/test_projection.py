"""Vectors in two dimensions: against numpy's own decomposition, and on what is degenerate."""

from __future__ import annotations

import numpy as np
import pytest

from slipstream.app.projection import Matrix, projected


def _cloud(count: int = 3_000, dimension: int = 48) -> Matrix:
    chosen = np.random.default_rng(7)
    spread = np.r_[5.0, 3.0, np.full(dimension - 2, 0.3)]
    turned = np.linalg.qr(chosen.standard_normal((dimension, dimension)))[0]
    found: Matrix = ((chosen.standard_normal((count, dimension)) * spread) @ turned + 4.0).astype(np.float32)
    return found


def test_the_axes_are_those_of_most_variance() -> None:
    vectors = _cloud()
    places, explained = projected(vectors)
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    left, along, _ = np.linalg.svd(centred, full_matrices=False)
    for axis in (0, 1):
        wanted = left[:, axis] * along[axis]
        assert abs(np.corrcoef(places[:, axis], wanted)[0, 1]) > 0.9999
        assert explained[axis] == pytest.approx(along[axis] ** 2 / np.sum(along**2), rel=1e-3)
    assert np.abs(places).max() == 1.0


def test_the_same_vectors_and_seed_give_the_same_places() -> None:
    vectors = _cloud(6_000)  # more than the axes are found from
    first, second, other = projected(vectors, 1)[0], projected(vectors, 1)[0], projected(vectors, 2)[0]
    assert np.array_equal(first, second)
    assert np.abs(first - other).max() < 0.1  # another sample, the same picture


def test_groups_stay_apart() -> None:
    vectors = np.repeat(np.eye(3, 20, dtype=np.float32), 50, axis=0)
    vectors = vectors + np.random.default_rng(0).normal(0, 0.01, vectors.shape).astype(np.float32)
    groups = projected(vectors)[0].reshape(3, 50, 2)
    middles = groups.mean(axis=1)
    within = np.linalg.norm(groups - middles[:, None], axis=2).max()
    between = min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert between > 5 * within


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((0, 8)),
        np.ones((1, 8)),
        np.ones((5, 8)),
        np.zeros((3, 2)),
        np.arange(4.0).reshape(4, 1),
        np.eye(2, 8),
        np.full((3, 8), np.nan),
        np.r_[np.eye(3, 8), np.full((1, 8), np.inf)],
    ],
)
def test_what_is_degenerate_has_places_too(vectors: Matrix) -> None:
    places, explained = projected(vectors.astype(np.float32))
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()
    assert np.abs(places).max(initial=0) <= 1.0
    assert all(0.0 <= share <= 1.0 + 1e-5 for share in explained)
