"""Whatever is typed into a search is a text: no operator of a store, no odd character and no length breaks it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.domain.errors import InvalidInputError
from slipstream.search.options import MODES, Mode
from tests.unit.search.worded import Worded, ids

_TEXTS = [
    '"',
    '""',
    '"""',
    "' OR 1=1 --",
    "ada AND",
    "NOT ada",
    "ada OR (",
    "NEAR(ada, 2",
    "near(ada, 2)",
    "name : ada",
    "{name aliases} : ada",
    "-name:",
    "^ada",
    "ada*",
    "*",
    "a*",
    "C++ a.b dog? 'x' fig-shaped",
    "ada\0lovelace",
    "\0",
    "ada\u0000*",
    "\u202e ada \u200b",
    "(" * 1_000 + "ada",
    "ada " * 2_500,
    "x" * 10_000,
    '"' + "ada " * 2_500 + '"',
    "-ada " * 2_000,
    "ada -ada",
    '"ada lovelace" -"ada lovelace"',
    "🙂🙂",
    "北" * 2_000,
    "%_\\",
    "unindexed MATCH rank",
]


@pytest.fixture(scope="module")
def world() -> Worded:
    world = Worded()
    world.add("Person", "ada", name="Ada Lovelace", description="wrote programs")
    world.add("Person", "odd", name='"quoted" name:thing', aliases=["C++", "a.b", "🙂", "-5"])
    world.settle()
    return world


@pytest.mark.parametrize("text", _TEXTS, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize("mode", MODES)
def test_no_text_breaks_a_search(world: Worded, text: str, mode: Mode) -> None:
    results = world.searcher().search(text, mode=mode, explain=True)
    assert set(ids(results)) <= {"ada", "odd"}
    assert results.degraded == ()


@pytest.mark.parametrize("mode", MODES)
def test_a_text_that_is_no_unicode_is_refused_by_every_arm(world: Worded, mode: Mode) -> None:
    with pytest.raises(InvalidInputError, match="text: is not valid Unicode"):
        world.searcher().search("ada \ud800", mode=mode)


@pytest.mark.parametrize("text", ['"quoted" name:thing', "C++", "a.b", "🙂", "-5"])
def test_names_of_signs_are_names(world: Worded, text: str) -> None:
    assert ids(world.searcher().search(text, mode="exact")) == ["odd"]
    assert ids(world.searcher().search(text))[0] == "odd"


@given(st.text(alphabet=st.sampled_from('ad "*-:(),\0^{}+.nearAND5é北🙂'), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_mixture_of_operators_breaks_one(world: Worded, text: str) -> None:
    if text.strip():
        results = world.searcher().search(text, explain=True)
        assert results.degraded == ()


def test_what_is_ruled_out_is_ruled_out_of_every_arm(world: Worded) -> None:
    assert "ada" not in ids(world.searcher().search("quoted -programs"))
    assert "ada" not in ids(world.searcher().search("programs -lovelace", mode="keyword"))


def test_a_phrase_that_stands_somewhere_is_a_condition_and_one_that_stands_nowhere_is_words(world: Worded) -> None:
    assert ids(world.searcher().search('"wrote programs"')) == ["ada"]
    assert set(ids(world.searcher().search('"programs wrote"'))) == {"ada", "odd"}
    assert ids(world.searcher().search('"programs wrote"', mode="keyword")) == []
