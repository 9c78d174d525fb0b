"""What the cases of the suite of word indexes share: what to fill in, rows, and what a query finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import pytest

from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.word_queries import AnyOf, Term, WordQuery
from slipstream.domain.words import WordFields, WordRow, word_row, words_of
from slipstream.ports.journal import Journal
from slipstream.ports.words import Types, WordIndex

ReopenWords = Callable[[], WordIndex]


class WordIndexHooks(ABC):
    """What an adapter's test file fills in."""

    @pytest.fixture
    @abstractmethod
    def words(self) -> WordIndex:
        """Return an empty index; the fixture closes it."""

    @pytest.fixture
    def reopen(self) -> ReopenWords | None:
        """Return what closes the index and opens it anew; None where nothing lasts."""
        return None

    @pytest.fixture
    def journal(self) -> Journal | None:
        """Return the journal whose transactions the index takes part in; None where there is none."""
        return None


def make_row(
    identity: str,
    position: int,
    name: str,
    *,
    entity_type: str = "Thing",
    aliases: tuple[str, ...] = (),
    keys: tuple[str, ...] = (),
    body: str = "",
    stemmer: str = "english",
    key: RecordKey | None = None,
) -> WordRow:
    """Return the row of an entity, or of the record with a key."""
    fields = WordFields(entity_type, identity, name, aliases, keys, body, stemmer)
    return word_row(key or entity_key(identity), Position(position), fields)


def found(words: WordIndex, query: WordQuery, types: Types = None, limit: int = 1_000) -> list[str]:
    """Return the ids of what a query finds, the best first."""
    return [hit.key.id for hit in words.match(query, types, limit)]


def asked(text: str) -> WordQuery:
    """Return the query for any word of a text."""
    return AnyOf(tuple(Term(word) for word in words_of(text)))
