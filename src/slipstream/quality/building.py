"""
Questions made from a graph: its names in many wordings, its texts shuffled, aliases taken out of it.

Two passes over the entities. The first learns who has which name: a question expects every sense of its name. The
second draws for each class those candidates whose digests, made of the seed and the name, are smallest: so the same
graph and seed make the same questions, and one entity more or less changes few of them. Memory is bounded by the
names of the graph.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss
from slipstream.domain.words import fold, words_of
from slipstream.quality.questions import Half, Question, halves
from slipstream.quality.wording import framed, misspelled, plural, shuffled, with_type

UNLISTED = "unlisted"
CLASSES = (
    "name",
    "rare_name",
    "alias",
    UNLISTED,
    "shuffled",
    "misspelled",
    "plural",
    "id",
    "typed",
    "asked",
    "asked_misspelled",
)
SENSES_MAX = 100
"""A name that more entities have asks for nothing in particular."""
PER_CLASS_MAX = 5_000
_NAME_SIZE_MAX = 200


_Worded = Callable[[random.Random], tuple[str | None, tuple[str, ...]]]
"""Words a question, None where it can not, and says what it expects."""


class Named(NamedTuple):
    """What is asked about of one entity."""

    id: str
    type: str
    name: str
    aliases: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderSettings:
    """Which questions to make; raises `InvalidInputError` that names the wrong one."""

    seed: int = 0
    per_class: int = 400
    classes: tuple[str, ...] = tuple(name for name in CLASSES if name != UNLISTED)
    """Which of `CLASSES`; `unlisted` needs a graph of its own, from which its aliases have been taken."""
    plural_types: tuple[str, ...] = ()
    """The types whose names have a plural; none: all."""

    def __post_init__(self) -> None:
        if not 2 <= self.per_class <= PER_CLASS_MAX:
            raise InvalidInputError(f"must be in 2..{PER_CLASS_MAX:,}, not {self.per_class}", field="per_class")
        for name in self.classes:
            if name not in CLASSES:
                raise InvalidInputError(f"is {name!r}{near_miss(name, CLASSES)}", field="classes")


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions, each in one half, and what has to be taken out of the graph before they are asked."""

    questions: tuple[Question, ...]
    taken_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Aliases by the id of the entity that loses them."""
    scarce: Mapping[str, int] = field(default_factory=dict)
    """The classes with fewer questions than were asked for, and how many they have: the graph gives no more."""


def build_questions(entities: Callable[[], Iterable[Named]], settings: BuilderSettings) -> QuestionSet:
    """Make questions from entities, which are gone through twice: `entities` is called for each pass."""
    names = _Names()
    for entity in entities():
        names.learn(entity)
    drawing = _Drawing(names, settings)
    for entity in entities():
        drawing.consider(entity)
    return drawing.drawn()


class _Names:
    """Who has which name."""

    def __init__(self) -> None:
        self.senses: dict[str, dict[str, str]] = {}
        """By folded name or alias: the types of the entities that have it, by id."""
        self.proper: set[str] = set()
        """The folded names that are some entity's own, not only an alias."""
        self.words: Counter[str] = Counter()
        """In how many entities' names a word stands."""
        self._texts: dict[bytes, list[str]] = {}
        """By a text's digest: the entities that have it."""

    def learn(self, entity: Named) -> None:
        """Note the names of one entity."""
        words: set[str] = set()
        for name in (entity.name, *entity.aliases):
            if folded := fold(name):
                self.senses.setdefault(folded, {})[entity.id] = entity.type
                words.update(folded.split())
        self.proper.add(fold(entity.name))
        self.words.update(words)
        if entity.text:
            self._texts.setdefault(_digest(entity.text), []).append(entity.id)

    def ids_of_text(self, text: str) -> tuple[str, ...]:
        """Return the entities that have a text."""
        return tuple(self._texts[_digest(text)])

    def ids(self, folded: str) -> tuple[str, ...]:
        """Return the entities that have a name, by id."""
        return tuple(sorted(self.senses.get(folded, ())))

    def types(self, folded: str) -> set[str]:
        """Return the types of the entities that have a name."""
        return set(self.senses[folded].values())


class _Candidate(NamedTuple):
    place: bytes
    """The digest by which it is drawn."""
    question: Question
    alias: str = ""
    """What it takes out of the graph, folded."""


