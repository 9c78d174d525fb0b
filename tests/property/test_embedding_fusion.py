"""Properties of temporal fusion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.stamps import Vector
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.embedding.temporal import FusionWeights, applies, duration_text, fuse, parts_of, time_text

DIMENSION = 8
seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0.01, 10)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive by rule
contexts = st.builds(
    TemporalEmbeddingContext,
    timestamp=st.none() | moments,
    duration=st.none() | st.timedeltas(timedelta(days=-4000), timedelta(days=4000)),
    temporal_type=st.none() | st.text(max_size=8),
    event_sequence=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    causal_chain=st.lists(st.text(max_size=8), max_size=3).map(tuple),
)


def unit(seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@given(st.lists(st.tuples(seeds, shares), min_size=1, max_size=3))
def test_fused_vectors_have_unit_length(parts: list[tuple[int, float]]) -> None:
    fused = fuse([unit(seed) for seed, _ in parts], [share for _, share in parts])
    assert fused.dtype == np.float32
    assert abs(float(np.linalg.norm(fused.astype(np.float64))) - 1) < 1e-6


@given(st.permutations([(1, 0.6), (2, 0.3), (3, 0.1)]))
def test_the_order_of_the_parts_does_not_matter(parts: list[tuple[int, float]]) -> None:
    fused = fuse([unit(seed) for seed, _ in parts], [share for _, share in parts])
    np.testing.assert_allclose(fused, fuse([unit(1), unit(2), unit(3)], [0.6, 0.3, 0.1]), atol=1e-6)


@given(seeds, seeds, shares, shares, st.floats(0.1, 10))
def test_only_the_ratio_of_weights_matters(one: int, two: int, left: float, right: float, scale: float) -> None:
    vectors = [unit(one), unit(two)]
    np.testing.assert_allclose(fuse(vectors, [left, right]), fuse(vectors, [left * scale, right * scale]), atol=1e-4)


@given(seeds, seeds)
def test_a_heavier_part_is_nearer(one: int, two: int) -> None:
    a, b = unit(one), unit(two)
    fused = fuse([a, b], [0.7, 0.3])
    assert float(fused @ a) >= float(fused @ b) - 1e-5


@given(seeds)
def test_opposite_vectors_leave_the_heaviest(seed: int) -> None:
    vector = unit(seed)
    np.testing.assert_array_equal(fuse([vector, -vector], [0.5, 0.5]), vector)
    np.testing.assert_array_equal(fuse([-vector, vector], [0.5, 0.5]), -vector)


@given(st.text(max_size=20), contexts)
def test_weights_of_parts_sum_to_one_and_no_part_is_empty(content: str, context: TemporalEmbeddingContext) -> None:
    parts = parts_of(content, context, FusionWeights())
    assert sum(part.weight for part in parts) == pytest.approx(1)
    assert all(part.text for part in parts) or [part.text for part in parts] == [""]


@given(st.text(max_size=20), contexts)
def test_with_the_weights_1_0_0_the_content_alone_counts(content: str, context: TemporalEmbeddingContext) -> None:
    weights = FusionWeights(1, 0, 0)
    assert [(part.weight, part.text) for part in parts_of(content, context, weights)] == [(1.0, content)]
    assert not applies(context, weights)


@given(st.text(min_size=1, max_size=20), contexts)
def test_fusion_applies_exactly_when_there_is_more_than_the_content(
    content: str, context: TemporalEmbeddingContext
) -> None:
    assert applies(context, FusionWeights()) == (len(parts_of(content, context, FusionWeights())) > 1)


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_the_text_of_a_moment_does_not_depend_on_its_zone(moment: datetime, offset_minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=offset_minutes)))
    here, there = TemporalEmbeddingContext(timestamp=moment), TemporalEmbeddingContext(timestamp=elsewhere)
    assert time_text(here) == time_text(there)


@given(st.timedeltas(timedelta(0), timedelta(days=100_000)))
def test_a_duration_says_all_of_itself(duration: timedelta) -> None:
    amounts = duration_text(duration).split()
    said = {unit.rstrip("s"): float(amount) for amount, unit in zip(amounts[::2], amounts[1::2], strict=True)}
    total_s = sum(said.get(unit, 0) * size for unit, size in _SECONDS.items())
    assert total_s == pytest.approx(duration.total_seconds(), abs=1e-5)
    assert said.get("hour", 0) < 24


_SECONDS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
