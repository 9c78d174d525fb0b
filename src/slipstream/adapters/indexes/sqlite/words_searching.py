"""Searching the word rows of the store's file."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from slipstream.adapters.indexes.sqlite.codec import Row, select_in
from slipstream.adapters.indexes.sqlite.words_excerpts import NOTHING, excerpt, places
from slipstream.adapters.indexes.sqlite.words_queries import expression, quoted, wanted_parts
from slipstream.adapters.indexes.sqlite.words_schema import NAME_TRIGRAMS, TEXT_TABLES, WORD_TRIGRAMS
from slipstream.adapters.indexes.sqlite.words_scratch import Scratch
from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.word_queries import AnyOf, WordQuery
from slipstream.domain.words import STEMMERS, ExactName, Excerpt, NameHit, NameKind, WordHit, words_of
from slipstream.ports.words import Types

_TRIGRAM = 3
_TRIGRAM_ROWS_MAX, _TRIGRAMS_MIN = 1_000, 5
"""In how many entries the trigrams asked for may stand, all together; so many are asked for whatever they cost."""
_LOOKED_AT = 4
"""How many records are compared for each that is asked for: FTS5 ranks one with many aliases too low."""
_FIRST_SHOWN = str(int(NameKind.NAME))
"""The kind of the first names that people know; ids and keys come before."""
_LONGER_MAX = 2
"""By how many characters words that look alike differ in length: looking each up costs more than finding it."""
_FREQUENT_ROWS, _FREQUENT_SHARE, _FREQUENT_S, _KEPT_MAX = 500, 20, 60.0, 20_000
"""From how many rows on a term is remembered, until a twentieth as many rows have come, or for so long; how many."""
_OF_TYPE = "AND r.type IN (SELECT value FROM json_each(?))"
_READABLE = "r.key GLOB '[er]:?*'"
_NAMED = f"""
SELECT r.key, r.type, min(n.kind), n.folded FROM word_names n JOIN word_rows r ON r.id = n.row
WHERE n.folded = ? AND {_READABLE} {{of_type}} GROUP BY r.id ORDER BY min(n.kind), r.key LIMIT ?
"""
# CROSS: FTS5 gives its rows in the order of their rank, and the rows are looked up while that is read.
_MATCH = f"""
SELECT r.key, r.type, -f.rank FROM {{table}} f CROSS JOIN word_rows r ON r.id = f.rowid
WHERE {{table}} MATCH ? AND {_READABLE} {{of_type}} ORDER BY f.rank
"""
_ALIKE_NAMES = f"""
SELECT r.key, r.type, r.names, f.rank FROM {NAME_TRIGRAMS} f CROSS JOIN word_rows r ON r.id = f.rowid
WHERE {NAME_TRIGRAMS} MATCH ? AND {_READABLE} ORDER BY f.rank
"""
_LOST = "SELECT word FROM lost_words WHERE word IN ({})"
_ALIKE_WORDS = f"SELECT word, rank FROM {WORD_TRIGRAMS} WHERE {WORD_TRIGRAMS} MATCH ? ORDER BY rank"


class Lending(Protocol):
    """What lends connections to one file, or to one database in memory."""

    path: Path

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a context with a connection on one snapshot."""
        ...

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a context with a connection inside a write transaction."""
        ...


class FrequentTerms:
    """
    In how many rows the frequent terms of each table stand; a bounded cache, safe for threads.

    FTS5 counts a term by reading all of its rows. What is remembered may be a little out of date, which moves a score
    by next to nothing; rare terms are always counted.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._last, self._until_s = 0, -math.inf

    def begin(self, connection: sqlite3.Connection) -> None:
        """Forget everything when many rows have come since it was noted, or it was noted long ago."""
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM word_rows").fetchone()
        now = time.monotonic()
        if now >= self._until_s or abs(last - self._last) * _FREQUENT_SHARE > last or len(self._counts) > _KEPT_MAX:
            self._counts = {}
            self._last, self._until_s = last, now + _FREQUENT_S

    def rows(self, connection: sqlite3.Connection, table: str, term: str) -> int:
        """Return in how many rows of a table a term stands."""
        counts = self._counts
        if (count := counts.get((table, term))) is not None:
            return count
        row = connection.execute(f"SELECT doc FROM {table}_terms WHERE term = ?", (term,)).fetchone()
        count = 0 if row is None else int(row[0])
        if count >= _FREQUENT_ROWS:
            counts[table, term] = count
        return count

    def clear(self) -> None:
        """Forget everything."""
        self._until_s = -math.inf


