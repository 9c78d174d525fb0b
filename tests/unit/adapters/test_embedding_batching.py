"""Length buckets of the ONNX pipeline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.adapters.embedders.minilm.batching import length_buckets

LENGTHS = st.lists(st.integers(1, 256), max_size=300)


@given(LENGTHS, st.integers(1, 4), st.booleans())
def test_every_text_is_in_one_bucket_of_bounded_size_the_greatest_first(
    lengths: list[int], threads: int, pads: bool
) -> None:
    buckets = length_buckets(lengths, threads=threads, pads=pads)
    assert sorted(number for bucket in buckets for number in bucket) == list(range(len(lengths)))
    sizes = [sum(lengths[number] for number in bucket) for bucket in buckets]
    assert sizes == sorted(sizes, reverse=True)
    for bucket in buckets:
        width = max(lengths[number] for number in bucket)
        assert (len(bucket) - 1) * (width if pads else min(lengths[number] for number in bucket)) < 512


@given(LENGTHS, st.integers(1, 4))
def test_padding_that_is_computed_is_less_than_another_run_would_cost(lengths: list[int], threads: int) -> None:
    for bucket in length_buckets(lengths, threads=threads):
        widths = [lengths[number] for number in bucket]
        assert sum(max(widths) - width for width in widths) <= 9


def test_where_padding_costs_nothing_texts_of_several_lengths_share_a_run() -> None:
    lengths = [10, 12, 14, 16, 18, 20]
    assert len(length_buckets(lengths, pads=True)) > 1
    assert [sorted(bucket) for bucket in length_buckets(lengths, pads=False)] == [[0, 1, 2, 3, 4, 5]]
    assert len(length_buckets([10, 200], pads=False)) == 2, "but attention does cost something"


@pytest.mark.parametrize("texts", [8, 16, 40, 50, 100, 256])
def test_two_threads_get_the_same_work(texts: int) -> None:
    loads = [0, 0]
    for bucket in length_buckets([20] * texts, threads=2):
        loads[loads.index(min(loads))] += len(bucket)
    assert max(loads) <= 1.05 * texts / 2


def test_a_few_short_texts_are_one_run() -> None:
    assert length_buckets([20, 20, 20, 20], threads=4) == [[0, 1, 2, 3]]
    assert length_buckets([], threads=4) == []
