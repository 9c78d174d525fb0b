"""Questions that say what they should find, as lines of a file, in classes, each split into two halves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from slipstream.domain.errors import InvalidInputError

QUESTIONS_MAX = 50_000
TEXT_SIZE_MAX = 10_000
UNNAMED = "questions"
"""The class of a question that says none."""
_KNOWN = ("question", "expected", "class", "half")
_EXAMPLE = '{"question": "...", "expected": ["id"], "class": "name"}'


class Half(StrEnum):
    """What a question is for: to choose weights by, or to tell what they are worth."""

    TUNING = "tuning"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Question:
    """One question, and the ids of all that answers it."""

    text: str
    expected: tuple[str, ...]
    class_name: str = UNNAMED
    half: Half | None = None

    @property
    def digest(self) -> str:
        """What tells it from other questions, from run to run: its class, its text and what it expects."""
        told = json.dumps([self.class_name, self.text, sorted(self.expected)])
        return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()

    def line(self) -> str:
        """Return it as a line of a file, as `parse_questions` reads it."""
        told: dict[str, object] = {"question": self.text, "expected": self.expected, "class": self.class_name}
        if self.half is not None:
            told["half"] = self.half.value
        return json.dumps(told, ensure_ascii=False)


def parse_questions(lines: Iterable[str]) -> list[Question]:
    """
    Parse JSON lines such as `{"question": "...", "expected": ["id", ...], "class": "name"}`; blank ones are skipped.

    `class` and `half` (tuning or test) may be absent. Raises `InvalidInputError` that names line and field, also
    where there is no question at all.
    """
    questions: list[Question] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            questions.append(_question(line, f"questions line {number}"))
        if len(questions) > QUESTIONS_MAX:
            raise InvalidInputError(f"hold more than {QUESTIONS_MAX:,}: take a sample", field="questions")
    if not questions:
        raise InvalidInputError(f"are none: each is a line such as {_EXAMPLE}", field="questions")
    return questions


def _question(line: str, place: str) -> Question:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"is not JSON ({error})", field=place) from error
    if not isinstance(row, dict):
        raise InvalidInputError(f"must be an object such as {_EXAMPLE}", field=place)
    unknown = row.keys() - set(_KNOWN)
    if unknown:
        raise InvalidInputError(f"is unknown; known are {', '.join(_KNOWN)}", field=f"{place}: {min(unknown)}")
    return Question(
        _text(row.get("question"), f"{place}: question"),
        _expected(row.get("expected"), f"{place}: expected"),
        _text(row.get("class", UNNAMED), f"{place}: class", 100),
        _half(row.get("half"), f"{place}: half"),
    )


def _text(given: object, place: str, size_max: int = TEXT_SIZE_MAX) -> str:
    if not isinstance(given, str) or not given.strip() or len(given) > size_max:
        raise InvalidInputError(f"must be a text of 1..{size_max:,} characters", field=place)
    return given


def _expected(given: object, place: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(item, str) and item for item in given):
        raise InvalidInputError("must be a list of ids, at least one: what the question should find", field=place)
    return tuple(dict.fromkeys(given))


def _half(given: object, place: str) -> Half | None:
    if given is None:
        return None
    if given not in list(Half):
        raise InvalidInputError(f"must be {' or '.join(Half)}, not {given!r}", field=place)
    return Half(str(given))


def by_class(questions: Sequence[Question]) -> dict[str, list[Question]]:
    """Return the questions of each class, classes and questions in the order in which they come first."""
    found: dict[str, list[Question]] = {}
    for question in questions:
        found.setdefault(question.class_name, []).append(question)
    return found


def halves(questions: Sequence[Question], seed: int) -> Mapping[Half, Sequence[Question]]:
    """
    Return the questions of each half: those that say it, and of each class as many of the others in either.

    Which ones depends on the seed and the questions alone, not on their order. Raises `InvalidInputError` for a class
    that leaves a half empty.
    """
    chosen: dict[Half, list[Question]] = {half: [] for half in Half}
    for class_name, asked in by_class(questions).items():
        free = sorted((each for each in asked if each.half is None), key=lambda each: _place(each, seed))
        taken = {each.digest for each in free[: len(free) // 2]}
        sides = [each.half or (Half.TUNING if each.digest in taken else Half.TEST) for each in asked]
        for half in Half:
            if half not in sides:
                raise InvalidInputError(
                    f"class {class_name!r} has no question for the {half} half", field="questions"
                )
        for each, half in zip(asked, sides, strict=True):
            chosen[half].append(each)
    return chosen


def _place(question: Question, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {question.digest}".encode(), digest_size=8).digest()
