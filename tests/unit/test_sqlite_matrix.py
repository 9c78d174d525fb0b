"""The matrix in memory: exact ranking, growth, removal, damaged vectors, filters."""

from __future__ import annotations

import json

import numpy as np
import pytest

from slipstream.adapters.indexes.sqlite.matrix import MatrixRow, SpaceMatrix
from slipstream.domain.stamps import MetadataValue, SearchFilter, Vector
from slipstream.testing.records import unit_vector

_ALL = SearchFilter()


def row(
    record: int, vector: Vector, *, version: int = 1, metadata: dict[str, MetadataValue] | None = None
) -> MatrixRow:
    return record, "Person", version, None if metadata is None else json.dumps(metadata), vector.tobytes()


def filled(count: int, dimension: int = 8) -> SpaceMatrix:
    matrix = SpaceMatrix(dimension)
    matrix.put([row(i, unit_vector(i, dimension)) for i in range(count)])
    return matrix


def found(matrix: SpaceMatrix, query: Vector, k: int, where: SearchFilter = _ALL) -> set[int]:
    return {record for record, _ in matrix.nearest(query, k, where)}


def test_grows_and_shrinks_without_losing_rows() -> None:
    matrix, alive = SpaceMatrix(8), set[int]()
    rng = np.random.default_rng(1)
    for step in range(200):
        new = [int(i) for i in rng.integers(0, 500, 7)]
        matrix.put([row(i, unit_vector(i)) for i in dict.fromkeys(new)])
        alive.update(new)
        gone = [int(i) for i in rng.integers(0, 500, 4)]
        matrix.drop(gone)
        alive.difference_update(gone)
        assert len(matrix) == len(alive), step
    assert found(matrix, unit_vector("q"), 1000) == alive
    for record in alive:
        ((best, score),) = matrix.nearest(unit_vector(record), 1, _ALL)
        assert best == record
        assert score == pytest.approx(1.0, abs=1e-6)


def test_every_tie_with_the_last_is_returned() -> None:
    same = unit_vector("same", 384)
    matrix = SpaceMatrix(384)
    matrix.put([row(i, unit_vector(i, 384)) for i in range(1003)])
    matrix.put([row(i, same) for i in range(2000, 2017)])  # at odd and even rows, in and past whole SIMD blocks
    hits = matrix.nearest(same, 3, _ALL)
    assert {record for record, _ in hits} == set(range(2000, 2017))
    assert len({score for _, score in hits}) == 1


def test_nearly_equal_scores_are_ranked_as_in_double_precision() -> None:
    rng = np.random.default_rng(3)
    base = rng.standard_normal(384)
    vectors = [(base + rng.standard_normal(384) * 1e-6).astype(np.float64) for _ in range(300)]
    unit = [(vector / np.linalg.norm(vector)).astype(np.float32) for vector in vectors]
    query = unit_vector("q", 384)
    matrix = SpaceMatrix(384)
    matrix.put([row(i, vector) for i, vector in enumerate(unit)])
    exact = [float((vector.astype(np.float64) * query.astype(np.float64)).sum()) for vector in unit]
    best = sorted(range(300), key=lambda i: -exact[i])[:5]
    assert sorted(matrix.nearest(query, 5, _ALL), key=lambda hit: -hit[1]) == [(i, exact[i]) for i in best]


@pytest.mark.parametrize(
    "damaged",
    [
        np.full(8, np.nan, np.float32),
        np.full(8, np.inf, np.float32),
        np.full(8, 3e38, np.float32),
        np.zeros(8, np.float32),
        unit_vector("q") * np.float32(2),
        np.ones(7, np.float32),
        np.ones(0, np.float32),
    ],
    ids=["nan", "infinite", "overflowing", "zero", "too-long", "short", "empty"],
)
def test_a_damaged_vector_is_never_found(damaged: Vector) -> None:
    matrix = filled(20)
    matrix.put([row(7, damaged), row(99, damaged), row(100, unit_vector(100))])
    assert found(matrix, unit_vector("q"), 100) == {*range(20), 100} - {7}


def test_filters_hold_exactly() -> None:
    matrix = SpaceMatrix(8)
    held: list[dict[str, MetadataValue] | None] = [None, {}, {"a": 1}, {"a": True}, {"a": "1"}, {"a": 1.0}, {"a": 2}]
    matrix.put([row(i, unit_vector(i), version=i, metadata=metadata) for i, metadata in enumerate(held)])
    query = unit_vector("q")
    assert found(matrix, query, 9, SearchFilter(metadata={"a": 1})) == {2, 5}
    assert found(matrix, query, 9, SearchFilter(metadata={"a": True})) == {3}
    assert found(matrix, query, 9, SearchFilter(metadata={"a": "1"})) == {4}
    assert found(matrix, query, 9, SearchFilter(schema_version_min=4, metadata={"a": 1})) == {5}
    assert found(matrix, query, 9, SearchFilter(entity_types=frozenset({"Place"}))) == set()
    matrix.put([row(2, unit_vector(2), metadata={"a": 9})])
    matrix.drop([0])
    assert found(matrix, query, 9, SearchFilter(metadata={"a": 1})) == {5}


def test_an_empty_matrix_finds_nothing() -> None:
    matrix = SpaceMatrix(8)
    matrix.put([])
    assert matrix.nearest(unit_vector("q"), 5, _ALL) == []
