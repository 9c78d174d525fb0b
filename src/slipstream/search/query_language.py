"""
The query language of searches by words: phrases, prefixes, nearness, fields and exclusions between plain words.

    "night train"     these words behind one another         "night tra"*      the last one may go on
    train*            words that begin so                    near(a b, 5)      within 5 words of one another
    name:train        only in this field (name, aliases, body, type)
    -train            not where this is; also -"a phrase", -name:train

Everything else is plain words, and so is whatever is not quite of this form: no text is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from slipstream.domain.word_queries import FIELDS, AllOf, AnyOf, Near, Phrase, Term, Within, Without, WordQuery
from slipstream.domain.words import words_of

WORDS_MAX = 256
"""How many distinct plain words of a query are looked at, its first ones."""
CONDITIONS_MAX = 16
"""How many conditions and how many exclusions a query may have; further ones are plain words."""
DISTANCE_MAX = 100
PHRASE_MAX = 64
"""The longest phrase, in words; a longer one is plain words."""
_PREFIX_MIN = 2
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"'})
_PARTS = re.compile(
    rf"""(?<!\S)(?P<minus>-)?(?:(?P<field>{"|".join(FIELDS)}):)?
        (?: "(?P<phrase>[^"]*)"(?P<goes_on>\*)?(?![^\s.,;:!?)])
          | near\( (?P<near>[^(),"]+) (?:,\s*(?P<distance>\d{{1,4}})\s*)? \)(?!\S)
          | (?P<word>[^\s"*]+)(?P<prefix>\*)?(?!\S)
        )""",
    re.VERBOSE | re.IGNORECASE,
)
_OPERATORS = re.compile(r'["*:(]|(?<!\S)-\S')


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query by its parts; words are as `domain.words.words_of` has them."""

    text: str
    """What is left for models to embed: the query without its operators and without what is excluded."""
    words: tuple[str, ...]
    """The distinct plain words, in their order: what a hit has any of."""
    prefixes: tuple[Term, ...] = ()
    """Beginnings of words: what a hit may have as well."""
    conditions: tuple[WordQuery, ...] = ()
    """What every hit has: phrases, nearness, words of one field."""
    excluded: tuple[WordQuery, ...] = ()
    """What no hit has."""

    @property
    def narrows(self) -> bool:
        """Whether it says what hits must have, or must not."""
        return bool(self.conditions or self.excluded)

    def all_words(self) -> tuple[str, ...]:
        """Return the distinct words that count for a hit: plain ones and those of conditions."""
        found = dict.fromkeys(self.words)
        for condition in self.conditions:
            found.update(dict.fromkeys(_words_in(condition)))
        return tuple(found)

    def tree(self, words: tuple[str, ...]) -> WordQuery:
        """Return what a word index is asked, with these of the plain words."""
        wanted = (*self.prefixes, *(Term(word) for word in words))
        part: WordQuery = AnyOf((*self.conditions, *wanted))
        if self.conditions:
            part = AllOf((*self.conditions, part)) if wanted else AllOf(self.conditions)
        return Without(part, AnyOf(self.excluded)) if self.excluded else part


def parsed(text: str) -> ParsedQuery:
    """Return the parts of a query; one that only excludes, or has no word, is all plain words."""
    straight = text.translate(_QUOTES)
    if _OPERATORS.search(straight) is None:
        return plain(text)
    found = _Parts()
    end = 0
    for part in _PARTS.finditer(straight):
        found.take_plain(straight[end : part.start()])
        found.take(part)
        end = part.end()
    found.take_plain(straight[end:])
    query = found.query()
    return query if query.words or query.prefixes or query.conditions else plain(text)


def plain(text: str) -> ParsedQuery:
    """Return a query of plain words alone."""
    return ParsedQuery(text, tuple(list(dict.fromkeys(words_of(text)))[:WORDS_MAX]))


@dataclass(slots=True)
class _Parts:
    """Gathers the parts of a query."""

    texts: list[str] = field(default_factory=list)
    words: dict[str, None] = field(default_factory=dict)
    prefixes: dict[Term, None] = field(default_factory=dict)
    conditions: dict[WordQuery, None] = field(default_factory=dict)
    excluded: dict[WordQuery, None] = field(default_factory=dict)

    def take_plain(self, text: str) -> None:
        if not text or text.isspace():
            return
        self.texts.append(text.strip())
        for word in words_of(text):
            if len(self.words) < WORDS_MAX:
                self.words.setdefault(word)

    def take(self, part: re.Match[str]) -> None:
        condition, text = _condition(part), part["phrase"] or part["near"] or part["word"] or ""
        if condition is None:
            self.take_plain(part[0].replace('"', " ") if part["word"] is None else part[0])
        elif part["minus"]:
            if len(self.excluded) < CONDITIONS_MAX:
                self.excluded.setdefault(condition)
        elif isinstance(condition, Term):
            self._take_prefix(condition, text)
        elif len(self.conditions) < CONDITIONS_MAX:
            self.conditions.setdefault(condition)
            self.texts.append(text.strip())
        else:
            self.take_plain(text)

    def _take_prefix(self, prefix: Term, text: str) -> None:
        if len(self.prefixes) < CONDITIONS_MAX:
            self.prefixes.setdefault(prefix)
            self.texts.append(text.strip())
        else:
            self.take_plain(text)

    def query(self) -> ParsedQuery:
        return ParsedQuery(
            " ".join(self.texts),
            tuple(self.words),
            tuple(self.prefixes),
            tuple(self.conditions),
            tuple(self.excluded),
        )


def _condition(part: re.Match[str]) -> WordQuery | None:
    """Return what a part asks for beyond plain words, None when it is plain."""
    name, is_excluded = part["field"], bool(part["minus"])
    if part["phrase"] is not None:
        words = tuple(words_of(part["phrase"]))
        found: WordQuery | None = Phrase(words, bool(part["goes_on"])) if 0 < len(words) <= PHRASE_MAX else None
    elif part["near"] is not None:
        words = tuple(words_of(part["near"]))
        distance = min(int(part["distance"] or 10), DISTANCE_MAX)
        found = Near(words, distance) if 1 < len(words) <= PHRASE_MAX else None
    else:
        found = _of_word(part, is_alone=name is None and not is_excluded)
    if found is None or name is None:
        return found
    return Within((name.lower(),), found)


def _of_word(part: re.Match[str], *, is_alone: bool) -> WordQuery | None:
    words, is_prefix = tuple(words_of(part["word"])), bool(part["prefix"])
    is_prefix = is_prefix and len(words) == 1 and len(words[0]) >= _PREFIX_MIN
    if not words or (is_alone and not is_prefix):
        return None
    if part["minus"] and part["field"] is None and not part["word"][0].isalpha():
        return None  # -5 and --flag are no exclusions
    return Term(words[0], is_prefix) if len(words) == 1 else Phrase(words[:PHRASE_MAX])


def _words_in(query: WordQuery) -> Iterator[str]:
    if isinstance(query, Within):
        yield from _words_in(query.part)
    elif isinstance(query, Term):
        if not query.is_prefix:
            yield query.word
    elif isinstance(query, Phrase):
        yield from query.words[:-1] if query.is_prefix else query.words
    elif isinstance(query, Near):
        yield from query.words
