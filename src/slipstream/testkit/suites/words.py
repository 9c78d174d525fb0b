"""
The conformance suite of `WordIndex`.

An adapter's test file subclasses `WordIndexSuite` and gives the `words` fixture, `reopen` where rows are durable, and
`journal` where transactions are shared with one.
"""

from __future__ import annotations

import pytest

from slipstream.domain.errors import SlipstreamError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.word_queries import Term
from slipstream.domain.words import WordDeletion, WordStamp
from slipstream.ports.journal import Journal
from slipstream.ports.words import WordIndex
from slipstream.testkit.suites.index_support import ODD_KEYS
from slipstream.testkit.suites.words_searching import WordSearchingCases
from slipstream.testkit.suites.words_support import ReopenWords, found, make_row

__all__ = ["ReopenWords", "WordIndexSuite"]

_MANY = 2_500


class _CanceledError(Exception):
    """Raised by cases in the middle of a transaction."""


class WordIndexSuite(WordSearchingCases):
    """What every `WordIndex` must do. The docstrings of the port are the contract."""

    # ------------------------------------------------------------------ writing

    def test_a_row_comes_back_whole(self, words: WordIndex) -> None:
        row = make_row("ada", 3, "Ada Lovelace", aliases=("Countess", "Größe"), keys=("K-1",), body="wrote\nprograms")
        assert list(words.put([row])) == []
        assert words.rows([row.key, entity_key("bob")]) == {row.key: row}
        assert words.stamps([row.key, entity_key("bob")]) == {
            row.key: WordStamp(row.key, row.entity_type, row.position, row.digest)
        }
        assert words.count() == 1

    def test_empty_calls_do_nothing(self, words: WordIndex) -> None:
        assert list(words.put([])) == []
        assert (dict(words.stamps([])), dict(words.rows([])), list(words.scan(None, 10))) == ({}, {}, [])
        assert (words.count(), words.frequencies([]), list(words.excerpts(Term("x"), []))) == (0, {}, [])
        words.clear()

    def test_a_newer_row_replaces_all_of_the_older_one(self, words: WordIndex) -> None:
        words.put([make_row("ada", 3, "Countess", aliases=("Enchantress",), keys=("K-1",), body="numbers")])
        newer = make_row("ada", 4, "Ada", body="engines")
        assert list(words.put([newer])) == []
        assert words.rows([newer.key]) == {newer.key: newer}
        assert [found(words, Term(word)) for word in ("countess", "enchantress", "numbers")] == [[]] * 3
        assert [list(words.named(name, None, 9)) for name in ("countess", "enchantress", "k 1", "k-1")] == [[]] * 4
        assert (list(words.alike_names("countes", 9)), dict(words.alike_words("enchantres", 9))) == ([], {})
        assert (found(words, Term("engines")), words.count()) == (["ada"], 1)

    def test_an_older_row_is_fenced_off(self, words: WordIndex) -> None:
        stored, fresh = make_row("ada", 5, "Ada"), make_row("bob", 4, "Bob")
        words.put([stored])
        stale = make_row("ada", 4, "Countess")
        assert list(words.put([stale, fresh])) == [stale.key]
        assert words.rows([stored.key, fresh.key]) == {stored.key: stored, fresh.key: fresh}
        assert (found(words, Term("countess")), found(words, Term("ada"))) == ([], ["ada"])

    def test_an_equal_position_overwrites(self, words: WordIndex) -> None:
        words.put([make_row("ada", 5, "Ada")])
        repaired = make_row("ada", 5, "Countess")
        assert list(words.put([repaired])) == []
        assert words.rows([repaired.key]) == {repaired.key: repaired}

    def test_the_same_content_at_a_newer_position_is_restamped(self, words: WordIndex) -> None:
        words.put([make_row("ada", 5, "Ada")])
        newer = make_row("ada", 9, "Ada")
        assert list(words.put([newer])) == []
        assert words.rows([newer.key]) == {newer.key: newer}
        assert list(words.put([make_row("ada", 8, "Countess")])) == [newer.key]
        assert found(words, Term("ada")) == ["ada"]

    def test_another_type_or_stemmer_is_written(self, words: WordIndex) -> None:
        words.put([make_row("ada", 5, "running", entity_type="Person")])
        other = make_row("ada", 6, "running", entity_type="Sport", stemmer="none")
        words.put([other])
        assert words.rows([other.key]) == {other.key: other}
        assert words.stamps([other.key])[other.key].entity_type == "Sport"
        assert (found(words, Term("runs")), found(words, Term("running"))) == ([], ["ada"])
        assert [hit.entity_type for hit in words.match(Term("running"), None, 9)] == ["Sport"]

    def test_a_deleted_row_is_found_by_nothing(self, words: WordIndex) -> None:
        gone = make_row("ada", 3, "Countess", aliases=("Enchantress",), body="numbers")
        words.put([gone, make_row("bob", 3, "Bob")])
        assert list(words.put([], [WordDeletion(gone.key, Position(4))])) == []
        assert (words.rows([gone.key]), words.stamps([gone.key]), words.count()) == ({}, {}, 1)
        assert [found(words, Term(word)) for word in ("countess", "enchantress", "numbers")] == [[]] * 3
        assert words.frequencies(["countess", "numbers"]) == {"countess": 0, "numbers": 0}
        assert (list(words.named("countess", None, 9)), list(words.alike_names("countes", 9))) == ([], [])
        assert dict(words.alike_words("enchantres", 9)) == {}

    def test_an_older_deletion_is_fenced_off(self, words: WordIndex) -> None:
        row = make_row("ada", 5, "Ada")
        words.put([row])
        absent = WordDeletion(entity_key("nobody"), Position(1))
        assert list(words.put([], [WordDeletion(row.key, Position(4)), absent])) == [row.key]
        assert words.rows([row.key]) == {row.key: row}
        assert list(words.put([], [WordDeletion(row.key, Position(5))])) == []
        assert words.count() == 0

    def test_rows_and_deletions_go_in_one_call(self, words: WordIndex) -> None:
        words.put([make_row("ada", 1, "Ada"), make_row("bob", 1, "Bob")])
        carl = make_row("carl", 2, "Carl")
        assert list(words.put([carl], [WordDeletion(entity_key("ada"), Position(2))])) == []
        assert [stamp.key.id for stamp in words.scan(None, 9)] == ["bob", "carl"]

    def test_a_retry_is_harmless(self, words: WordIndex) -> None:
        batch = [make_row(f"n{number}", 7, f"Name {number}", body="the same words") for number in range(20)]
        deletions = [WordDeletion(entity_key("gone"), Position(7))]
        words.put(batch[:9])
        for _ in range(2):
            assert list(words.put(batch, deletions)) == []
            assert words.rows([row.key for row in batch]) == {row.key: row for row in batch}
            assert (words.count(), words.frequencies(["words"])) == (20, {"words": 20})

    def test_a_big_batch_is_written_whole(self, words: WordIndex) -> None:
        batch = [make_row(f"n{number:05}", 7, f"name{number}", body=f"body{number}") for number in range(_MANY)]
        assert list(words.put(batch)) == []
        assert words.rows([row.key for row in batch]) == {row.key: row for row in batch}
        stale = [make_row(f"n{number:05}", 6 + number % 2, "other") for number in range(_MANY)]
        assert set(words.put(stale)) == {row.key for row in stale if row.position == 6}
        assert found(words, Term(f"name{_MANY - 2}")) == [f"n{_MANY - 2:05}"]
        gone = [WordDeletion(row.key, Position(7)) for row in stale]
        assert (list(words.put([], gone)), words.count(), found(words, Term("other"))) == ([], 0, [])

    def test_everything_can_be_forgotten(self, words: WordIndex) -> None:
        words.put([make_row("ada", 9, "Countess", aliases=("Enchantress",))])
        words.clear()
        assert (words.count(), list(words.scan(None, 9)), found(words, Term("countess"))) == (0, [], [])
        assert (list(words.named("countess", None, 9)), dict(words.alike_words("countes", 9))) == ([], {})
        again = make_row("ada", 1, "Countess")
        assert list(words.put([again])) == []
        assert found(words, Term("countess")) == ["ada"]
        assert dict(words.alike_words("countes", 9)) == {"countess": 1}

    # ------------------------------------------------------------------ atomicity

    def test_a_call_that_fails_writes_nothing(self, words: WordIndex) -> None:
        kept = make_row("kept", 1, "Kept")
        words.put([kept])
        unfit = make_row("unfit", 1, "Unfit")._replace(body="a lone \ud800 surrogate")
        with pytest.raises(SlipstreamError):
            words.put([make_row("ada", 1, "Enchantress"), unfit], [WordDeletion(kept.key, Position(2))])
        assert [stamp.key.id for stamp in words.scan(None, 9)] == ["kept"]
        assert (found(words, Term("enchantress")), found(words, Term("kept"))) == ([], ["kept"])
        words.put([make_row("ada", 1, "Enchantress")])
        assert dict(words.alike_words("enchantres", 9)) == {"enchantress": 1}, "what was taken back is written again"

    def test_a_transaction_of_the_journal_holds_for_rows(self, words: WordIndex, journal: Journal | None) -> None:
        if journal is None:
            return
        with pytest.raises(_CanceledError), journal.transaction():
            words.put([make_row("ada", 1, "Enchantress")])
            journal.set("how far", "1")
            assert found(words, Term("enchantress")) == ["ada"], "seen inside the transaction"
            raise _CanceledError
        assert (words.count(), found(words, Term("enchantress")), journal.get("how far")) == (0, [], None)
        with journal.transaction():
            words.put([make_row("ada", 1, "Enchantress")])
            journal.set("how far", "1")
        assert (found(words, Term("enchantress")), journal.get("how far")) == (["ada"], "1")
        assert dict(words.alike_words("enchantres", 9)) == {"enchantress": 1}
        with pytest.raises(_CanceledError), journal.transaction():
            words.clear()
            raise _CanceledError
        assert found(words, Term("enchantress")) == ["ada"]

    def test_rows_survive_a_reopen(self, words: WordIndex, reopen: ReopenWords | None) -> None:
        if reopen is None:
            return
        rows = [make_row(key.id, 5, f"Name {number}", key=key) for number, key in enumerate(ODD_KEYS)]
        words.put([*rows, make_row("gone", 5, "Enchantress")])
        words.put([], [WordDeletion(entity_key("gone"), Position(6))])
        again = reopen()
        assert again.rows(list(ODD_KEYS)) == {row.key: row for row in rows}
        assert (again.count(), found(again, Term("enchantress"))) == (len(ODD_KEYS), [])
        assert list(again.put([make_row(ODD_KEYS[0].id, 4, "older")])) == [ODD_KEYS[0]]
        assert found(again, Term("name")) == [key.id for key in sorted(ODD_KEYS, key=lambda key: key.encode())]

    # ------------------------------------------------------------------ reading

    def test_pages_come_in_the_order_of_the_keys(self, words: WordIndex) -> None:
        rows = [make_row(key.id, 5, f"Name {number}", key=key) for number, key in enumerate(ODD_KEYS)]
        words.put(rows)
        wanted = sorted(ODD_KEYS, key=lambda key: key.encode())
        for size in (1, 2, len(rows), len(rows) + 1):
            seen: list[WordStamp] = []
            while page := words.scan(seen[-1].key if seen else None, size):
                assert len(page) <= size
                seen += page
            assert [stamp.key for stamp in seen] == wanted
        assert list(words.scan(None, 0)) == []

    def test_any_position_is_kept_exactly(self, words: WordIndex) -> None:
        far = make_row("ada", 2**62 - 1, "Ada")
        words.put([far])
        assert words.stamps([far.key])[far.key].position == 2**62 - 1
        assert list(words.put([make_row("ada", 2**62 - 2, "older")])) == [far.key]

    def test_a_long_row_is_kept(self, words: WordIndex) -> None:
        body = " ".join(f"word{number}" for number in range(110_000))
        aliases = tuple(f"alias {number}" for number in range(3_000))
        row = make_row("long", 1, "n" * 5_000, aliases=aliases, body=body)
        assert len(body) > 1_000_000
        words.put([row])
        assert words.rows([row.key]) == {row.key: row}
        assert [found(words, Term(word)) for word in ("word0", "word109999", "2999")] == [["long"]] * 3
        assert [hit.key.id for hit in words.named("alias 2999", None, 9)] == ["long"]
        words.put([make_row("long", 2, "short")])
        assert found(words, Term("word109999")) == []
