"""A feed whose applier is killed in the middle, and that is given again, ends as if nothing had been."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipstream.events.applying import ApplyReport
from tests import warm
from tests.faults.feed_kill_worker import FEED, batches, opened

RECORDS = Path(__file__).parents[1] / "data/feeds"
ROWS = 1_100
"""Of a table that is emptied: more than two pages of the truncation."""


def _killed(directory: Path, file: Path, number: int, when: str) -> None:
    command = [sys.executable, "-m", "tests.faults.feed_kill_worker", str(directory), str(file), str(number), when]
    done = warm.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr


def _applied(directory: Path, file: Path) -> tuple[ApplyReport, Mapping[str, int], list[tuple[Any, ...]]]:
    """Return what it takes to apply the whole file, and what is there then."""
    with opened(directory) as slip:
        report = slip.applier(FEED).run(batches(file))
        counts = slip.pkg.counts()
    with closing(sqlite3.connect(directory / ".slipstream/graph.db")) as connection:
        rows = connection.execute("SELECT id, type, properties FROM entity ORDER BY id").fetchall()
        fences = connection.execute("SELECT * FROM fence ORDER BY space, name").fetchall()
    return report, counts, [*rows, *fences]


@pytest.mark.parametrize(
    ("name", "number", "when"),
    [("ku.public.note", 1, "behind"), ("ku.public.note", 5, "before"), ("kg.public.note", 3, "behind")],
)
def test_a_killed_applier_loses_and_doubles_nothing(tmp_path: Path, name: str, number: int, when: str) -> None:
    file = RECORDS / f"recorded-{name}.jsonl"
    _killed(tmp_path / "killed", file, number, when)
    report, _, there = _applied(tmp_path / "killed", file)
    whole, _, right = _applied(tmp_path / "whole", file)
    assert there == right
    assert report.rejected == whole.rejected == 0
    assert report.applied <= whole.applied


@pytest.mark.parametrize(("number", "left"), [(11, ROWS), (13, ROWS - 1_000)])
def test_a_truncation_that_is_killed_between_its_pages_begins_anew(tmp_path: Path, number: int, left: int) -> None:
    file = tmp_path / "feed.jsonl"
    lines = [_message("c", row, row) for row in range(ROWS)] + [_message("t", None, ROWS), _message("c", 7, ROWS + 1)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert len(list(batches(file))[10]) == 2  # the truncation begins a batch
    _killed(tmp_path / "pkg", file, number, "before")
    with opened(tmp_path / "pkg") as slip:
        assert slip.pkg.counts() == {"note": left}
    report, counts, _ = _applied(tmp_path / "pkg", file)
    assert (counts, report.applied, report.duplicates) == ({"note": 1}, 2, ROWS)


def _message(operation: str, row: int | None, lsn: int) -> str:
    source = {"connector": "postgresql", "name": "kg", "schema": "public", "table": "note", "lsn": lsn, "ts_ms": lsn}
    after = None if row is None else {"id": row, "title": f"note {row}"}
    value = {"before": None, "after": after, "source": source, "op": operation, "ts_ms": lsn}
    key = None if row is None else {"id": row}
    return json.dumps({"topic": "kg.public.note", "partition": 0, "offset": lsn, "key": key, "value": value})
