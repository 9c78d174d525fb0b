"""A damaged word index is found by an audit, emptied by a repair, and filled again by the follower that runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite.words_checking import PLACE
from slipstream.app.composition import DATA_FOLDER
from slipstream.audit.auditor import DEEP_ALL
from tests.integration.tamper_world import INDEX, made, opened, settle
from tests.until import until


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE words_english_data SET block = x'00' WHERE id > 10",
        "UPDATE word_names SET folded = 'nobody' WHERE kind = 2",
        "DELETE FROM word_rows WHERE key = 'e:p1'",
        "DROP TABLE words_english_content",
    ],
)
def test_damage_is_mended_while_the_engine_runs(tmp_path: Path, statement: str) -> None:
    directory = made(tmp_path / "pkg")
    with opened(directory) as slipstream:
        settle(slipstream)
        slipstream.sync.start()
        rows = _rows(directory)
        assert rows > 0
        with closing(sqlite3.connect(directory / DATA_FOLDER / INDEX)) as raw, raw:
            raw.execute(statement)
        report = slipstream.verify(deep=DEEP_ALL)
        (damage,) = [each for each in report.damage if each.store == INDEX]
        assert damage.place in (PLACE, "schema")
        slipstream.repair(report)
        until(lambda: _rows(directory) == rows)
        assert slipstream.sync.drain(timeout_s=60)
        after = slipstream.verify(deep=DEEP_ALL)
        assert (after.damage, after.verdict) == ([], "consistent")
        assert [hit.entity_id for hit in slipstream.search("renamed", mode="keyword", k=5)] == ["p5"]


def _rows(directory: Path) -> int:
    with closing(sqlite3.connect(directory / DATA_FOLDER / INDEX)) as raw:
        (count,) = raw.execute("SELECT count(*) FROM word_rows").fetchone()
        return int(count)
