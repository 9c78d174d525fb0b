"""Word indexes that are wrong on purpose, each in one way: the suite must fail every one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.adapters.indexes.sqlite.words_memory import MemoryWords
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import POSITION_MAX
from slipstream.domain.word_queries import Term, WordQuery
from slipstream.domain.words import Excerpt, NameHit, WordDeletion, WordHit, WordRow, WordStamp, fold
from slipstream.ports.words import Types


class IgnoresPositions(MemoryWords):
    """Lets an older row overwrite a newer one."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Remove whatever is there first."""
        super().put([], [WordDeletion(row.key, POSITION_MAX) for row in rows])
        return super().put(rows, deletions)


class IgnoresPositionsOfDeletions(MemoryWords):
    """Lets an older deletion remove a newer row."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Delete whatever is there."""
        return super().put(rows, [deletion._replace(position=POSITION_MAX) for deletion in deletions])


class RefusesEqualPositions(MemoryWords):
    """Fences off a repair, which comes at the same position."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Take only what is newer."""
        held = self.stamps([row.key for row in rows])
        fenced = [row.key for row in rows if row.key in held and held[row.key].position == row.position]
        return [*fenced, *super().put([row for row in rows if row.key not in fenced], deletions)]


class KeepsOldWords(MemoryWords):
    """Adds the words of a newer row to those of the older one."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Leave the older text in the searched table."""
        held = self.rows([row.key for row in rows])
        fenced = super().put(rows, deletions)
        with self._database.writing() as connection:
            for key, row in held.items():
                update = "UPDATE words_english SET body = ? WHERE rowid = (SELECT id FROM word_rows WHERE key = ?)"
                connection.execute(update, (f"{row.name} {row.body}", key.encode()))
        return fenced


class KeepsOldNames(MemoryWords):
    """Still finds a record by a name that it had."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Put the older names back."""
        with self._database.reading() as connection:
            names = connection.execute("SELECT folded, kind, row FROM word_names").fetchall()
        fenced = super().put(rows, deletions)
        with self._database.writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO word_names VALUES (?, ?, ?)", names)
        return fenced


class NeverRestamps(MemoryWords):
    """Takes a row with the same content for one that needs no writing."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Leave out what is held with the same digest."""
        held = self.stamps([row.key for row in rows])
        new = [row for row in rows if row.key not in held or held[row.key].digest != row.digest]
        return super().put(new, deletions)


class DropsTheTail(MemoryWords):
    """Loses what is past the first thousand of a batch."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write the first thousand."""
        return super().put(rows[:1_000], deletions)


class WritesOneByOne(MemoryWords):
    """Leaves half a call behind when the rest of it fails."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write each row in a transaction of its own."""
        fenced = list(super().put([], deletions))
        for row in rows:
            fenced += super().put([row])
        return fenced


class StaysOutOfTransactions(MemoryWords):
    """Commits at once what a transaction of its journal takes back: the suite gives it a journal of its own."""


class LosesRowsAtReopen(MemoryWords):
    """Keeps rows in memory although it says that they are durable."""

    def reopened(self) -> MemoryWords:
        """Return an empty one."""
        self.close()
        return type(self)()


class ForgetsOnlySome(MemoryWords):
    """Keeps some rows when all are to be forgotten."""

    def clear(self) -> None:
        """Clear, and put the first rows back."""
        rows = self.rows([stamp.key for stamp in self.scan(None, 10)])
        super().clear()
        super().put([row._replace(position=row.position, body="") for row in rows.values()])


class PagesByPosition(MemoryWords):
    """Gives pages in another order than that of the keys."""

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        """Reverse each page."""
        return list(super().scan(after, limit))[::-1]


class IgnoresTypes(MemoryWords):
    """Finds records of every type."""

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Search without the types."""
        del types
        return super().match(query, None, limit)


class NarrowsTooLate(MemoryWords):
    """Takes the best of all types, and leaves out the other types afterwards."""

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Narrow what was found."""
        return [hit for hit in super().match(query, None, limit) if types is None or hit.entity_type in types]


