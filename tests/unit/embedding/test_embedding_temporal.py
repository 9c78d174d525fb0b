"""Texts of temporal contexts, and fusion weights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.embedding.temporal import (
    FusionWeights,
    applies,
    causes_text,
    duration_text,
    parts_of,
    time_text,
)

MOMENT = datetime(2024, 3, 1, 10, 30, tzinfo=UTC)


def test_time_is_told_in_words() -> None:
    context = TemporalEmbeddingContext(timestamp=MOMENT, duration=timedelta(hours=2), temporal_type="meeting")
    assert time_text(context) == "2024-03-01 Friday, March 2024, Q1 2024, 10:30 UTC, lasting 2 hours, meeting"


def test_a_context_that_says_nothing_has_no_text() -> None:
    context = TemporalEmbeddingContext()
    assert (time_text(context), causes_text(context)) == ("", "")
    assert not applies(context, FusionWeights())
    assert not applies(None, FusionWeights())


@pytest.mark.parametrize(
    ("duration", "said"),
    [
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=0.5), "0.5 seconds"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=1, hours=2), "1 day 2 hours"),
        (timedelta(days=400, seconds=1), "400 days 1 second"),
        (timedelta(hours=-2), "minus 2 hours"),
    ],
)
def test_durations(duration: timedelta, said: str) -> None:
    assert duration_text(duration) == said


def test_seconds_of_a_moment_are_told_when_there_are_any() -> None:
    context = TemporalEmbeddingContext(timestamp=MOMENT.replace(second=7))
    assert time_text(context) == "2024-03-01 Friday, March 2024, Q1 2024, 10:30:07 UTC"


def test_causes_keep_their_order() -> None:
    context = TemporalEmbeddingContext(event_sequence=("planning", "review"), causal_chain=("outage", "hotfix"))
    assert causes_text(context) == "after planning, then review; caused by outage, leading to hotfix"


def test_parts_have_the_default_weights() -> None:
    context = TemporalEmbeddingContext(timestamp=MOMENT, causal_chain=("outage",))
    assert [part.weight for part in parts_of("release", context, FusionWeights())] == pytest.approx([0.6, 0.3, 0.1])


def test_the_weight_of_an_absent_part_goes_to_the_others() -> None:
    context = TemporalEmbeddingContext(timestamp=MOMENT)
    assert [part.weight for part in parts_of("release", context, FusionWeights())] == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize("weights", [(0, 1, 1), (-1, 1, 1), (1, -0.1, 0), (float("nan"), 1, 1), (float("inf"), 1, 1)])
def test_useless_weights_are_refused(weights: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="fusion weights"):
        FusionWeights(*weights)


def test_the_recipe_names_shares_not_sums() -> None:
    assert FusionWeights(6, 3, 1).rule == FusionWeights().rule == "fusion/1:0.6,0.3,0.1"
    assert FusionWeights(0.5, 0.3, 0.2).rule != FusionWeights().rule
