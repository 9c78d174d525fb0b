"""The self-check of the word index finds whatever does not belong together, and empties it to be filled anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.words_checking import PLACE
from slipstream.domain.journal_names import TOLD_OF_WORDS
from slipstream.domain.positions import Position
from slipstream.domain.word_queries import Term
from slipstream.testkit.suites.words_support import found, make_row

_ROWS = [
    make_row("a", 3, "Running dogs", aliases=("Hounds",), keys=("K 1",), body="over the hill"),
    make_row("b", 4, "北京大学", body="a university", stemmer="none"),
    make_row("c", 5, "!!!", entity_type="Sign"),
]
_SCHEMA, _TEXTS = "schema", "words_english"
_WRONG = {
    "UPDATE word_rows SET key = 'x' WHERE id = 1": PLACE,
    "UPDATE word_rows SET position = 1000 WHERE id = 1": PLACE,
    "UPDATE word_rows SET stemmer = 'latin' WHERE id = 1": PLACE,
    "UPDATE word_rows SET digest = x'00' WHERE id = 1": PLACE,
    "UPDATE word_rows SET id = 77 WHERE id = 1": PLACE,
    "UPDATE word_rows SET type = 'Other' WHERE id = 1": PLACE,
    "UPDATE word_rows SET names = '9x' WHERE id = 1": PLACE,
    "UPDATE word_rows SET names = '2running cats' WHERE id = 1": PLACE,
    "DELETE FROM word_rows WHERE id = 1": PLACE,
    "UPDATE word_names SET folded = 'cats' WHERE folded = 'hounds'": PLACE,
    "UPDATE word_names SET row = 2 WHERE folded = 'hounds'": PLACE,
    "DELETE FROM word_names WHERE folded = 'hounds'": PLACE,
    "INSERT INTO word_names VALUES ('cats', 2, 1)": PLACE,
    "DELETE FROM known_words WHERE word = 'dogs'": PLACE,
    "INSERT INTO known_words VALUES ('cats')": PLACE,
    "DELETE FROM words_english WHERE rowid = 1": PLACE,
    "INSERT INTO words_english (rowid, name) VALUES (99, 'cats')": PLACE,
    "UPDATE words_english_content SET c2 = 'under the hill' WHERE id = 1": PLACE,
    "DELETE FROM words_english_content WHERE id = 1": PLACE,
    "DELETE FROM words_english_docsize WHERE id = 1": PLACE,
    "UPDATE words_english_docsize SET sz = x'09090909' WHERE id = 1": PLACE,
    "UPDATE words_english_data SET block = x'ffff' WHERE id > 10": PLACE,
    "DELETE FROM words_english_data": PLACE,
    "DELETE FROM words_english_idx": PLACE,
    "UPDATE words_english_config SET v = 'bm25()' WHERE k = 'rank'": PLACE,
    "DELETE FROM words_english_config": PLACE,
    "UPDATE name_trigrams_content SET c0 = 'cats' WHERE id = 1": PLACE,
    "DELETE FROM name_trigrams WHERE rowid = 1": PLACE,
    "DELETE FROM word_trigrams WHERE rowid = 1": PLACE,
    "UPDATE word_trigrams_data SET block = x'00' WHERE id > 10": PLACE,
    **{f"DROP TABLE {table}": _SCHEMA for table in ("word_rows", "word_names", "known_words", "words_none_terms")},
    **{f"DROP TABLE {_TEXTS}{part}": _SCHEMA for part in ("", "_data", "_idx", "_content", "_docsize", "_config")},
    "ALTER TABLE word_rows ADD COLUMN more TEXT": _SCHEMA,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "index.db"
    with closing(SqliteStore(path)) as store:
        store.words.put(_ROWS)
        for name in TOLD_OF_WORDS:
            store.journal.set(name, "told")
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path)) as store:
        yield store


def _head() -> Position:
    return Position(9)


def test_a_sound_index_is_sound(store: SqliteStore) -> None:
    for deep in (False, True):
        assert store.selfcheck.check(deep=deep, head=_head) == []
    store.words.put([_ROWS[0]._replace(position=Position(6))])
    store.words.clear()
    assert store.selfcheck.check(deep=True, head=_head) == []


def test_rows_of_commits_made_meanwhile_are_no_damage(store: SqliteStore) -> None:
    newest = 9

    def head() -> Position:
        nonlocal newest
        told, newest = newest, newest + 1
        store.words.put([_ROWS[0]._replace(position=Position(newest))])  # the graph goes on once it was asked
        return Position(told)

    for deep in (False, True):
        assert store.selfcheck.check(deep=deep, head=head) == []


@pytest.mark.parametrize(("statement", "place"), _WRONG.items(), ids=lambda value: value)
def test_what_is_wrong_is_found_and_made_anew(path: Path, statement: str, place: str) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        assert raw.execute(statement).rowcount != 0
    with closing(SqliteStore(path)) as store:
        told: list[int] = []
        store.words.tell_when_emptied(lambda: told.append(store.words.count()))
        (damage,) = store.selfcheck.check(deep=True, head=_head)
        assert (damage.place, damage.is_mendable, damage.hides_rows) == (place, True, False)
        assert store.selfcheck.mend(damage, head=_head)
        assert told == [0], "whoever fills it is told when it is empty"
        assert store.selfcheck.check(deep=True, head=_head) == []
        assert [store.journal.get(name) for name in TOLD_OF_WORDS] == [None] * len(TOLD_OF_WORDS)
        assert list(store.words.put(_ROWS)) == []
        assert store.words.rows([row.key for row in _ROWS]) == {row.key: row for row in _ROWS}
        assert (found(store.words, Term("dog")), found(store.words, Term("北京"))) == (["a"], ["b"])
        assert dict(store.words.alike_words("runnig", 5)) == {"running": 1}
        assert store.selfcheck.check(deep=True, head=_head) == []


def test_rows_are_written_beside_what_a_lost_row_has_left(path: Path) -> None:
    """Also a row that came last: its number is taken, its names would lead to another one."""
    with closing(sqlite3.connect(path)) as raw, raw:
        assert raw.execute("DELETE FROM word_rows WHERE id > 1").rowcount == 2
    more = [make_row(name, 6, f"New {name}", stemmer=stemmer) for name, stemmer in (("d", "english"), ("e", "none"))]
    with closing(SqliteStore(path)) as store:
        assert list(store.words.put([*more, _ROWS[1]])) == []
        assert store.words.rows([row.key for row in more]) == {row.key: row for row in more}
        assert [hit.key.id for hit in store.words.named("!!!", None, 9)] == []
        assert [hit.key.id for hit in store.words.named("new e", None, 9)] == ["e"]
        assert [damage.place for damage in store.selfcheck.check(deep=False, head=_head)] == [PLACE]


def test_what_is_lost_shows_at_a_glance(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DELETE FROM words_english WHERE rowid = 1")
    with closing(SqliteStore(path)) as store:
        assert [damage.place for damage in store.selfcheck.check(deep=False, head=_head)] == [PLACE]


def test_a_guest_looks_without_writing(path: Path) -> None:
    with closing(SqliteStore(path, shared=True)) as owner, closing(SqliteStore(path, shared=True)) as guest:
        assert owner.lease.acquire(0)
        before = path.stat().st_size, path.with_name("index.db-wal").stat().st_size
        assert guest.selfcheck.check(deep=True, head=_head) == []
        assert (path.stat().st_size, path.with_name("index.db-wal").stat().st_size) == before
