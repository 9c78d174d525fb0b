"""A process that writes word rows is killed at any moment: each call is there whole or not at all."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import POSITION_MAX, Position
from slipstream.domain.word_queries import Term
from slipstream.domain.words import WordDeletion, WordRow, fold
from slipstream.testkit.killing import killed_worker
from slipstream.testkit.suites.words_support import found, make_row

_FAR = "how far"
_BATCH, _KEYS, _KILLS = 60, 400, 5


def write_for_ever(folder: str) -> None:
    """Write batches, each with how far it is in one transaction, and acknowledge each with its number."""
    store = SqliteStore(Path(folder) / "index.db")
    number = int(store.journal.get(_FAR) or 0)
    while True:
        number += 1
        with store.journal.transaction():
            assert not store.words.put(_rows(number), list(_deletions(number)))
            store.journal.set(_FAR, str(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _identity(number: int, at: int) -> str:
    return f"n{(number * _BATCH + at) % _KEYS:04}"


def _rows(number: int) -> list[WordRow]:
    """Return the rows of a batch; batches overlap, so that rows are replaced and come again."""
    return [
        make_row(
            _identity(number, at), number, f"Name {at} of {number}", aliases=(f"alias{number}x{at}",), body="same"
        )
        for at in range(0, 2 * _BATCH, 2)
    ]


def _deletions(number: int) -> Iterator[WordDeletion]:
    for at in range(1, _BATCH, 6):
        yield WordDeletion(entity_key(_identity(number, at)), Position(number))


def test_killed_at_random_moments(tmp_path: Path) -> None:
    rng = random.Random(20261130)
    told = 0
    for _ in range(_KILLS):
        told = int(killed_worker(write_for_ever, [str(tmp_path)], rng, acknowledgements=(3, 12))[-1])
        with closing(SqliteStore(tmp_path / "index.db")) as store:
            number = int(store.journal.get(_FAR) or 0)
            assert number in (told, told + 1)
            expected = _expected(number)
            assert store.words.rows(list(expected)) == expected
            assert store.words.count() == len(expected)
            assert sorted(found(store.words, Term("same"))) == sorted(key.id for key in expected)
            for row in expected.values():
                (alias,) = (name.folded for name in row.names if name.folded.startswith("alias"))
                assert [hit.key for hit in store.words.named(fold(alias), None, 9)] == [row.key]
            assert store.selfcheck.check(deep=True, head=lambda: POSITION_MAX) == []
    assert told > 2 * _KILLS


def _expected(number: int) -> dict[RecordKey, WordRow]:
    held: dict[RecordKey, WordRow] = {}
    for each in range(1, number + 1):
        held.update((row.key, row) for row in _rows(each))
        for deletion in _deletions(each):
            held.pop(deletion.key, None)
    return held
