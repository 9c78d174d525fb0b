"""Word rows in a backup: a restored PKG has them all, and finds by them; a rehearsal of an import touches none."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import slipstream
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.domain.errors import CorruptionError
from slipstream.domain.journal_names import TOLD_OF_WORDS
from slipstream.events.formats.dump import node_row
from slipstream.search.options import Mode
from slipstream.testkit.suites.words_world import words_found
from tests.integration.test_backup import LONG_S, filled, opened
from tests.word_rows import wrong_word_rows

PERSONS = 40
INDEX = Path(".slipstream", "index.db")
TABLES = ("word_rows", "word_names", "known_words", "lost_words", "words_english", "words_none", "name_trigrams")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PKG whose rows were written, changed and removed."""
    root = filled(tmp_path_factory.mktemp("words") / "pkg", PERSONS + 1)
    with opened(root) as slip:
        slip.pkg.update_entity("p000", {"name": "Ada Lovelace", "bio": "wrote programs"})
        slip.pkg.delete_entity("p040")
        assert slip.sync.drain(timeout_s=LONG_S)
    return root


def told_of_words(root: Path) -> dict[str, object]:
    """Return every word table, and what the journal says of them."""
    with closing(sqlite3.connect(root / INDEX)) as raw:
        told: dict[str, object] = {
            table: sorted(raw.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608
            for table in TABLES
        }
        for name in TOLD_OF_WORDS:
            told[name] = raw.execute("SELECT value FROM named_values WHERE name = ?", (name,)).fetchone()
    assert told["word_rows"]
    return told


def assert_whole(slip: Slipstream) -> None:
    assert slip.sync.drain(timeout_s=LONG_S)
    assert slip.sync.words is not None
    assert wrong_word_rows(slip.pkg, slip.sync.words.writer) == []
    report = slip.verify(deep=DEEP_ALL)
    assert (report.is_consistent, report.damage, words_found(report)) == (True, [], {})
    assert report.words is not None
    assert (report.words.expected, report.words.held, report.words.fresh) == (PERSONS,) * 3


def found(slip: Slipstream, text: str, mode: Mode = "exact") -> list[str]:
    return [hit.entity_id for hit in slip.search(text, k=5, mode=mode)]


def test_a_restored_pkg_has_all_word_rows_and_writes_none(made: Path, tmp_path: Path) -> None:
    with opened(made, run=False) as slip:
        backup = slip.backup(tmp_path / "backups").path
    slipstream.restore(backup, tmp_path / "pkg")
    assert told_of_words(tmp_path / "pkg") == told_of_words(made)
    with opened(tmp_path / "pkg") as slip:
        assert_whole(slip)
        status = slip.status().words
        assert status is not None
        assert (status.frontier, status.is_scanning) == (slip.pkg.feed.head(), False)
        assert status.counters["written"] == status.counters["deleted"] == 0
        assert found(slip, "ada lovelace") == found(slip, "program", "keyword") == ["p000"]
        assert found(slip, "name 7") == ["p007"]
        assert found(slip, "name 40") == found(slip, "name 0") == []
        position = slip.pkg.create_entity("Person", "new", {"name": "Grace Hopper"})
        assert slip.sync.wait_for_words(position, LONG_S)
        assert found(slip, "grace hopper") == ["new"]


def test_rows_that_are_owed_in_the_backup_are_written_by_who_opens_it(made: Path, tmp_path: Path) -> None:
    slipstream.restore(_backup_of(made, tmp_path / "before"), tmp_path / "behind")
    with opened(tmp_path / "behind", run=False) as slip:
        slip.pkg.update_entity("p007", {"name": "Grace Hopper"})
        slip.pkg.delete_entity("p000")
        backup = slip.backup(tmp_path / "backups").path
    slipstream.restore(backup, tmp_path / "pkg")
    with opened(tmp_path / "pkg") as slip:
        assert slip.sync.drain(timeout_s=LONG_S)
        assert found(slip, "grace hopper") == ["p007"]
        assert found(slip, "ada lovelace") == found(slip, "name 7") == []
        assert slip.verify(deep=DEEP_ALL).is_consistent


def _backup_of(root: Path, folder: Path) -> Path:
    with opened(root, run=False) as slip:
        return slip.backup(folder).path


def test_rows_that_are_wrong_are_no_backup(made: Path, tmp_path: Path) -> None:
    slipstream.restore(_backup_of(made, tmp_path / "before"), tmp_path / "pkg")
    with closing(sqlite3.connect(tmp_path / "pkg" / INDEX)) as raw, raw:
        raw.execute("UPDATE words_english SET body = 'Zermatt' WHERE rowid = 3")
    with opened(tmp_path / "pkg", run=False) as slip, pytest.raises(CorruptionError, match="word"):
        slip.backup(tmp_path / "backups")


def test_a_rehearsed_import_changes_nothing_of_words(made: Path, tmp_path: Path) -> None:
    slipstream.restore(_backup_of(made, tmp_path / "before"), tmp_path / "pkg")
    names = {"p001": "Renamed", "more": "Somebody New"}
    lines = [node_row(entity_id, "Person", {"name": name}) for entity_id, name in names.items()]
    (tmp_path / "more.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    before = told_of_words(tmp_path / "pkg")
    with opened(tmp_path / "pkg") as slip:
        rehearsed = slip.rehearse_import(tmp_path / "more.jsonl")
        assert (rehearsed.created, rehearsed.updated, rehearsed.rejected) == ({"Person": 1}, {"Person": 1}, 0)
        assert slip.sync.drain(timeout_s=LONG_S)
        assert told_of_words(tmp_path / "pkg") == before
        assert found(slip, "somebody new") == found(slip, "renamed") == []
        assert_whole(slip)
    assert told_of_words(tmp_path / "pkg") == before
