"""The exact arms: records by their name as it is, and by their name beside the name of their type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from slipstream.domain.words import NameHit, NameKind, fold
from slipstream.ports.words import Types, WordSearch
from slipstream.search.explanations import Arm
from slipstream.search.ranking import Found, Named

NAME_MAX = 512
"""The longest text that is looked for as a name, in characters."""
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def exact(index: WordSearch, text: str, types: Types, limit: int) -> Named:
    """Return the records that the text is the id, a key, the name or an alias of, in this order."""
    folded = fold(text) if len(text) <= NAME_MAX else ""
    hits = index.named(folded, types, limit) if folded else ()
    return named("exact", hits, limit)


def typed(index: WordSearch, text: str, known_types: Iterable[str], types: Types, limit: int) -> Named:
    """Return the records of a type that stands at either end of the text, named by the rest of it."""
    folded = fold(text) if len(text) <= NAME_MAX else ""
    for name, of_types in _readings(folded, known_types):
        wanted = of_types if types is None else of_types & types
        hits = index.named(name, wanted, limit) if wanted else ()
        if hits:
            return named("typed", hits, limit)
    return named("typed", (), limit)


def named(arm: Arm, hits: Sequence[NameHit], limit: int) -> Named:
    """Return what was found by its name; the score is 1 for every hit."""
    found = [Found(hit.key, hit.entity_type, 1.0) for hit in hits]
    kinds = [NameKind(hit.name.kind) for hit in hits]
    return Named(arm, found, len(found) < limit, None, kinds)


def _readings(folded: str, known_types: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the ways to read a text as a name beside a type, the longest type first."""
    by_words: dict[str, set[str]] = {}
    for name in known_types:
        if words := type_words(name):
            by_words.setdefault(words, set()).add(name)
    for words in sorted(by_words, key=lambda words: (-len(words), words)):
        if folded.endswith(f" {words}"):
            yield folded[: -len(words) - 1], frozenset(by_words[words])
        if folded.startswith(f"{words} "):
            yield folded[len(words) + 1 :], frozenset(by_words[words])


def type_words(name: str) -> str:
    """Return a type's name as people write it: folded, `CodeEntity` as two words."""
    return fold(_HUMPS.sub(" ", name))
