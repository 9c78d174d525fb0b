"""The word index: records found by their names and words; its rows, and searching them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from slipstream.domain.keys import RecordKey
from slipstream.domain.word_queries import WordQuery
from slipstream.domain.words import Excerpt, NameHit, WordDeletion, WordHit, WordRow, WordStamp

Types = frozenset[str] | None
"""The types that a search is narrowed to; None: any."""


@runtime_checkable
class WordRows(Protocol):
    """
    Word rows, one for each record, with the position at which each was read.

    Writes are idempotent and fenced: an older position never overwrites or removes a newer row, an equal one may.
    Each call is atomic, joins a journal transaction on the same store, and is durable and visible when it returns.
    Raises `UnavailableError` when the store is down.
    """

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write and remove rows, distinct keys in all; return the keys that were fenced off, in any order."""
        ...

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordStamp]:
        """Return what is held of the keys; keys without a row are absent."""
        ...

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        """Return stamps ordered by `key.encode()`, behind key `after`; empty at the end."""
        ...

    def rows(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        """Return whole rows as they are stored now, each with its stored digest; keys without a row are absent."""
        ...

    def count(self) -> int:
        """Count rows."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


@runtime_checkable
class WordSearch(Protocol):
    """
    Searches word rows. Words are as `domain.words.words_of` has them, names as `fold` has them; ties go by key.

    Raises `UnavailableError` when the store is down.
    """

    def count(self) -> int:
        """Count rows."""
        ...

    def named(self, folded: str, types: Types, limit: int) -> Sequence[NameHit]:
        """Return the records that have exactly this name, by kind, then key; each once, by its best kind."""
        ...

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Return the records that fit the query, best first. A query without any word finds nothing."""
        ...

    def frequencies(self, words: Sequence[str]) -> Mapping[str, int]:
        """Return in how many rows each word stands, stemmed as each row's own words are; 0 for an unknown one."""
        ...

    def alike_names(self, folded: str, limit: int) -> Sequence[NameHit]:
        """Return records with a name (not an id or key) that looks like this one, likeliest first: candidates."""
        ...

    def alike_words(self, word: str, limit: int) -> Mapping[str, int]:
        """Return words of the rows that look like this one, with their frequencies; empty where none does."""
        ...

    def excerpts(self, query: WordQuery, texts: Sequence[str], stemmer: str = "english") -> Sequence[Excerpt]:
        """Return where each text, as the graph has it, fits the query by the rules of `match`, in the order given."""
        ...


@runtime_checkable
class WordIndex(WordRows, WordSearch, Protocol):
    """Both in one store, with the errors of both."""


@runtime_checkable
class MendsItself(Protocol):
    """A word index that its store's self-check empties when it is damaged; optional. To register never fails."""

    def tell_when_emptied(self, refill: Callable[[], object]) -> None:
        """Have a function called whenever that has happened, so that all rows are written again."""
        ...


@runtime_checkable
class OwnWords(Protocol):
    """
    A vector index whose store searches by words too; optional. Others use the journal's store.

    Raises `UnavailableError` when it is closed.
    """

    @property
    def words(self) -> WordIndex:
        """The word index beside the vectors."""
        ...
