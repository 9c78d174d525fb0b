"""What is asked of a word index: a tree of words, phrases and conditions, never the query language of a store."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

FIELDS = ("name", "aliases", "body", "type")
"""The fields of a word row that a query may be narrowed to."""


class Term(NamedTuple):
    """One word, as `domain.words.words_of` has it; with `is_prefix` any word that begins with it."""

    word: str
    is_prefix: bool = False


class Phrase(NamedTuple):
    """Words behind one another; with `is_prefix` the last one may go on."""

    words: tuple[str, ...]
    is_prefix: bool = False


class Near(NamedTuple):
    """Words within so many others of one another, in any order."""

    words: tuple[str, ...]
    distance: int = 10


class AnyOf(NamedTuple):
    """At least one of its parts."""

    parts: tuple[WordQuery, ...]


class AllOf(NamedTuple):
    """Each of its parts."""

    parts: tuple[WordQuery, ...]


class Without(NamedTuple):
    """What fits the one part and not the other."""

    part: WordQuery
    excluded: WordQuery


class Within(NamedTuple):
    """A part, looked for in some fields only."""

    fields: tuple[str, ...]
    part: WordQuery


WordQuery: TypeAlias = "Term | Phrase | Near | AnyOf | AllOf | Without | Within"
