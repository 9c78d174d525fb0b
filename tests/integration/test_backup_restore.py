"""A restore puts a whole PKG in the place of another one, or changes nothing; and what it puts there just opens."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import slipstream
from slipstream.app.backup.parts import Step
from slipstream.app.backup.restoring import finish_restore, restore
from slipstream.app.composition import Options, backups_of, checked_backup, open_pkg
from slipstream.app.composition.backups import parts
from slipstream.app.composition.factories import model_for_new
from slipstream.app.config import CONFIG_NAME, TEMPLATE, text_for_new
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import AlreadyExistsError, ConfigError, CorruptionError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.test_backup import LONG_S, filled, names_in, opened

OLD = TEMPLATE + "\n# the old one\n"


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a backup of ten entities."""
    place = tmp_path_factory.mktemp("restore")
    return backups_of(filled(place / "pkg", 10)).backup(place / "backups").path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Return another PKG, with one entity and a configuration of its own."""
    root = tmp_path / "other"
    with opened(root) as slip:
        slip.pkg.create_entity("Person", "other", {"name": "other"})
        assert slip.sync.drain(timeout_s=LONG_S)
    (root / CONFIG_NAME).write_text(OLD)
    return root


def is_restored(root: Path) -> bool:
    """Whether the PKG there is the one of the backup, and not the other one; any mix fails."""
    with opened(root) as slip:
        assert slip.incident is None
        assert slip.runs_engine
        assert slip.sync.drain(timeout_s=LONG_S)
        count = sum(slip.pkg.counts().values())
        is_new = count == 19
        assert count == (19 if is_new else 1)
        assert (root / CONFIG_NAME).read_text() == (text_for_new(model_for_new()) if is_new else OLD)
        report = slip.verify()
        assert report.is_consistent
        assert report.total_entities == (10 if is_new else 1)
        position = slip.pkg.upsert_entity("Person", "after", {"name": "written after"})
        assert slip.search("written after", k=1, after=position)[0].entity_id == "after"
        slip.pkg.delete_entity("after")
        return is_new


def test_into_a_directory_that_is_not_there(backup: Path, tmp_path: Path) -> None:
    report = slipstream.restore(backup, tmp_path / "a" / "b")
    assert not report.has_replaced
    assert names_in(tmp_path / "a" / "b") == [".slipstream", CONFIG_NAME]
    assert is_restored(tmp_path / "a" / "b")


def test_into_an_empty_directory_and_beside_files_of_others(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    slipstream.restore(backup, tmp_path)
    assert names_in(tmp_path) == [".slipstream", "notes.txt", CONFIG_NAME]


def test_over_another_pkg_only_when_asked(backup: Path, other: Path) -> None:
    with pytest.raises(AlreadyExistsError, match="holds a PKG already"):
        slipstream.restore(backup, other)
    assert not is_restored(other)
    assert slipstream.restore(backup, other, replace=True).has_replaced
    assert names_in(other) == [".slipstream", CONFIG_NAME]
    assert is_restored(other)


def test_over_files_that_are_damaged_beyond_reading(backup: Path, other: Path) -> None:
    for name in ("graph.db", "index.db"):
        (other / ".slipstream" / name).write_bytes(b"no database" * 1000)
    slipstream.restore(backup, other, replace=True)
    assert is_restored(other)


def test_what_came_after_the_backup_is_gone_and_positions_go_on(backup: Path, tmp_path: Path) -> None:
    """A restored pair is no incident: neither side has seen what the other one has not."""
    slipstream.restore(backup, tmp_path)
    for _ in range(2):
        with opened(tmp_path) as slip:
            later = slip.pkg.create_entity("Person", "later", {"name": "later"})
            assert slip.sync.wait(later, timeout_s=LONG_S)
        slipstream.restore(backup, tmp_path, replace=True)
        with opened(tmp_path) as slip:
            assert slip.incident is None
            assert slip.pkg.read([entity_key("later")], {}).states == {}
            assert slip.pkg.feed.head() < later
            assert slip.sync.drain(timeout_s=LONG_S)
            assert slip.verify().is_consistent


@pytest.mark.parametrize("run", [True, False])
def test_not_while_a_process_has_it_open(backup: Path, other: Path, run: bool) -> None:
    with opened(other, run=run), pytest.raises(UnavailableError, match="runs the engine"):
        slipstream.restore(backup, other, replace=True)
    with closing(sqlite3.connect(other / ".slipstream" / "graph.db")) as raw:
        raw.execute("SELECT count(*) FROM entity").fetchone()
        with pytest.raises(UnavailableError, match=r"graph\.db open: end it"):
            slipstream.restore(backup, other, replace=True)
    assert names_in(other) == [".slipstream", CONFIG_NAME]
    assert not is_restored(other)


@pytest.mark.parametrize("name", ["graph.db", "index.db", CONFIG_NAME])
def test_a_backup_that_was_changed_replaces_nothing(backup: Path, other: Path, tmp_path: Path, name: str) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in backup.iterdir():
        content = bytearray(path.read_bytes())
        if path.name == name:
            content[len(content) // 2] ^= 0x01
        (changed / path.name).write_bytes(content)
    with pytest.raises(CorruptionError, match="not what the manifest says"):
        slipstream.restore(changed, other, replace=True)
    with pytest.raises(CorruptionError, match="not what the manifest says"):
        slipstream.restore(changed, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (changed / name).unlink()
    with pytest.raises(CorruptionError, match="can not be read"):
        slipstream.restore(changed, other, replace=True)
    assert names_in(other) == [".slipstream", CONFIG_NAME]
    assert not is_restored(other)


def test_an_interrupted_restore_leaves_nothing(backup: Path, other: Path, tmp_path: Path) -> None:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    for root in (other, tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt):
            slipstream.restore(backup, root, replace=True, on_progress=interrupt)
    assert not (tmp_path / "new").exists()
    assert names_in(other) == [".slipstream", CONFIG_NAME]


def test_without_an_exchange_of_names_the_middle_is_made_good_at_the_next_open(backup: Path, other: Path) -> None:
    outside = replace(parts(), exchange=lambda one, two: False)
    restore(backup, other, outside, replace=True)
    assert names_in(other) == [".slipstream", CONFIG_NAME]
    assert is_restored(other)
    # As if it had been killed between the two names.
    (other / CONFIG_NAME).rename(other / ".slipstream" / CONFIG_NAME)
    (other / CONFIG_NAME).write_text(OLD)
    (other / ".slipstream").rename(other / ".slipstream.next")
    finish_restore(other, other / ".slipstream")
    assert names_in(other) == [".slipstream", CONFIG_NAME]
    assert is_restored(other)


def test_what_was_asked_of_the_engine_on_that_day_is_not_done_again(tmp_path: Path) -> None:
    root = filled(tmp_path / "pkg", 3)
    with closing(sqlite3.connect(root / ".slipstream" / "index.db")) as raw, raw:
        raw.execute("INSERT INTO requests(operation, arguments, asked_at) VALUES ('repair', '{}', 0)")
    report = backups_of(root).backup(tmp_path / "backups")
    slipstream.restore(report.path, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / ".slipstream" / "index.db")) as raw:
        assert raw.execute("SELECT count(*) FROM requests").fetchone() == (0,)


def _opened_chroma(root: Path) -> Slipstream:
    root.mkdir(exist_ok=True)
    if not (root / CONFIG_NAME).exists():
        text = TEMPLATE.replace('[index]\nadapter = "sqlite"', '[index]\nadapter = "chroma"')
        (root / CONFIG_NAME).write_text(text)
    return open_pkg(root, options=Options(embedders=(HashEmbedder(dimension=16),)))


def test_vectors_in_chroma_are_made_anew(tmp_path: Path) -> None:
    with _opened_chroma(tmp_path / "pkg") as slip:
        for number in range(5):
            slip.pkg.create_entity("Person", f"p{number}", {"name": f"name {number}"})
        assert slip.sync.drain(timeout_s=LONG_S)
        digest = slip.verify().index_digest.hex
        report = slip.backup(tmp_path / "backups")
    index = report.manifest.index
    assert (index.adapter, index.has_vectors, index.records, index.digest) == ("chroma", False, 0, None)
    assert report.manifest.graph_digest == digest
    assert checked_backup(report.path).found.index_digest is None
    with _opened_chroma(tmp_path / "pkg") as slip:
        slip.pkg.create_entity("Person", "later", {"name": "later"})
        assert slip.sync.drain(timeout_s=LONG_S)
    slipstream.restore(report.path, tmp_path / "pkg", replace=True)
    assert not (tmp_path / "pkg" / ".slipstream" / "chroma").exists()
    with _opened_chroma(tmp_path / "pkg") as slip:
        assert slip.incident is None
        assert slip.sync.drain(timeout_s=LONG_S)
        found = slip.verify()
        assert found.is_consistent
        assert found.index_digest.hex == digest


def test_a_folder_that_is_no_backup_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no backup"):
        slipstream.restore(tmp_path / "nowhere", tmp_path / "pkg")
    assert not (tmp_path / "pkg").exists()
