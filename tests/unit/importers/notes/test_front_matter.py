"""Front matter keeps what is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.errors import InvalidInputError
from slipstream.importers.notes.front_matter import plain_value, split_front_matter, texts_of


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.10", "1.10"),
        ("0123", "0123"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("NO", "NO"),
        ("on", "on"),
        ("2024-01-05", "2024-01-05"),
        ("2024-01-05 10:00:00", "2024-01-05 10:00:00"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("1e3", "1e3"),
        ("-0", "-0"),
        ("9223372036854775808", "9223372036854775808"),
        ("12", 12),
        ("-7", -7),
        ("1.5", 1.5),
        ("true", True),
        ("False", False),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!timestamp 2024-01-05", "2024-01-05"),
        ("[a, 1, [b]]", ["a", 1, ["b"]]),
        ("{a: 1, b: no}", {"a": 1, "b": "no"}),
        ("&x [1, 2]", [1, 2]),
    ],
)
def test_a_value_is_what_is_written(written: str, value: object) -> None:
    fields = split_front_matter(f"---\nfield: {written}\n---\n").fields
    assert fields == {"field": value}
    assert type(fields["field"]) is type(value)


def test_names_stay_texts_and_nothing_is_none() -> None:
    text = "---\non: 1\nyes: 2\n1.10: 3\nnull: 4\nempty:\nnone: ~\n---\nbody"
    assert split_front_matter(text).fields == {"on": 1, "yes": 2, "1.10": 3, "null": 4}


@pytest.mark.parametrize("end", ["---", "...", "---  "])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_it_ends_at_either_mark_also_behind_a_byte_order_mark(end: str, mark: str) -> None:
    assert split_front_matter(f"{mark}---\na: 1\n{end}\nbody\n")[:2] == ({"a": 1}, "body\n")


@pytest.mark.parametrize(
    "text",
    [
        "---\nSome text\n---\nmore",
        "---\n*emphasis* text\n---\nmore",
        "---\n- a\n- b\n---\n",
        "---\na: 1\n",
        "a\n---\nb: 1\n---\n",
    ],
)
def test_a_text_between_rules_is_text(text: str) -> None:
    assert split_front_matter(text)[:2] == ({}, text)


def test_nothing_between_rules_is_no_field() -> None:
    assert split_front_matter("---\n# only: a comment\n---\nbody")[:2] == ({}, "body")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("a: b: c", "line 2"),
        ("a: 1\na: 2", "'a' comes twice"),
        ("a: {b: [}", "is no YAML"),
        ("a: *nobody", "nothing is called"),
        ("a: " + "[" * 100_000, "nested more than 16 deep"),
        ("? [a]\n: 1", ""),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
                for before, name in zip("abcde", "bcdef", strict=True)
            ),
            "more than 10,000 values",
        ),
    ],
)
def test_what_is_broken_is_refused_or_text(source: str, why: str) -> None:
    text = f"---\n{source}\n---\n"
    if not why:
        assert split_front_matter(text).fields == {}
        return
    with pytest.raises(InvalidInputError, match=why):
        split_front_matter(text)


@given(st.text())
def test_any_text_is_split_or_refused(text: str) -> None:
    for source in (text, f"---\n{text}\n---\nbody"):
        try:
            found = split_front_matter(source)
        except InvalidInputError:
            continue
        assert source.endswith(found.body)


@given(st.one_of(st.integers().map(str), st.floats().map(str), st.text(alphabet="0123456789.-+e_:xo")))
def test_a_number_never_loses_its_text(text: str) -> None:
    value = plain_value(text)
    assert value is None or str(value) == text


@pytest.mark.parametrize(
    ("value", "texts"),
    [("a, b ,", ["a", "b"]), (["a", 1, ["x"]], ["a", "1"]), (None, []), (5, ["5"]), ({"a": 1}, [])],
)
def test_lists_are_written_in_two_ways(value: object, texts: list[str]) -> None:
    assert texts_of(value) == texts
