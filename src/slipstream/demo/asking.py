"""Chapter 6: searches for what any Python environment knows of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipstream.app.slipstream import Slipstream
from slipstream.search.hits import SearchHit

_K = 3
_NEIGHBOURS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how the search is narrowed or widened."""

    text: str
    entity_type: str | None = None
    expand: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """One hit; `neighbours` are the names of some that the search brought along."""

    score: float
    type: str
    id: str
    name: str
    neighbours: Sequence[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A question and its hits, best first."""

    question: Question
    hits: Sequence[Hit]


QUESTIONS = (
    Question("read the rows of a CSV file"),
    Question("run many tasks at the same time", entity_type="CodeEntity"),
    Question("a library for vectors and matrices", entity_type="Package"),
    Question("command line arguments", expand=1),
)


def ask(slip: Slipstream) -> list[Answer]:
    """Ask all questions."""
    return [_answer(slip, question) for question in QUESTIONS]


def _answer(slip: Slipstream, question: Question) -> Answer:
    results = slip.search(question.text, _K, entity_type=question.entity_type, expand=question.expand)
    return Answer(question, [_hit(hit) for hit in results])


def _hit(hit: SearchHit) -> Hit:
    names = [neighbour.name for neighbour in hit.neighbours[:_NEIGHBOURS_SHOWN]]
    return Hit(round(hit.score, 3), hit.entity_type, hit.entity_id, hit.name, names)
