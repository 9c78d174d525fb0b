"""The checks behind each kill can fail: a writer that tells too early, or commits in two, is found out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.app.composition.opening import DATA_FOLDER
from tests.faults.graph.checking import Acknowledged, check
from tests.faults.graph.placing import NOTHING
from tests.faults.preload import Nursery

SPOILT = {
    "an acknowledged commit was lost": "DELETE FROM entity WHERE id = 'e2-9'",
    "an acknowledged delete was lost": "INSERT INTO entity(id, type) VALUES ('e2-1', 'Person')",
    "a commit is half there": "DELETE FROM relationship WHERE source = 'e2-9'",
    "a gap in the log": "DELETE FROM change WHERE position = 20",
    "a property without its schema version": "DELETE FROM schema_version WHERE version = 5",
}
"""What a graph that loses something would look like, by what is said of it."""


@pytest.mark.parametrize("said", SPOILT)
def test_what_a_kill_could_leave_is_found(nursery: Nursery, tmp_path: Path, said: str) -> None:
    data = tmp_path / DATA_FOLDER
    data.mkdir()
    ended = nursery.run("single", data, NOTHING)
    assert ended.signal is None, ended.error
    acknowledged = Acknowledged()
    acknowledged.add(ended.said)
    with closing(sqlite3.connect(data / "graph.db", isolation_level=None)) as connection:
        connection.execute(SPOILT[said])
    with pytest.raises(AssertionError) as found:
        check(data, acknowledged)
    assert said in str(found.value)


def test_a_position_that_was_told_and_is_not_there_is_found(nursery: Nursery, tmp_path: Path) -> None:
    data = tmp_path / DATA_FOLDER
    data.mkdir()
    ended = nursery.run("single", data, NOTHING)
    acknowledged = Acknowledged()
    acknowledged.add([*ended.said, "ack 100000 e2-23 "])
    with pytest.raises(AssertionError):
        check(data, acknowledged)
