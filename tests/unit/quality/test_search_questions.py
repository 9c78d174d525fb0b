"""Files of questions, their halves, and questions made from a small graph."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.words import fold
from slipstream.quality.building import CLASSES, BuilderSettings, Named, QuestionSet, build_questions
from slipstream.quality.questions import UNNAMED, Half, Question, by_class, halves, parse_questions
from slipstream.quality.wording import framed, misspelled, plural, shuffled, with_type

TEXT = "the large grey animal that never forgets where water can be found in summer"
ANIMALS = [
    Named("e1", "Noun", "elephant", ("tusker", "pachyderm"), TEXT),
    Named("e2", "Noun", "lion", ("king of beasts",), "a large cat of the savannah that lives in prides"),
    Named("e3", "Verb", "lion", (), "to treat somebody as a celebrity by asking for autographs"),
    Named("e4", "Noun", "cherry", ("tusker",), TEXT),
    Named("e5", "Noun", "mountain lion", ("puma", "mountain lions", "lion"), "a cat"),
]


def _built(entities: Sequence[Named] = ANIMALS, **settings: object) -> QuestionSet:
    chosen = BuilderSettings(**{"classes": CLASSES, "seed": 3, **settings})  # type: ignore[arg-type]
    return build_questions(lambda: entities, chosen)


def _of(made: QuestionSet, class_name: str) -> dict[str, tuple[str, ...]]:
    return {each.text: each.expected for each in made.questions if each.class_name == class_name}


def test_a_file_is_read_and_written() -> None:
    line = '{"question": "who?", "expected": ["a", "a", "b"], "class": "name", "half": "test"}'
    (read,) = parse_questions([line, "\n"])
    assert read == Question("who?", ("a", "b"), "name", Half.TEST)
    assert parse_questions([read.line()]) == [read]
    (bare,) = parse_questions(['{"question": "who?", "expected": ["a"]}'])
    assert (bare.class_name, bare.half) == (UNNAMED, None)
    assert parse_questions([bare.line()]) == [bare]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", "questions line 2"),
        ("[]", "questions line 2"),
        ('{"question": " ", "expected": ["a"]}', "questions line 2: question"),
        ('{"question": 1, "expected": ["a"]}', "questions line 2: question"),
        ('{"question": "q"}', "questions line 2: expected"),
        ('{"question": "q", "expected": []}', "questions line 2: expected"),
        ('{"question": "q", "expected": [""]}', "questions line 2: expected"),
        ('{"question": "q", "expected": "a"}', "questions line 2: expected"),
        ('{"question": "q", "expected": ["a"], "class": ""}', "questions line 2: class"),
        ('{"question": "q", "expected": ["a"], "half": "dev"}', "questions line 2: half"),
        ('{"query": "q", "expected": ["a"]}', "questions line 2: query"),
    ],
)
def test_a_wrong_line_is_named(line: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_questions(["\n", line])
    assert refused.value.field == field


def test_no_question_at_all_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="each is a line such as"):
        parse_questions(["\n"])


def test_halves_depend_on_the_seed_and_not_on_the_order() -> None:
    asked = [Question(str(n), ("a",), "x" if n % 3 else "y") for n in range(30)]
    split = halves(asked, 1)
    assert {half: len(each) for half, each in split.items()} == {Half.TUNING: 15, Half.TEST: 15}
    assert [len(each) for each in by_class(split[Half.TEST]).values()] == [5, 10]
    backwards = halves(asked[::-1], 1)
    assert {half: set(each) for half, each in backwards.items()} == {half: set(each) for half, each in split.items()}
    assert set(halves(asked, 2)[Half.TEST]) != set(split[Half.TEST])


def test_a_half_that_is_said_is_kept_and_an_empty_one_refused() -> None:
    said = [Question("a", ("x",), half=Half.TEST), Question("b", ("x",), half=Half.TUNING)]
    assert halves(said, 0) == {Half.TUNING: [said[1]], Half.TEST: [said[0]]}
    with pytest.raises(InvalidInputError, match="no question for the tuning half"):
        halves([Question("a", ("x",))], 0)


def test_every_sense_of_a_name_is_expected() -> None:
    made = _built()
    assert _of(made, "name")["lion"] == ("e2", "e3", "e5")
    assert _of(made, "id")["e1"] == ("e1",)
    typed = _of(made, "typed")
    assert {expected for text, expected in typed.items() if "lion" in text and "verb" in text} == {("e3",)}
    assert {expected for text, expected in typed.items() if text in ("lion noun", "noun lion")} == {("e2", "e5")}
    assert all("elephant" in text for text, expected in _of(made, "asked").items() if expected == ("e1",))


def test_a_shuffled_text_expects_all_that_have_it_and_lacks_two_fifths() -> None:
    found = [(text, ids) for text, ids in _of(_built(), "shuffled").items() if ids == ("e1", "e4")]
    ((text, _),) = found
    words = TEXT.split()
    assert len(text.split()) == len(words) - round(0.4 * len(words))
    assert set(text.split()) <= set(words)


def test_rare_names_have_one_sense_and_a_word_of_their_own() -> None:
    assert set(_of(_built(), "rare_name")) == {"elephant", "cherry", "mountain lion"}


def test_aliases_are_listed_or_taken_out_and_never_both() -> None:
    made = _built()
    listed, gone = set(_of(made, "alias")), set(_of(made, "unlisted"))
    assert not listed & gone
    assert listed | gone <= {"tusker", "pachyderm", "king of beasts", "puma", "mountain lions"}
    assert "lion" not in listed | gone  # somebody's name
    told = {(identity, alias) for identity, aliases in made.taken_out.items() for alias in aliases}
    assert {alias for _, alias in told} == gone
    for alias, expected in _of(made, "unlisted").items():
        assert expected == tuple(sorted(identity for identity, taken in told if taken == alias))


def test_what_repeats_the_name_is_not_asked_as_other_words() -> None:
    people = [Named(f"p{n}", "Person", f"grey wolf {n}", (f"grey wolves {n}", f"lupus {n} x y")) for n in range(40)]
    unlisted = _of(_built(people), "unlisted")
    assert unlisted
    assert all(text.startswith("lupus") for text in unlisted)


def test_misspellings_and_plurals_are_nobodys_name() -> None:
    made = _built()
    names = {fold(name) for each in ANIMALS for name in (each.name, *each.aliases)}
    for class_name in ("misspelled", "plural"):
        assert _of(made, class_name)
        assert not {fold(text) for text in _of(made, class_name)} & names
    assert "mountain lions" not in _of(made, "plural")  # an alias of it
    assert _of(made, "plural")["cherries"] == ("e4",)


def test_the_same_seed_makes_the_same_questions() -> None:
    people = [Named(f"p{n}", "Person", f"person number {n}", (f"citizen {n} of nowhere",), TEXT) for n in range(300)]
    made = _built(people, per_class=20)
    assert made == _built(people[::-1], per_class=20)
    assert made != _built(people, per_class=20, seed=4)
    assert {len(each) for name, each in by_class(made.questions).items() if name != "shuffled"} == {20}
    for asked in by_class([each for each in made.questions if each.class_name != "shuffled"]).values():
        assert [each.half for each in asked].count(Half.TEST) == 10
    assert set(made.scarce) == {"shuffled", "misspelled", "asked_misspelled", "plural"}  # one text; names with digits


def test_a_class_of_one_question_is_left_out_and_told() -> None:
    made = _built([ANIMALS[0]])
    assert "id" not in {each.class_name for each in made.questions}
    assert made.scarce["id"] == 1


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'plural'") as refused:
        BuilderSettings(classes=("plurals",))
    assert refused.value.field == "classes"
    with pytest.raises(InvalidInputError, match=r"in 2\.\.5,000"):
        BuilderSettings(per_class=1)
    assert "unlisted" not in BuilderSettings().classes


def test_misspellings_are_one_or_two_edits_away() -> None:
    rng = random.Random(1)
    found = {misspelled("elephant", rng) for _ in range(300)}
    assert len(found) > 100
    assert all(each is not None and 6 <= len(each) <= 10 for each in found)
    assert misspelled("lion", rng) is None
    assert misspelled("C++ compiler", rng) is None


def test_wordings() -> None:
    rng = random.Random(2)
    plurals = {"berry": "berries", "box": "boxes", "day": "days", "key word": "key words", "church": "churches"}
    assert [plural(name) for name in plurals] == list(plurals.values())
    assert [plural(name) for name in ("bus", "USA", "ab", "x1y2", "Škoda")] == [None] * 5
    assert shuffled("too few words", rng) is None
    assert "dog" in framed("dog", rng)
    assert {with_type("ada", "CodeEntity", rng) for _ in range(20)} == {"ada code entity", "code entity ada"}