class _Pool:
    """The candidates of a class with the smallest digests, each subject once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[bytes, _Candidate] = {}
        self._bound: bytes | None = None

    def wants(self, place: bytes) -> bool:
        """Whether a candidate would be kept: asked first, as wording one costs more."""
        return place not in self._kept and (self._bound is None or place < self._bound)

    def add(self, candidate: _Candidate) -> None:
        self._kept[candidate.place] = candidate
        if len(self._kept) >= 2 * self._size:
            self._kept = {each.place: each for each in self.best()}
            self._bound = max(self._kept)

    def best(self) -> list[_Candidate]:
        return sorted(self._kept.values(), key=lambda each: each.place)[: self._size]


class _Drawing:
    def __init__(self, names: _Names, settings: BuilderSettings) -> None:
        self._names, self._settings = names, settings
        self._pools = {name: _Pool(settings.per_class) for name in settings.classes}
        self._typed_apart = _Pool(settings.per_class)
        """Of `typed`: names that entities of several types have, where the type tells them apart."""
        self._aliases: dict[str, list[tuple[str, str]]] = {}

    def consider(self, entity: Named) -> None:
        """Make a candidate of the entity in each class."""
        name, folded = entity.name.strip(), fold(entity.name)
        self._offer("id", entity.id, lambda _: (entity.id, tuple({entity.id, *self._names.ids(fold(entity.id))})))
        if entity.text:
            self._offer("shuffled", entity.text, self._shuffled(entity.text))
        for alias in entity.aliases:
            self._of_alias(entity, alias.strip(), fold(alias))
        if not folded or len(name) > _NAME_SIZE_MAX or len(self._names.senses[folded]) > SENSES_MAX:
            return
        ids = self._names.ids(folded)
        self._offer("name", folded, lambda _: (name, ids))
        if len(ids) == 1 and any(self._names.words[word] == 1 for word in folded.split()):
            self._offer("rare_name", folded, lambda _: (name, ids))
        self._offer("misspelled", folded, lambda rng: (self._wrong(name, rng), ids))
        self._offer("asked", folded, lambda rng: (framed(name, rng), ids))
        self._offer("asked_misspelled", folded, lambda rng: (self._asked_wrong(name, rng), ids))
        if not self._settings.plural_types or entity.type in self._settings.plural_types:
            self._offer("plural", folded, lambda _: (self._new(plural(name)), ids))
        self._typed(entity, name, folded)

    def _shuffled(self, text: str) -> _Worded:
        return lambda rng: (shuffled(text, rng), self._names.ids_of_text(text))

    def _typed(self, entity: Named, name: str, folded: str) -> None:
        senses = self._names.senses[folded]
        meant = tuple(sorted(each for each, type_name in senses.items() if type_name == entity.type))

        def worded(rng: random.Random) -> tuple[str, tuple[str, ...]]:
            return with_type(name, entity.type, rng), meant

        pool = self._typed_apart if len(self._names.types(folded)) > 1 else None
        self._offer("typed", f"{folded}\0{entity.type}", worded, pool)

    def _of_alias(self, entity: Named, alias: str, folded: str) -> None:
        """An alias is either asked as it is listed, or taken out: its digest says which."""
        is_odd = self._place("alias or unlisted", folded)[0] % 2 == 1
        if not folded or folded in self._names.proper or len(self._names.senses[folded]) > SENSES_MAX:
            return
        ids = self._names.ids(folded)
        if is_odd or UNLISTED not in self._pools:
            self._offer("alias", folded, lambda _: (alias, ids))
            return
        self._aliases.setdefault(folded, []).append((entity.id, alias))
        if self._is_in_other_words(folded, entity):
            self._offer(UNLISTED, folded, lambda _: (alias, ids), alias=folded)

    @staticmethod
    def _is_in_other_words(folded: str, entity: Named) -> bool:
        """Whether at most half of an alias's words stand in the name: what repeats it asks for nothing new."""
        words, named = folded.split(), {_stem(word) for word in words_of(entity.name)}
        return sum(_stem(word) in named for word in words) * 2 <= len(words)

    def _wrong(self, name: str, rng: random.Random) -> str | None:
        return self._new(misspelled(name, rng))

    def _asked_wrong(self, name: str, rng: random.Random) -> str | None:
        wrong = self._wrong(name, rng)
        return None if wrong is None else framed(wrong, rng)

    def _new(self, wording: str | None) -> str | None:
        """Return a wording that is nobody's name, else None."""
        return None if wording is None or fold(wording) in self._names.senses else wording

    def _offer(
        self,
        class_name: str,
        subject: str,
        worded: _Worded,
        pool: _Pool | None = None,
        alias: str = "",
    ) -> None:
        own = self._pools.get(class_name)
        if own is None:
            return
        place = self._place(class_name, subject)
        if not (pool or own).wants(place):
            return
        text, expected = worded(random.Random(place))  # noqa: S311  (a sample, no secret)
        if text is not None and text.strip():
            (pool or own).add(_Candidate(place, Question(text, tuple(sorted(expected)), class_name), alias))

    def _place(self, class_name: str, subject: str) -> bytes:
        return _digest(f"{self._settings.seed}\0{class_name}\0{subject}")

    # ------------------------------------------------------------------ the end

    def drawn(self) -> QuestionSet:
        """Return the questions, by class, each in one half."""
        found: list[_Candidate] = []
        scarce: dict[str, int] = {}
        for class_name in self._settings.classes:
            chosen = list(self._chosen(class_name))[: self._settings.per_class]
            if len(chosen) < self._settings.per_class:
                scarce[class_name] = len(chosen)
            found += chosen if len(chosen) > 1 else []  # one question can not be in both halves
        return QuestionSet(
            tuple(_in_halves([each.question for each in found], self._settings.seed)),
            self._taken_out({each.alias for each in found if each.alias}),
            scarce,
        )

    def _chosen(self, class_name: str) -> Iterator[_Candidate]:
        """Yield the best candidates of a class; of `typed`, half of them are those that the type tells apart."""
        best = self._pools[class_name].best()
        if class_name != "typed":
            yield from best
            return
        apart = self._typed_apart.best()
        half = max(self._settings.per_class // 2, self._settings.per_class - len(best))
        yield from apart[:half]
        yield from best

    def _taken_out(self, aliases: set[str]) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for folded in sorted(aliases):
            for entity_id, alias in self._aliases[folded]:
                found.setdefault(entity_id, []).append(alias)
        return {entity_id: tuple(gone) for entity_id, gone in sorted(found.items())}


def _in_halves(questions: Sequence[Question], seed: int) -> Iterator[Question]:
    tuning = {(each.class_name, each.digest) for each in halves(questions, seed)[Half.TUNING]} if questions else set()
    for each in questions:
        half = Half.TUNING if (each.class_name, each.digest) in tuning else Half.TEST
        yield Question(each.text, each.expected, each.class_name, half)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _stem(word: str) -> str:
    return word.removesuffix("es").removesuffix("s")
