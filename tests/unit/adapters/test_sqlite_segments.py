"""What a question for digests reads: counted in steps of SQLite's own machine, not in time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.segments import SEGMENT_SIZE_MAX, Segments
from slipstream.domain.audits import Finding
from slipstream.domain.digests import KeyRange
from slipstream.domain.keys import RecordKey
from slipstream.testkit.records import SPACE, make_record

_STEPS_TO_ADD_ONE_MAX = 20
"""For a segment that is only added up, which holds many records."""
SMALL, LARGE = 8 * SEGMENT_SIZE_MAX, 64 * SEGMENT_SIZE_MAX


def key_of(number: int) -> RecordKey:
    return RecordKey.decode(f"e:k{number:06}")


def steps_to_digest(path: Path, records: int, bounds: KeyRange) -> int:
    """Return how many steps it takes after one write to the first segment of so many records."""
    store = SqliteStore(path)
    store.index.upsert([make_record(key_of(number)) for number in range(records)])
    store.index.digests([KeyRange()])
    store.index.upsert([make_record(key_of(3), 2)])
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(sqlite3.connect(path)) as snapshot:
        snapshot.set_progress_handler(step, 1)
        found = Segments(snapshot, {1: SPACE}).digest(bounds)
    store.close()
    assert found.total.records > 0
    return steps


@pytest.mark.parametrize(
    "bounds",
    [
        KeyRange(),
        KeyRange("", key_of(2 * SEGMENT_SIZE_MAX - 1).encode()),
        KeyRange(key_of(1).encode(), key_of(9).encode()),
    ],
    ids=["everything", "a leaf", "within a segment"],
)
def test_a_write_costs_its_segment_however_many_records_there_are(tmp_path: Path, bounds: KeyRange) -> None:
    small = steps_to_digest(tmp_path / "small.sqlite", SMALL, bounds)
    large = steps_to_digest(tmp_path / "large.sqlite", LARGE, bounds)
    added_up = (LARGE - SMALL) // SEGMENT_SIZE_MAX if bounds == KeyRange() else 0
    assert large < 1.5 * small + _STEPS_TO_ADD_ONE_MAX * added_up


def test_many_voided_segments_are_read_by_one_statement(tmp_path: Path) -> None:
    store, said = SqliteStore(tmp_path / "store.sqlite"), list[str]()
    store.index.upsert([make_record(key_of(number)) for number in range(LARGE)])
    store.index.digests([KeyRange()])
    store.index.upsert([make_record(key_of(number), 2) for number in range(0, LARGE, SEGMENT_SIZE_MAX)])
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as snapshot:
        snapshot.set_trace_callback(said.append)
        found = Segments(snapshot, {1: SPACE}).digest(KeyRange())
    assert sum("FROM ranges" in statement for statement in said) == -(-LARGE // SEGMENT_SIZE_MAX // 64)
    assert len(said) <= 4
    assert [found] == store.index.digests([KeyRange()])
    store.close()


def test_an_audit_that_found_little_is_kept_by_one_commit(tmp_path: Path) -> None:
    store, said = SqliteStore(tmp_path / "store.sqlite"), list[str]()
    store._database._writer.set_trace_callback(said.append)
    kept = store.audits.keep({"kind": "full"}, [Finding("stale", f"e:{number}") for number in range(20)])
    assert said.count("COMMIT") == 1
    assert len(store.audits.findings(kept, None, 100)) == 20
    several = store.audits.keep({"kind": "full"}, [Finding("stale", f"e:{number}") for number in range(2_500)])
    assert said.count("COMMIT") == 1 + 4
    assert len(store.audits.findings(several, None, 9_999)) == 2_500
    store.close()
