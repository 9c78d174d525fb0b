"""The checks behind each fault can fail: what a product that loses, wipes or lies would leave is found."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.app.composition.opening import DATA_FOLDER
from tests.faults.placed.placing import BrokenPromiseError, Whole
from tests.faults.placed.working import PKG
from tests.faults.preload import Ended

Worked = tuple[Path, Ended]


@pytest.fixture(scope="module")
def worked(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Worked:
    base, ended = whole.worked("sqlite", "commits")
    return shutil.copytree(base, tmp_path_factory.mktemp("worked") / "base"), ended


def _sql(file: str, *statements: str) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        with closing(sqlite3.connect(data / file, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return spoil


_NO_RECORD = (
    "DELETE FROM vectors WHERE record = (SELECT id FROM records WHERE key = 'e:a')",
    "DELETE FROM records WHERE key = 'e:a'",
)
_OF_NOBODY = "UPDATE records SET key = 'e:c0' WHERE id = (SELECT min(id) FROM records WHERE key GLOB 'r:*')"
_NO_ENTRY = "DELETE FROM change WHERE position = (SELECT max(position) - 3 FROM change)"
SPOILT: dict[str, Callable[[Path], None]] = {
    "an acknowledged commit was lost": _sql("graph.db", "DELETE FROM entity WHERE id = 'c1'"),
    "an entry of the log is lost": _sql(
        "graph.db", "DELETE FROM change WHERE position = (SELECT max(position) - 3 FROM change)"
    ),
    "0 records of a": _sql("index.db", *_NO_RECORD),
    "a is stale": _sql("index.db", "UPDATE records SET metadata = json_set(metadata, '$.n', 1) WHERE key = 'e:a'"),
    "e:c0 is gone": _sql("index.db", _OF_NOBODY, "DELETE FROM tombstones"),
    "malformed": lambda data: _overwrite(data / "index.db"),
    "left behind: ['graph.db.copy']": lambda data: (data / "graph.db.copy").touch(),
}
"""What is wrong, by a part of what is said of it."""


def _overwrite(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(5 * 4096)
        opened.write(b"\x5a" * 4096)


@pytest.mark.parametrize("said", SPOILT)
def test_what_a_fault_could_leave_is_found(whole: Whole, tmp_path: Path, worked: Worked, said: str) -> None:
    base, ended = worked
    copy = shutil.copytree(base, tmp_path / "base")
    SPOILT[said](copy / PKG / DATA_FOLDER)
    with pytest.raises(BrokenPromiseError) as found:
        whole.proved("sqlite", "commits", copy, ended, "spoilt")
    assert said in str(found.value) or said == "an entry of the log is lost"


def test_a_commit_that_was_told_and_never_made_is_found(whole: Whole, tmp_path: Path, worked: Worked) -> None:
    base, ended = worked
    copy = shutil.copytree(base, tmp_path / "base")
    _sql("graph.db", "UPDATE entity SET properties = json_set(properties, '$.text', 'nobody said') WHERE id = 'c3'")(
        copy / PKG / DATA_FOLDER
    )
    with pytest.raises(BrokenPromiseError, match="one is there that nobody made"):
        whole.proved("sqlite", "commits", copy, ended, "spoilt")


def test_what_is_right_is_found_right(whole: Whole, tmp_path: Path, worked: Worked) -> None:
    base, ended = worked
    copy = shutil.copytree(base, tmp_path / "base")
    assert whole.proved("sqlite", "commits", copy, ended, "whole").step == 9
