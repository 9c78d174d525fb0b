"""The query language: phrases, prefixes, nearness, fields, exclusions; and that no text is an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.word_queries import FIELDS, AllOf, AnyOf, Near, Phrase, Term, Within, Without, WordQuery
from slipstream.domain.words import words_of
from slipstream.search.query_language import CONDITIONS_MAX, DISTANCE_MAX, PHRASE_MAX, WORDS_MAX, parsed, plain


@pytest.mark.parametrize(
    ("text", "words", "conditions", "left"),
    [
        ('"night train" paris', ("paris",), (Phrase(("night", "train")),), "night train paris"),
        ('what is a "night train"?', ("what", "is", "a"), (Phrase(("night", "train")),), "what is a night train ?"),
        ("\u201cnight train\u201d", (), (Phrase(("night", "train")),), "night train"),
        ('"night tra"*', (), (Phrase(("night", "tra"), is_prefix=True),), "night tra"),
        ("near(war peace, 5)", (), (Near(("war", "peace"), 5),), "war peace"),
        ("NEAR(war peace)", (), (Near(("war", "peace"), 10),), "war peace"),
        ("near(war peace, 9999)", (), (Near(("war", "peace"), DISTANCE_MAX),), "war peace"),
        ("name:train", (), (Within(("name",), Term("train")),), "train"),
        ('Aliases:"night train"', (), (Within(("aliases",), Phrase(("night", "train"))),), "night train"),
        ("name:tra*", (), (Within(("name",), Term("tra", is_prefix=True)),), "tra"),
    ],
)
def test_conditions(text: str, words: tuple[str, ...], conditions: tuple[WordQuery, ...], left: str) -> None:
    query = parsed(text)
    assert query.words == words
    assert query.conditions == conditions
    assert query.text == left


def test_prefixes_are_words_that_may_go_on() -> None:
    query = parsed("trai* paris")
    assert query.prefixes == (Term("trai", is_prefix=True),)
    assert query.words == ("paris",)
    assert query.text == "trai paris"
    assert not query.narrows


@pytest.mark.parametrize(
    ("text", "excluded"),
    [
        ("python -snake", (Term("snake"),)),
        ('python -"garden snake" -name:monty', (Phrase(("garden", "snake")), Within(("name",), Term("monty")))),
    ],
)
def test_exclusions(text: str, excluded: tuple[WordQuery, ...]) -> None:
    query = parsed(text)
    assert query.excluded == excluded
    assert query.text == "python"
    assert query.tree(query.words) == Without(AnyOf((Term("python"),)), AnyOf(excluded))


@pytest.mark.parametrize(
    "text",
    [
        "what is a dog?",
        "C++ and C#",
        "well-known non - verbal -5 --flag",
        'a lone " quote',
        "name: train",
        "near(alone)",
        "near(a,b)",
        "title:train",
        "x*y *",
        "a*",
        "-snake",
        '""',
        "AND OR NOT ^ {name} : a.b 'x'",
        "(" * 200,
        "",
    ],
)
def test_whatever_is_not_of_its_forms_is_plain_words(text: str) -> None:
    query = parsed(text)
    assert not query.narrows
    assert not query.prefixes
    assert query.words == tuple(dict.fromkeys(words_of(text)))


def test_a_query_is_bounded() -> None:
    assert len(parsed(" ".join(f"w{number}" for number in range(2_000))).words) == WORDS_MAX
    conditions = parsed(" ".join(f'"a{number} b"' for number in range(100)))
    assert len(conditions.conditions) == CONDITIONS_MAX
    assert "a99" in conditions.words
    assert len(parsed("x " + " ".join(f"-w{number}" for number in range(100))).excluded) == CONDITIONS_MAX
    long = parsed('"' + " ".join(f"w{number}" for number in range(PHRASE_MAX + 1)) + '"')
    assert not long.conditions
    assert len(long.words) == PHRASE_MAX + 1


def test_a_word_counts_once() -> None:
    assert parsed("dog Dog DOG d\u00f6g").words == ("dog",)
    assert plain("dog dog").words == ("dog",)


_PIECES = st.sampled_from(
    [
        '"',
        "*",
        "-",
        ":",
        "near(",
        ")",
        ",",
        "(",
        "name:",
        "type:",
        "5",
        " ",
        "  ",
        "dog",
        "Zürich",
        "北京",
        "\0",
        "\ud800",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=40).map("".join)))
def test_no_text_is_an_error_and_every_word_is_as_the_rows_have_them(text: str) -> None:
    query = parsed(text)
    for word in _words(query.tree(query.words)):
        assert words_of(word) == [word]
    if words_of(text):
        assert query.words or query.prefixes or query.conditions


def _words(query: WordQuery) -> list[str]:
    if isinstance(query, AnyOf | AllOf):
        return [word for part in query.parts for word in _words(part)]
    if isinstance(query, Without):
        return [*_words(query.part), *_words(query.excluded)]
    if isinstance(query, Within):
        assert set(query.fields) <= set(FIELDS)
        return _words(query.part)
    return [query.word] if isinstance(query, Term) else list(query.words)
