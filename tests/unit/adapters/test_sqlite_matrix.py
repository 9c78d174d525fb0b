"""The matrix in memory: exact ranking, growth, removal, damaged vectors, filters, and what it reads of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from slipstream.adapters.indexes.sqlite.matrix import MatrixRow, SpaceMatrix
from slipstream.domain.stamps import MetadataValue, SearchFilter, Vector
from slipstream.testkit.records import unit_vector

_ALL = SearchFilter()


class Stored(SpaceMatrix):
    """A matrix beside the vectors that it is of, as the file holds them."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.vectors: dict[int, bytes] = {}
        self.metadata: dict[int, dict[str, MetadataValue]] = {}
        self.reads: list[list[int]] = []

    def put(self, rows: Iterable[MatrixRow]) -> None:
        rows = list(rows)
        self.vectors.update((row[0], row[3]) for row in rows)
        super().put(rows)

    def drop(self, records: Iterable[int]) -> None:
        records = list(records)
        for record in records:
            self.vectors.pop(record, None)
        super().drop(records)

    def read(self, records: Sequence[int]) -> list[tuple[int, bytes]]:
        self.reads.append(list(records))
        return [(record, self.vectors[record]) for record in records if record in self.vectors]

    def best(self, query: Vector, k: int, where: SearchFilter = _ALL) -> list[tuple[int, float]]:
        return self.nearest(query, k, where, self.read, self.metadata)


def row(record: int, vector: Vector, *, version: int = 1, type_name: str = "Person") -> MatrixRow:
    return record, type_name, version, vector.tobytes()


def filled(count: int, dimension: int = 8) -> Stored:
    matrix = Stored(dimension)
    matrix.put([row(i, unit_vector(i, dimension)) for i in range(count)])
    return matrix


def found(matrix: Stored, query: Vector, k: int, where: SearchFilter = _ALL) -> set[int]:
    return {record for record, _ in matrix.best(query, k, where)}


def test_grows_and_shrinks_without_losing_rows() -> None:
    matrix, alive = Stored(8), set[int]()
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
        ((best, score),) = matrix.best(unit_vector(record), 1)
        assert best == record
        assert score == pytest.approx(1.0, abs=1e-6)


def test_every_tie_with_the_last_is_returned() -> None:
    same = unit_vector("same", 384)
    matrix = Stored(384)
    matrix.put([row(i, unit_vector(i, 384)) for i in range(1003)])
    matrix.put([row(i, same) for i in range(2000, 2017)])  # at odd and even rows, in and past whole SIMD blocks
    hits = matrix.best(same, 3)
    assert {record for record, _ in hits} == set(range(2000, 2017))
    assert len({score for _, score in hits}) == 1


def test_nearly_equal_scores_are_ranked_as_in_double_precision() -> None:
    rng = np.random.default_rng(3)
    base = rng.standard_normal(384)
    vectors = [(base + rng.standard_normal(384) * 1e-6).astype(np.float64) for _ in range(300)]
    unit = [(vector / np.linalg.norm(vector)).astype(np.float32) for vector in vectors]
    query = unit_vector("q", 384)
    matrix = Stored(384)
    matrix.put([row(i, vector) for i, vector in enumerate(unit)])
    exact = [float((vector.astype(np.float64) * query.astype(np.float64)).sum()) for vector in unit]
    best = sorted(range(300), key=lambda i: -exact[i])[:5]
    assert sorted(matrix.best(query, 5), key=lambda hit: -hit[1]) == [(i, exact[i]) for i in best]


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
    matrix = Stored(8)
    held: list[dict[str, MetadataValue]] = [{}, {"a": 1}, {"a": True}, {"a": "1"}, {"a": 1.0}, {"a": 2}]
    matrix.put([row(i, unit_vector(i), version=i, type_name="Person" if i % 2 else "Place") for i in range(7)])
    matrix.metadata = dict(enumerate(held, 1))
    query = unit_vector("q")
    assert found(matrix, query, 9, SearchFilter(metadata={"a": 1})) == {2, 5}
    assert found(matrix, query, 9, SearchFilter(metadata={"a": True})) == {3}
    assert found(matrix, query, 9, SearchFilter(metadata={"a": "1"})) == {4}
    assert found(matrix, query, 9, SearchFilter(schema_version_min=4, metadata={"a": 1})) == {5}
    assert found(matrix, query, 9, SearchFilter(entity_types=frozenset({"Person"}))) == {1, 3, 5}
    assert found(matrix, query, 9, SearchFilter(entity_types=frozenset({"Thing"}))) == set()
    matrix.drop([2])
    assert found(matrix, query, 9, SearchFilter(metadata={"a": 1})) == {5}


