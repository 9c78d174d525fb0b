"""Answers stay small and hide nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.mcp.results import Result
from slipstream.mcp.shortening import ANSWER_MAX, as_text, fitted, shortened, shown_properties, shown_value, visible

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("tag\U000e0041\U000e007f", "tag\\U000e0041\\U000e007f"),
        ("\u202eright\u2069", "\\u202eright\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("selector\U000e0100", "selector\\U000e0100"),
        ("bell\x07\x1b[2J", "bell\\x07\\x1b[2J"),
        ("two\nlines\tand Ünïcödé 日本 👩\u200d🚀 ❤\ufe0f", "two\nlines\tand Ünïcödé 日本 👩\u200d🚀 ❤\ufe0f"),
    ],
)
def test_what_shows_nothing_is_made_visible(hidden: str, shown: str) -> None:
    assert visible(hidden) == shown


def test_a_cut_text_says_so() -> None:
    assert (shortened("abc", 3), shortened("abcd", 3), shortened("abc", 0)) == ("abc", "abc…", "…")
    assert shown_value("abcd", 3) == ("abc…", 4)
    assert shown_value("abcd", 4) == ("abcd", None)
    assert shown_value({"a": ["b" * 10]}, 3) == ({"a": ["bbb…"]}, len('{"a": ["bbbbbbbbbb"]}'))
    assert shown_value(datetime(2026, 1, 1, tzinfo=UTC), 3) == ({"$datetime": "202…"}, 42)
    assert shown_value(float("inf"), 3) == ("inf", None)
    assert as_text({"a": float("nan")}) == '{"a": "nan"}'


@given(st.dictionaries(TEXTS, VALUES, max_size=30), st.integers(0, 500))
def test_whatever_the_properties_are_they_fit_and_are_json(properties: dict[str, Any], length: int) -> None:
    shown = shown_properties(properties, length)
    sent = json.dumps(shown, allow_nan=False)
    assert json.loads(sent) == shown
    assert len(json.dumps(shown["properties"], ensure_ascii=False)) < ANSWER_MAX
    left = shown["more_properties"] or 0
    assert len(shown["properties"]) + left == len(properties)
    assert set(shown["cut"] or {}) <= set(shown["properties"])


def test_properties_that_do_not_fit_are_counted() -> None:
    shown = shown_properties({f"p{number}": "v" * 100 for number in range(1_000)}, 1_000)
    assert 100 < len(shown["properties"]) <= 200
    assert len(shown["properties"]) + shown["more_properties"] == 1_000


class _Many(Result):
    items: list[str]


def test_texts_are_shortened_before_items_go() -> None:
    asked: list[tuple[int, int]] = []

    def make(items: int, length: int) -> _Many:
        asked.append((items, length))
        return _Many(items=["x" * length] * items)

    assert fitted(make, 10, 1_000, "").left_out is None
    made = fitted(make, 100, 1_000, "ask for one")
    assert (len(made.items), len(made.items[0])) == (100, 200)
    assert made.left_out == "texts are shown up to 200 characters, for the answer would be too long: ask for one"
    asked.clear()
    assert len(fitted(make, 1_000, 1_000, "").items) == 500
    assert asked == [(1_000, 1_000), (1_000, 200), (1_000, 60), (500, 1_000), (500, 200), (500, 60)]


def test_one_item_is_given_however_long_it_is() -> None:
    made = fitted(lambda items, length: _Many(items=["x" * 100_000] * items), 8, 50, "")
    assert len(made.items) == 1