class BreaksTiesByChance(MemoryWords):
    """Orders equal hits in another way than by key."""

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Sort them backwards."""
        found = super().match(query, types, limit)
        return sorted(sorted(found, key=lambda hit: hit.key.encode(), reverse=True), key=lambda hit: -hit.score)


class TakesWordsForOperators(MemoryWords):
    """Hands words on to the store as they are."""

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Search with the raw words."""
        if not isinstance(query, Term) or types is not None:
            return super().match(query, types, limit)
        select = (
            """SELECT r.key FROM words_english f JOIN word_rows r ON r.id = f.rowid WHERE words_english MATCH ?"""
        )
        with self._database.reading() as connection:
            rows = connection.execute(f"{select} LIMIT ?", (query.word, limit)).fetchall()
        return [WordHit(RecordKey.decode(key), "Thing", 1.0) for (key,) in rows]


class ForgetsExclusions(MemoryWords):
    """Finds what was excluded."""

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Search without exclusions."""
        return super().match(getattr(query, "part", query), types, limit)


class StemsEverything(MemoryWords):
    """Takes every row for English."""

    def match(self, query: WordQuery, types: Types, limit: int) -> Sequence[WordHit]:
        """Find every row by every form of a word."""
        found = list(super().match(query, types, limit))
        if found and isinstance(query, Term):
            found += [hit for hit in super().match(Term("running"), types, limit) if hit not in found]
        return found


class CountsOccurrences(MemoryWords):
    """Counts how often a word stands, not in how many rows."""

    def frequencies(self, words: Sequence[str]) -> Mapping[str, int]:
        """Count twice."""
        return {word: 2 * count for word, count in super().frequencies(words).items()}


class NamesByLikeness(MemoryWords):
    """Takes a name that looks alike for the same one."""

    def named(self, folded: str, types: Types, limit: int) -> Sequence[NameHit]:
        """Fall back on what looks alike."""
        return super().named(folded, types, limit) or list(super().alike_names(fold(folded), limit))


class RemembersGoneWords(MemoryWords):
    """Offers words that no row has any more."""

    def alike_words(self, word: str, limit: int) -> Mapping[str, int]:
        """Add what was ever there."""
        del limit
        with self._database.reading() as connection:
            known = [each for (each,) in connection.execute("SELECT word FROM known_words")]
        alike = [each for each in known if each[:4] == word[:4]]
        return {each: count for each, count in self.frequencies(alike).items() if count}


class ShowsFoldedWords(MemoryWords):
    """Shows words as they are searched, not as the text has them."""

    def excerpts(self, query: WordQuery, texts: Sequence[str], stemmer: str = "english") -> Sequence[Excerpt]:
        """Fold the texts first."""
        return super().excerpts(query, [fold(text) for text in texts], stemmer)


BROKEN_WORDS: Mapping[type, str] = {
    IgnoresPositions: "test_an_older_row_is_fenced_off",
    IgnoresPositionsOfDeletions: "test_an_older_deletion_is_fenced_off",
    RefusesEqualPositions: "test_an_equal_position_overwrites",
    KeepsOldWords: "test_a_newer_row_replaces_all_of_the_older_one",
    KeepsOldNames: "test_a_newer_row_replaces_all_of_the_older_one",
    NeverRestamps: "test_the_same_content_at_a_newer_position_is_restamped",
    DropsTheTail: "test_a_big_batch_is_written_whole",
    WritesOneByOne: "test_a_call_that_fails_writes_nothing",
    StaysOutOfTransactions: "test_a_transaction_of_the_journal_holds_for_rows",
    LosesRowsAtReopen: "test_rows_survive_a_reopen",
    ForgetsOnlySome: "test_everything_can_be_forgotten",
    PagesByPosition: "test_pages_come_in_the_order_of_the_keys",
    IgnoresTypes: "test_types_narrow_every_search",
    NarrowsTooLate: "test_types_narrow_every_search",
    BreaksTiesByChance: "test_the_best_come_first_and_ties_go_by_key",
    TakesWordsForOperators: "test_no_word_is_an_operator",
    ForgetsExclusions: "test_each_kind_of_query",
    StemsEverything: "test_the_stemmer_is_the_rows_own",
    CountsOccurrences: "test_the_stemmer_is_the_rows_own",
    NamesByLikeness: "test_exact_names_come_by_kind_then_key",
    RemembersGoneWords: "test_words_that_look_alike",
    ShowsFoldedWords: "test_excerpts_show_words_as_the_text_has_them",
}
"""Each broken index with the case that was written for its fault."""
