"""Options of a search: read and checked before anything is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from slipstream.app.config import SearchConfig, parse_config
from slipstream.app.remote.codec import Signature
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError
from slipstream.search.options import SearchArguments, SearchOptions, check_asked
from slipstream.search.weights import FusionWeights


def test_what_is_not_given_has_its_default() -> None:
    assert SearchOptions.of({}) == SearchOptions()
    assert SearchOptions.of({"metadata": None, "mode": "exact"}) == SearchOptions(mode="exact")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"mode": "sparse"}, "mode"),
        ({"sort": "age"}, "sort"),
        ({"expand": 4}, "expand"),
        ({"expand": -1}, "expand"),
        ({"timeout_s": -0.1}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"min_confidence": 1.01}, "min_confidence"),
        ({"min_confidence": float("nan")}, "min_confidence"),
        ({"half_life_days": 0}, "half_life_days"),
        ({"half_life_days": float("inf")}, "half_life_days"),
        ({"half_life_days": float("nan")}, "half_life_days"),
        ({"entity_type": ""}, "entity_type"),
        ({"source": ""}, "source"),
        ({"time_property": ""}, "time_property"),
        ({"since": "last week"}, "since"),
        ({"since": "2024-13-01"}, "since"),
        ({"until": "2024-01-31T25:00:00"}, "until"),
        ({"since": "2024-02-01", "until": "2024-01-31"}, "until"),
    ],
)
def test_a_bad_option_is_refused_by_name(given: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        SearchOptions.of(cast("SearchArguments", given))
    assert refused.value.field == field


def test_an_unknown_option_is_an_error_of_the_call_and_the_near_one_is_named() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'entity_typ'; did you mean 'entity_type'\?"):
        SearchOptions.of(cast("SearchArguments", {"entity_typ": "Person"}))


@pytest.mark.parametrize(("text", "k", "field"), [(" \n", 10, "text"), ("x", 0, "k"), ("x", 1001, "k")])
def test_what_is_searched_for_is_checked(text: str, k: int, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_asked(text, k)
    assert refused.value.field == field


def test_every_option_travels_to_another_process_by_its_name() -> None:
    names = set(SearchArguments.__annotations__)
    assert names == set(SearchOptions.__slots__)
    text, callbacks = Signature(Slipstream.search, "search").arguments_as_json(
        ("text", 3), {"mode": "exact", "since": datetime(2024, 1, 31, tzinfo=UTC), "explain": True}
    )
    assert not callbacks
    assert '"mode": "exact"' in text
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        Signature(Slipstream.search, "search").arguments_as_json(("text",), {"until_": "x"})


def test_the_settings_are_the_weights_and_their_defaults() -> None:
    assert SearchConfig().fusion() == FusionWeights()
    assert parse_config("[search.weights]\nkeyword = 0.5\ndepth = 60").search.fusion() == FusionWeights(
        keyword=0.5, depth=60
    )
    with pytest.raises(InvalidInputError, match=r"search\.weights\.depth"):
        parse_config("[search.weights]\ndepth = 0")


@pytest.mark.parametrize("given", [{"depth": 0}, {"depth": 1_001}, {"keyword": -0.1}, {"rank_k": float("nan")}])
def test_weights_are_checked(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        FusionWeights(**given)
    assert refused.value.field == next(iter(given))
