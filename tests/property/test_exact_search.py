"""Search by codes finds what a scan of the vectors finds, whatever the vectors are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipstream.adapters.indexes.sqlite import scanning
from slipstream.adapters.indexes.sqlite.coding import coded
from slipstream.adapters.indexes.sqlite.matrix import SpaceMatrix
from slipstream.domain.stamps import SearchFilter, Vector
from tests.depth import examples

Block = npt.NDArray[np.float32]
DIMENSIONS = (1, 2, 7, 33, 256, 384)


def unit(block: npt.NDArray[Any]) -> Block:
    """Return rows of unit length; a row of zeros becomes the first axis."""
    block = block.copy()
    block[~block.any(axis=1), 0] = 1.0
    rows: Block = (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float32)
    return rows


def scattered(rng: np.random.Generator, count: int, dimension: int) -> Block:
    return unit(rng.standard_normal((count, dimension)))


def near_one_point(rng: np.random.Generator, count: int, dimension: int) -> Block:
    spread = 10.0 ** rng.integers(-8, 0)
    return unit(rng.standard_normal(dimension) + spread * rng.standard_normal((count, dimension)))


def repeated(rng: np.random.Generator, count: int, dimension: int) -> Block:
    return scattered(rng, 3, dimension)[rng.integers(0, 3, count)]


def of_few_axes(rng: np.random.Generator, count: int, dimension: int) -> Block:
    block = np.zeros((count, dimension))
    block[np.arange(count), rng.integers(0, dimension, count)] = rng.choice([-1.0, 1.0], count)
    return unit(block + rng.choice([0.0, 1e-30, 1e-4], (count, 1)))


def of_tiny_values(rng: np.random.Generator, count: int, dimension: int) -> Block:
    return unit(10.0 ** rng.uniform(-40, 0, (count, dimension)) * rng.choice([-1, 1], (count, dimension)))


def between_two_codes(rng: np.random.Generator, count: int, dimension: int) -> Block:
    """Every value as far from a code as it can be: what is lost is the largest there is."""
    block = rng.integers(-60, 60, (count, dimension)) + 0.5
    block[:, 0] = 127.0
    return unit(block)


Kind = Callable[[np.random.Generator, int, int], Block]
KINDS: tuple[Kind, ...] = (scattered, near_one_point, repeated, of_few_axes, of_tiny_values, between_two_codes)


def searched(block: Block, query: Vector, k: int) -> list[tuple[int, float]]:
    matrix = SpaceMatrix(block.shape[1])
    matrix.put((record, "T", 1, row.tobytes()) for record, row in enumerate(block))

    def read(records: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        return ((record, block[record].tobytes()) for record in records)

    return sorted(matrix.nearest(query, k, SearchFilter(), read))


def scanned(block: Block, query: Vector, k: int) -> list[tuple[int, float]]:
    scores = (block.astype(np.float64) * query.astype(np.float64)).sum(axis=1).clip(-1.0, 1.0)
    kth = np.sort(scores)[-min(k, len(scores))]
    return [(record, float(score)) for record, score in enumerate(scores) if score >= kth]


@settings(max_examples=examples(80, 1_500))
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
    asked=st.sampled_from(KINDS),
    dimension=st.sampled_from(DIMENSIONS),
    count=st.integers(1, 400),
    k=st.integers(1, 40),
)
@example(seed=0, kinds=[near_one_point], asked=near_one_point, dimension=384, count=400, k=10)
@example(seed=1, kinds=[between_two_codes], asked=between_two_codes, dimension=384, count=400, k=10)
def test_the_answer_is_that_of_a_scan(
    seed: int, kinds: list[Kind], asked: Kind, dimension: int, count: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    block = np.concatenate([kind(rng, count, dimension) for kind in kinds])
    query = block[0] if rng.integers(0, 2) else asked(rng, 1, dimension)[0]
    assert searched(block, query, k) == scanned(block, query, k)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_no_vector_is_further_from_its_code_than_is_said(kind: Kind, dimension: int) -> None:
    block = kind(np.random.default_rng(5), 300, dimension)
    rows = coded(block)
    lost = np.linalg.norm(
        block.astype(np.float64) - rows.codes * rows.scales[:, np.newaxis].astype(np.float64), axis=1
    )
    assert np.all(lost <= rows.errors)
    assert np.abs(rows.codes.astype(int)).max() <= 127


@settings(max_examples=examples(30, 600))
@given(seed=st.integers(0, 2**32 - 1), dimension=st.integers(1, 700), count=st.integers(0, 3000))
@example(seed=0, dimension=384, count=1024)
@example(seed=0, dimension=384, count=1025)
def test_both_ways_to_multiply_give_the_same(seed: int, dimension: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.choice(np.array([-127, -126, -1, 0, 1, 127], np.int8), (count, dimension))
    query = rng.choice(np.array([-127, 0, 5, 127], np.int8), dimension)
    exact = codes.astype(np.int64) @ query.astype(np.int64)
    assert np.array_equal(scanning.products(query, codes), exact)
    assert np.array_equal(scanning.plain_products(query, codes), exact)


def test_without_numkong_the_answer_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    block = scattered(rng, 5000, 384)
    before = searched(block, block[17], 10)
    monkeypatch.setattr(scanning, "kernel", lambda: None)
    assert searched(block, block[17], 10) == before == scanned(block, block[17], 10)
