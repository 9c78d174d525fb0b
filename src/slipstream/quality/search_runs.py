"""Quality of searches on an open PKG: questions from its graph, what the arms find, weights, past measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from slipstream.domain.entities import EntityState
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.quality.building import BuilderSettings, Named, QuestionSet, build_questions
from slipstream.quality.expected import check_ids
from slipstream.quality.kept_searches import KeptSearches
from slipstream.quality.questions import Half, Question, halves
from slipstream.quality.search_figures import (
    HYBRID,
    SearchDifference,
    SearchQuality,
    difference,
    search_figures,
)
from slipstream.quality.search_measuring import Answers, Ask, Progress, ask_all, chosen_arms
from slipstream.quality.tuning import Evidence, Tuned, gathered, tuned
from slipstream.views.words import WordViews

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParts:
    """What searches are measured with; a composition root puts it together."""

    graph: GraphReader
    journal: Journal
    clock: Clock
    frontier: Callable[[], Position]
    words: Callable[[], WordViews]
    """Returns which properties are names and aliases: questions are made of them."""
    arms: Mapping[str, Ask]
    """What can be asked, by name: the vectors alone, and the others."""
    evidence: Evidence | None = None
    """Tells what every arm adds to the hits of a hybrid search; None where nothing is fused."""
    weights: Callable[[], Mapping[str, float]] = field(default=dict)
    """Returns the weights in force, by arm, that of the vectors first."""


@dataclass(frozen=True, slots=True)
class TunedSearch:
    """Weights chosen on one half of the questions, and what they are worth on the other."""

    tuned: Tuned
    before: SearchQuality
    """The test half by the weights in force."""
    gain: SearchDifference
    """What the chosen weights find in the test half, beside those in force."""

    @property
    def is_better(self) -> bool:
        """Whether the chosen weights find more in the test half too, by an interval wholly above 0."""
        figures = self.gain.macro
        return any(figures[name].low > 0 for name in ("recall_1", "recall_5")) and not any(
            figures[name].high < 0 for name in ("recall_1", "recall_5")
        )


class SearchRuns:
    """How good searches are."""

    def __init__(self, parts: SearchParts) -> None:
        self._searching = parts
        self._searches = KeptSearches(parts.journal)

    def search(
        self,
        questions: Sequence[Question],
        *,
        arms: Sequence[str] = (),
        half: Half | None = None,
        seed: int = 0,
        on_progress: Progress | None = None,
    ) -> SearchQuality:
        """
        Ask every question of every arm (or of those named), and keep the figures.

        With `half` only that half of the questions is asked; those that do not say theirs are split by `seed`, which
        also draws the resamples of the intervals. Raises `InvalidInputError` for an unknown arm, and for an expected
        id that the graph does not have; what a search raises; and what `on_progress` raises.
        """
        chosen = chosen_arms(self._searching.arms, arms)
        asked = self._asked(questions, half, seed)
        found = ask_all(chosen, asked, self._searching.clock.monotonic, on_progress)
        return self._searches.keep(self._figures(found, seed, half), found.answers)

    def tune_search(
        self, questions: Sequence[Question], *, seed: int = 0, on_progress: Progress | None = None
    ) -> TunedSearch:
        """
        Choose weights on the tuning half, and tell what they are worth on the test half; sets nothing.

        Raises `ConfigError` where no arms are fused, and what `search` raises.
        """
        evidence, weights = self._searching.evidence, self._searching.weights()
        if evidence is None or not weights:
            raise ConfigError("nothing is fused here: there are no weights to choose")
        split = halves(questions, seed)
        self._check(questions)
        total = len(questions)
        half_done = len(split[Half.TUNING])
        arms = list(weights)
        material = gathered(evidence, arms, split[Half.TUNING], _part(on_progress, 0, total))
        best = tuned(material, weights)
        judged = gathered(evidence, arms, split[Half.TEST], _part(on_progress, half_done, total))
        now = judged.answers(judged.neutral, HYBRID)
        then = judged.answers(judged.factors(weights, best.weights), HYBRID)
        before = self._figures(Answers(tuple(now), {}, ()), seed, Half.TEST)
        return TunedSearch(best, before, difference(now, then, HYBRID, seed=seed))

    def searches(self) -> list[SearchQuality]:
        """Return the kept measurements, oldest first."""
        return self._searches.runs()

    def compare_searches(
        self, first: int, second: int, arm: str = HYBRID, *, other: str | None = None, seed: int = 0
    ) -> SearchDifference:
        """
        Compare an arm of two kept measurements on the questions of both; `other` is that of the first, if another.

        Raises `InvalidInputError` for a measurement that is not kept or did not ask that arm, and where the two have
        no question in common.
        """
        old, new = self._searches.answers(first), self._searches.answers(second)
        for run_id, answers, asked in ((first, old, other or arm), (second, new, arm)):
            if answers and asked not in answers[0].ranks:
                known = ", ".join(answers[0].ranks)
                raise InvalidInputError(f"measurement {run_id} has no {asked!r}; it has {known}", field="arm")
        found = difference(old, new, arm, other=other, seed=seed)
        if not found.questions:
            raise InvalidInputError(
                f"measurements {first} and {second} have no question in common: ask both the same file", field="id"
            )
        return found

    def questions(self, settings: BuilderSettings | None = None) -> QuestionSet:
        """Make questions from the graph; see `BuilderSettings`."""
        words = self._searching.words()
        return build_questions(lambda: named(self._searching.graph, words), settings or BuilderSettings())

    def _asked(self, questions: Sequence[Question], half: Half | None, seed: int) -> Sequence[Question]:
        asked = questions if half is None else halves(questions, seed)[half]
        if not asked:
            raise InvalidInputError("are none: there is nothing to ask", field="questions")
        self._check(asked)
        return asked

    def _check(self, questions: Sequence[Question]) -> None:
        expected = (each for question in questions for each in question.expected)
        check_ids(self._searching.graph, expected, field="questions: expected")

    def _figures(self, found: Answers, seed: int, half: Half | None) -> SearchQuality:
        parts = self._searching
        macro, classes = search_figures(found.answers, seed)
        return SearchQuality(
            len(found.answers),
            seed,
            macro,
            classes,
            found.latency,
            found.misses,
            at=parts.clock.now().isoformat(),
            position=parts.frontier(),
            half=half,
        )


def named(graph: GraphReader, words: WordViews) -> Iterator[Named]:
    """Yield what is asked about of every entity, by id: its name, its aliases, and the longest of its texts."""
    after: RecordKey | None = None
    while page := graph.scan(after, _PAGE, ()):
        keys = [each.key for each in page if each.key.kind is KeyKind.ENTITY]
        states = graph.read(keys, {}).states
        for key in keys:
            state = states.get(key)
            fields = words.fields(state) if isinstance(state, EntityState) else None
            if fields is not None:
                text = max(fields.body.split("\n"), key=len).strip()
                yield Named(key.id, fields.entity_type, fields.name, fields.aliases, text)
        after = page[-1].key


def _part(on_progress: Progress | None, done: int, total: int) -> Progress | None:
    return None if on_progress is None else lambda count, _: on_progress(done + count, total)