class SqliteWordSearch:
    """A `WordSearch` over the tables of `words_schema`."""

    def __init__(self, database: Lending, scratch: Scratch) -> None:
        self._database, self._scratch = database, scratch
        self._frequent = FrequentTerms()
        self._closed = False

    def _require_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the word index in {self._database.path} is closed; open the store anew")

    def named(self, folded: str, types: Types, limit: int) -> Sequence[NameHit]:
        """Return the records with exactly this name."""
        self._require_open()
        of_type, narrowed = _narrowing(types)
        query = _NAMED.format(of_type=of_type)
        with self._database.reading() as connection:
            found = connection.execute(query, (folded, *narrowed, max(limit, 0))).fetchall()
        return [_name_hit(row) for row in found]

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Return the best of both tables of texts."""
        self._require_open()
        asked = expression(query)
        if asked is None or limit <= 0:
            return []
        of_type, narrowed = _narrowing(types)
        with self._database.reading() as connection:
            found = [
                WordHit(RecordKey.decode(key), entity_type, score)
                for table in TEXT_TABLES.values()
                for key, entity_type, score in _best(
                    connection.execute(_MATCH.format(table=table, of_type=of_type), (asked, *narrowed)), limit
                )
            ]
        found.sort(key=lambda hit: (-hit.score, hit.key.encode()))
        return found[:limit]

    def frequencies(self, words: Sequence[str]) -> Mapping[str, int]:
        """Return in how many rows of both tables each word stands."""
        self._require_open()
        with self._database.reading() as connection:
            return self._frequencies(connection, words)

    def _frequencies(self, connection: sqlite3.Connection, words: Sequence[str]) -> dict[str, int]:
        found = dict.fromkeys(words, 0)
        self._frequent.begin(connection)
        for stemmer, table in TEXT_TABLES.items():
            for word, terms in self._scratch.stems(found, stemmer).items():
                found[word] += self._rows_with(connection, table, word, terms)
        return found

    def _rows_with(self, connection: sqlite3.Connection, table: str, word: str, terms: Sequence[str]) -> int:
        if len(terms) == 1:
            return self._frequent.rows(connection, table, terms[0])
        if not terms:
            return 0
        query = f"SELECT count(*) FROM {table} WHERE {table} MATCH ?"
        return int(connection.execute(query, (quoted(word),)).fetchone()[0])

    def alike_names(self, folded: str, limit: int) -> Sequence[NameHit]:
        """Return records whose names share rare trigrams with this one."""
        self._require_open()
        with self._database.reading() as connection:
            asked = self._rarest(connection, NAME_TRIGRAMS, folded)
            if asked is None or limit <= 0:
                return []
            rows = list(_best(connection.execute(_ALIKE_NAMES, (asked,)), _LOOKED_AT * limit))
        shown = [
            (key, entity_type, int(name[0]), name[1:])
            for key, entity_type, names, _ in rows
            for name in names.split("\n")
            if name[:1] >= _FIRST_SHOWN
        ]
        best: dict[str, tuple[float, int, str, Row]] = {}
        for likeness, row in zip(_likeness(folded, [row[-1] for row in shown]), shown, strict=True):
            found = (-likeness, row[2], row[0], row)
            best[row[0]] = min(found, best.get(row[0], found))
        return [_name_hit(found[-1]) for found in sorted(best.values())[:limit]]

    def alike_words(self, word: str, limit: int) -> Mapping[str, int]:
        """Return words that share rare trigrams with this one and still stand in a row."""
        self._require_open()
        with self._database.reading() as connection:
            asked = self._rarest(connection, WORD_TRIGRAMS, word)
            if asked is None or limit <= 0:
                return {}
            best = [
                row for row in _best(connection.execute(_ALIKE_WORDS, (asked,)), limit) if _is_as_long(word, row[0])
            ]
            best.sort(key=lambda row: (row[-1], row[0]))
            known = self._frequencies(connection, [word for word, _ in best])
            lost = {row[0] for row in select_in(connection, _LOST, known)}  # perhaps another row has the same stem
            return {
                each: count
                for each, count in list(known.items())[:limit]
                if count and (each not in lost or is_written(connection, each))
            }

    def _rarest(self, connection: sqlite3.Connection, table: str, text: str) -> str | None:
        """Return the expression for the rarest trigrams of a text, None when the table has none of them."""
        self._frequent.begin(connection)
        counted = sorted((self._frequent.rows(connection, table, each), each) for each in _trigrams(text))
        taken: list[str] = []
        total = 0
        for count, trigram in counted:
            total += count
            if total > _TRIGRAM_ROWS_MAX and len(taken) >= _TRIGRAMS_MIN:
                break
            if count:
                taken.append(quoted(trigram))
        return " OR ".join(taken) if taken else None

    def excerpts(self, query: WordQuery, texts: Sequence[str], stemmer: str = "english") -> Sequence[Excerpt]:
        """Return where the texts have a word or phrase that the query asks for."""
        self._require_open()
        if stemmer not in STEMMERS:
            raise InvalidInputError(f"{stemmer!r} is not a stemmer: {', '.join(STEMMERS)}", field="stemmer")
        asked = expression(AnyOf(tuple(wanted_parts(query))))
        if asked is None or not texts:
            return [NOTHING] * len(texts)
        found = [places(text) for text in texts]
        marked = self._scratch.marked([" ".join(place.word for place in each) for each in found], asked, stemmer)
        return [
            excerpt(text, found[number], marked[number]) if number in marked else NOTHING
            for number, text in enumerate(texts)
        ]


def _is_as_long(word: str, other: str) -> bool:
    return abs(len(word) - len(other)) <= _LONGER_MAX


def _narrowing(types: Types) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if types is None else (_OF_TYPE, (json.dumps(sorted(types)),))


def _name_hit(row: Row) -> NameHit:
    key, entity_type, kind, folded = row
    return NameHit(RecordKey.decode(key), entity_type, ExactName(NameKind(kind), folded))


def _best(rows: Iterable[Row], limit: int) -> Iterator[Row]:
    """Yield rows, ordered by their last column, until there are enough, and all that tie with the last one."""
    last: object = None
    for number, row in enumerate(rows):
        if number >= limit and row[-1] != last:
            return
        last = row[-1]
        yield row


def names_of(names: str) -> tuple[ExactName, ...]:
    """Return the names in a column of `word_rows`: a digit for the kind before each."""
    return tuple(ExactName(NameKind(int(name[0])), name[1:]) for name in names.split("\n") if name)


def _trigrams(text: str) -> set[str]:
    return {text[at : at + _TRIGRAM] for at in range(len(text) - _TRIGRAM + 1)}


def _likeness(text: str, names: Sequence[str]) -> Sequence[float]:
    """Return how alike each name is to a text, in 0..1, by the letters to be changed."""
    from rapidfuzz import process  # takes its time to load, and most searches need none
    from rapidfuzz.distance import DamerauLevenshtein

    scored = process.cdist([text], names, scorer=DamerauLevenshtein.normalized_similarity)
    return [float(each) for each in scored[0]]


def is_written(connection: sqlite3.Connection, word: str) -> bool:
    """Whether a row has the word just like that, and not only another one with the same stem."""
    for stemmer, table in TEXT_TABLES.items():
        query = f"SELECT name, aliases, body, type FROM {table} WHERE {table} MATCH ?"
        for texts in connection.execute(query, (quoted(word),)):
            if stemmer == "none" or any(word in words_of(text) for text in texts if text):
                return True
    return False
