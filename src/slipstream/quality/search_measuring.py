"""Asks every arm every question, and makes figures of what they find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slipstream.domain.errors import InvalidInputError
from slipstream.quality.questions import Question
from slipstream.quality.search_figures import HYBRID, MISSES_MAX, Answer, K, Latency, Miss, ranks_of

Ask = Callable[[str, int], Sequence[str]]
"""Returns the ids of the best `k` hits for a text."""
Progress = Callable[[int, int], None]
"""Told how many questions are answered, and how many there are; may raise to stop."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found, and how long it took."""

    answers: tuple[Answer, ...]
    latency: Mapping[str, Latency]
    misses: tuple[Miss, ...]


def ask_all(
    arms: Mapping[str, Ask],
    questions: Sequence[Question],
    monotonic: Callable[[], float],
    on_progress: Progress | None = None,
) -> Answers:
    """
    Ask each question of each arm, in turns that begin with another arm each time.

    So what one search leaves warm for the next is the same for all. Raises what a search raises.
    """
    names = list(arms)
    taken_s: dict[str, list[float]] = {arm: [] for arm in arms}
    answers: list[Answer] = []
    misses: list[Miss] = []
    missed: dict[str, int] = {}
    watched = HYBRID if HYBRID in arms else names[-1]
    for number, question in enumerate(questions):
        turn = number % len(names)
        ranks: dict[str, tuple[int, ...]] = {}
        for arm in [*names[turn:], *names[:turn]]:
            began_s = monotonic()
            found = arms[arm](question.text, K)
            taken_s[arm].append(monotonic() - began_s)
            ranks[arm] = ranks_of(found, question.expected)
            if arm == watched and not any(rank <= 5 for rank in ranks[arm]):
                missed[question.class_name] = missed.get(question.class_name, 0) + 1
                if missed[question.class_name] <= MISSES_MAX:
                    misses.append(Miss(question.class_name, question.text, question.expected, tuple(found[:5])))
        in_order = {arm: ranks[arm] for arm in names}
        answers.append(Answer(question.digest, question.class_name, len(question.expected), in_order))
        if on_progress is not None:
            on_progress(number + 1, len(questions))
    return Answers(tuple(answers), {arm: _latency(times) for arm, times in taken_s.items()}, tuple(misses))


def chosen_arms(arms: Mapping[str, Ask], wanted: Sequence[str]) -> Mapping[str, Ask]:
    """Return the arms of these names (none: all); raises `InvalidInputError` for one that there is not."""
    unknown = [name for name in wanted if name not in arms]
    if unknown:
        raise InvalidInputError(f"has no {unknown[0]!r}; there are {', '.join(arms)}", field="arms")
    return {name: ask for name, ask in arms.items() if not wanted or name in wanted}


def _latency(times_s: Sequence[float]) -> Latency:
    p50_ms, p95_ms = np.quantile(times_s, [0.5, 0.95]) * 1000 if times_s else (0.0, 0.0)
    return Latency(round(float(p50_ms), 3), round(float(p95_ms), 3))
