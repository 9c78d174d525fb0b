"""What a row of a query holds comes over a wire as it was: bytes, infinite numbers, maps that look like tags."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.values import decode_cell, encode_cell
from tests.property.test_graph_values import MOMENTS, TEXTS

TAGS = st.sampled_from(["$bytes", "$float", "$datetime", "$$bytes", "a"])
CELLS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), TEXTS, st.integers(), st.floats(), st.booleans(), MOMENTS, st.binary(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(TEXTS, TAGS), inner, max_size=3)),
    max_leaves=6,
)


@given(CELLS)
def test_a_cell_comes_as_it_was(value: Any) -> None:
    text = json.dumps(encode_cell(value), allow_nan=False)
    assert _same(decode_cell(json.loads(text)), value)


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)
