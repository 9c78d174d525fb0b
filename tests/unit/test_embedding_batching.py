"""Length buckets of the ONNX pipeline."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slipstream.adapters.embedders.minilm.batching import length_buckets


@given(st.lists(st.integers(1, 256), max_size=300))
def test_every_text_is_in_one_bucket_of_bounded_size_and_padding(lengths: list[int]) -> None:
    buckets = length_buckets(lengths)
    assert sorted(number for bucket in buckets for number in bucket) == list(range(len(lengths)))
    for bucket in buckets:
        widths = [lengths[number] for number in bucket]
        assert len(bucket) == 1 or len(bucket) * max(widths) <= 512
        assert max(widths) <= max(min(widths) * 1.1, min(widths) + 1)


def test_the_longest_go_first() -> None:
    assert length_buckets([3, 200, 4, 100]) == [[1], [3], [2, 0]]