def test_a_filter_holds_before_the_ranking() -> None:
    near, far = unit_vector("q", 64), -unit_vector("q", 64)
    matrix = Stored(64)
    matrix.put([row(i, near) for i in range(5000)])
    matrix.put([row(i, far, type_name="Rare", version=2) for i in range(6000, 6003)])
    matrix.metadata = {6001: {"a": 1}, 3: {"a": 2}}
    assert found(matrix, near, 2, SearchFilter(entity_types=frozenset({"Rare"}))) == {6000, 6001, 6002}
    assert found(matrix, near, 1, SearchFilter(schema_version_min=2)) == {6000, 6001, 6002}
    assert found(matrix, near, 1, SearchFilter(metadata={"a": 1})) == {6001}
    assert not {record for reads in matrix.reads for record in reads} & set(range(5000))


def test_removed_rows_take_no_places() -> None:
    matrix = filled(100)
    query = unit_vector(7)
    order = [record for record, _ in sorted(matrix.best(query, 100), key=lambda hit: -hit[1])]
    matrix.drop(order[:40])
    assert found(matrix, query, 5) == set(order[40:45])
    matrix.drop(order[45:90])
    assert found(matrix, query, 5) == set(order[40:45])
    assert len(matrix) == 15


def test_an_empty_matrix_finds_nothing() -> None:
    matrix = Stored(8)
    matrix.put([])
    assert matrix.best(unit_vector("q"), 5) == []


def test_few_vectors_are_read_of_many() -> None:
    matrix = filled(20_000, 128)
    matrix.best(unit_vector("q", 128), 10)
    assert len(matrix.reads) <= 2
    assert sum(map(len, matrix.reads)) < 200


def test_a_vector_written_past_the_changes_is_scored_as_it_is() -> None:
    matrix = filled(50)
    query = unit_vector(7)
    matrix.vectors[7] = (-query).tobytes()
    best = dict(matrix.best(query, 50))
    assert best[7] == pytest.approx(-1.0, abs=1e-6)
    assert found(matrix, query, 49) == set(range(50)) - {7}


@pytest.mark.parametrize("damaged", [b"", b"1234", (unit_vector("q") * np.float32(2)).tobytes()])
def test_a_vector_that_was_damaged_or_removed_past_the_changes_is_not_found(damaged: bytes) -> None:
    matrix = filled(50)
    query = unit_vector(7)
    matrix.vectors[7] = damaged
    del matrix.vectors[8]
    assert found(matrix, query, 50) == set(range(50)) - {7, 8}
    assert len(matrix) == 48


def test_ids_may_come_in_any_order() -> None:
    matrix = Stored(8)
    for record in (50, 10, 30, 20, 40):
        matrix.put([row(record, unit_vector(record))])
    matrix.put([row(record, unit_vector(record)) for record in (30, 5, 60)])
    assert found(matrix, unit_vector("q"), 9) == {5, 10, 20, 30, 40, 50, 60}
    assert all(matrix.best(unit_vector(record), 1)[0][0] == record for record in (5, 10, 20, 30, 40, 50, 60))
