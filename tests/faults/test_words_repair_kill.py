"""Real `kill -9` in the middle of repairs of word rows: the repair goes on where it was, and everything is right."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.words import WordDeletion, WordFields, word_row
from slipstream.testkit.suites.words_world import words_found
from tests import warm
from tests.faults.words_repair_kill_worker import open_for_test
from tests.until import LONG_S
from tests.word_rows import wrong_word_rows

ENTITIES = 1_300
MISSING, CORRUPT, STALE, ORPHANED = range(500), range(500, 800), range(800, 1_000), range(2_000, 2_100)
DAMAGED = len(MISSING) + len(CORRUPT) + len(STALE) + len(ORPHANED)
PAGE = 500
"""How many findings a repair marks at once, and then notes how far it is."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a PKG that is in line, once; each test damages a copy."""
    root = tmp_path_factory.mktemp("filled")
    with open_for_test(root) as slipstream:
        with slipstream.pkg.transaction() as transaction:
            for number in range(ENTITIES):
                transaction.create_entity("Person", f"p{number:05}", {"name": f"Person {number}"})
        assert slipstream.sync.drain(timeout_s=LONG_S)
    return root


def _keys(numbers: Sequence[int]) -> list[RecordKey]:
    return [entity_key(f"p{number:05}") for number in numbers]


def damage(root: Path) -> None:
    """Have rows of every class of divergence, in tables that are sound."""
    with closing(SqliteStore(root / ".slipstream" / "index.db")) as store:
        held = store.words.rows(_keys(range(ENTITIES)))
        at = max(row.position for row in held.values())
        forged = [held[key]._replace(body="forged") for key in _keys(CORRUPT)]
        others = [
            word_row(key, at, WordFields("Person", key.id, "somebody else")) for key in _keys([*STALE, *ORPHANED])
        ]
        gone = [WordDeletion(key, Position(at)) for key in _keys([*MISSING, *CORRUPT])]
        assert not store.words.put((), gone)
        assert not store.words.put([*forged, *others])


def found_now(slipstream: Slipstream) -> dict[str, int]:
    report = slipstream.verify(deep=DEEP_ALL)
    assert report.damage == []
    return {kind: len(ids) for kind, ids in words_found(report).items()}


def kill(root: Path, action: str, failpoint: str, count: int) -> None:
    worker = "tests.faults.words_repair_kill_worker"
    command = [sys.executable, "-m", worker, str(root), action, failpoint, str(count)]
    done = warm.run(command, capture_output=True, timeout=600, check=False)
    assert done.returncode == -signal.SIGKILL, (done.returncode, done.stdout[-500:], done.stderr[-2000:])


def assert_whole(slipstream: Slipstream) -> None:
    report = slipstream.verify(deep=DEEP_ALL)
    assert (report.damage, words_found(report), report.consistency) == ([], {}, 1.0)
    assert report.words is not None
    assert (report.words.expected, report.words.held, report.words.fresh) == (ENTITIES,) * 3
    assert slipstream.sync.words is not None
    assert wrong_word_rows(slipstream.pkg, slipstream.sync.words.writer) == []
    assert [hit.entity_id for hit in slipstream.search("person 77", k=1, mode="exact")] == ["p00077"]
    assert len(slipstream.search("forged somebody else", k=1, mode="keyword")) == 0


@pytest.mark.parametrize(
    ("failpoint", "count", "marked"),
    [
        ("words.put.before", 1, 0),
        ("words.put.after", 1, 0),
        ("words.put.after", 2, 0),
        ("repair.before", 2, 0),
        ("repair.after", 2, PAGE),
        ("words.put.before", 4, PAGE),
        ("words.put.after", 4, PAGE),
        ("repair.before", 3, PAGE),
        ("repair.after", 3, 2 * PAGE),
        ("repair.before", 4, 2 * PAGE),
        ("repair.before", 5, DAMAGED),
    ],
)
def test_a_confirmed_repair_that_dies_goes_on_where_it_was(
    filled: Path, tmp_path: Path, failpoint: str, count: int, marked: int
) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    damage(tmp_path)
    expected = {
        "word_missing": len(MISSING),
        "word_corrupt": len(CORRUPT),
        "word_stale": len(STALE),
        "word_orphaned": len(ORPHANED),
    }
    with open_for_test(tmp_path, run=False) as slipstream:
        assert found_now(slipstream) == expected
        audit_id = slipstream.audits.audits(None, 1)[0].id
    kill(tmp_path, "repair", failpoint, count)
    with open_for_test(tmp_path) as slipstream:
        assert slipstream.repairer.unfinished == audit_id
        result = slipstream.repairer.repair()
        assert (result.marked_before, result.keys) == (marked, DAMAGED - marked)
        assert slipstream.repairer.unfinished is None
        assert slipstream.repairer.verify(result).is_consistent
        assert slipstream.sync.drain(timeout_s=LONG_S)
        assert_whole(slipstream)


@pytest.mark.parametrize(
    ("failpoint", "count"),
    [
        ("words_scan.before", 1),
        ("words_scan.after", 1),
        ("words.put.before", 1),
        ("words.put.after", 1),
        ("words.put.after", 2),
        ("words_frontier.before", 2),
        ("words_frontier.after", 2),
    ],
)
def test_an_index_that_was_emptied_is_filled_again_however_often_that_dies(
    filled: Path, tmp_path: Path, failpoint: str, count: int
) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / ".slipstream" / "index.db")) as raw, raw:
        raw.execute("DELETE FROM words_english_data WHERE id > 10")
    with open_for_test(tmp_path, run=False) as slipstream:
        report = slipstream.verify(deep=DEEP_ALL)
        assert [(each.place, each.is_mendable) for each in report.damage] == [("word index", True)]
    kill(tmp_path, "refill", failpoint, count)
    kill(tmp_path, "go on", "words.put.after", 1)
    with open_for_test(tmp_path) as slipstream:
        assert slipstream.sync.drain(timeout_s=LONG_S)
        assert_whole(slipstream)
