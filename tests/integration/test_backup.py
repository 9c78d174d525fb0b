"""Backups of a PKG that is being written: of one moment, audited, bounded in number, and nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from slipstream.adapters.sqlite.copying import held_alone, problems_of
from slipstream.app.backup.parts import Step
from slipstream.app.composition import Options, backups_of, checked_backup, open_pkg, restored
from slipstream.app.config import CONFIG_NAME, TEMPLATE
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import EntityState
from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    DiskFullError,
    IncidentError,
    InvalidInputError,
    UnavailableError,
)
from slipstream.domain.keys import entity_key
from slipstream.ports.scans import scan_graph
from slipstream.testkit.embedders import HashEmbedder

LONG_S = 60.0


def opened(root: Path, *, run: bool = True) -> Slipstream:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    return open_pkg(root, options=options, run=run, create=True)


def filled(root: Path, count: int = 50) -> Path:
    with opened(root) as slip:
        with slip.pkg.transaction() as tx:
            for number in range(count):
                tx.create_entity("Person", f"p{number:03}", {"name": f"name {number}", "n": 0})
            for number in range(1, count):
                tx.relate(f"p{number - 1:03}", "KNOWS", f"p{number:03}")
        assert slip.sync.drain(timeout_s=LONG_S)
    return root


@contextmanager
def being_written(slip: Slipstream) -> Iterator[list[int]]:
    """Change the first and the last entity together, again and again; yields how often, in one number."""
    done, count = threading.Event(), [0]

    def write() -> None:
        while not done.is_set():
            count[0] += 1
            with slip.pkg.transaction() as tx:
                tx.update_entity("p000", {"n": count[0]})
                tx.update_entity("p049", {"n": count[0]})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield count
    finally:
        done.set()
        writer.join()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_beside_a_writer_is_of_one_moment_and_opens_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path / "pkg")
    with opened(tmp_path / "pkg") as slip, being_written(slip) as count:
        reports = [slip.backup(tmp_path / "backups") for _ in range(3)]
    assert count[0] > 3
    for number, report in enumerate(reports):
        manifest = report.manifest
        assert names_in(report.path) == ["graph.db", "index.db", "manifest.json", "slipstream.toml"]
        assert manifest.checkpoint <= manifest.position
        assert (manifest.entities, manifest.relationships, manifest.index.records) == (50, 49, 50)
        assert checked_backup(report.path).found.position == manifest.position
        root = tmp_path / f"copy{number}"
        restored = _restore(report.path, root)
        with opened(root) as copy:
            assert copy.incident is None
            assert restored == copy.pkg.feed.head() == manifest.position
            ends = copy.pkg.read([entity_key("p000"), entity_key("p049")], {}).states.values()
            values = {state.entity.properties["n"] for state in ends if isinstance(state, EntityState)}
            assert len(values) == 1, "both change in one transaction"
            assert copy.sync.drain(timeout_s=LONG_S)
            assert copy.verify().is_consistent
            position = copy.pkg.create_entity("Person", "new", {"name": "after the restore"})
            assert copy.search("after the restore", k=1, after=position)[0].entity_id == "new"


def _restore(source: Path, root: Path) -> int:
    import slipstream

    return slipstream.restore(source, root).manifest.position


def test_what_the_engine_owes_is_owed_and_no_divergence(tmp_path: Path) -> None:
    filled(tmp_path / "pkg")
    with opened(tmp_path / "pkg", run=False) as slip:
        for number in range(7):
            slip.pkg.update_entity(f"p{number:03}", {"name": f"changed {number}"})
        slip.pkg.delete_entity("p020")
        slip.pkg.create_entity("New type", "new", {"x": 1})
        manifest = slip.backup(tmp_path / "backups").manifest
    assert manifest.checkpoint < manifest.position
    assert (manifest.index.divergent, manifest.index.records) == (0, 50)
    assert manifest.index.owed >= 9
    with opened(tmp_path / "pkg") as slip:
        assert slip.sync.drain(timeout_s=LONG_S)
        manifest = slip.backup(tmp_path / "backups").manifest
    assert (manifest.index.owed, manifest.index.digest) == (0, manifest.graph_digest)


def test_a_divergent_index_is_no_backup_unless_that_is_wanted(tmp_path: Path) -> None:
    filled(tmp_path / "pkg")
    with closing(sqlite3.connect(tmp_path / "pkg" / ".slipstream" / "index.db")) as raw, raw:
        raw.execute("UPDATE records SET fingerprint = 'tampered' WHERE key = 'e:p003'")
    backups = backups_of(tmp_path / "pkg")
    with pytest.raises(CorruptionError, match=r"1 stale; e:p003"):
        backups.backup(tmp_path / "backups")
    assert names_in(tmp_path / "backups") == []
    report = backups.backup(tmp_path / "backups", keep_divergent=True)
    assert report.manifest.index.divergent == 1
    assert checked_backup(report.path).manifest == report.manifest


def test_a_damaged_graph_is_no_backup(tmp_path: Path) -> None:
    filled(tmp_path / "pkg", 500)
    path = tmp_path / "pkg" / ".slipstream" / "graph.db"
    with closing(sqlite3.connect(path)) as raw:
        (root,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'relationship_id'").fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 50)
    with pytest.raises(CorruptionError, match=r"graph\.db is damaged"):
        backups_of(tmp_path / "pkg").backup(tmp_path / "backups")
    assert names_in(tmp_path / "backups") == []


def test_a_graph_that_is_not_that_of_its_index_is_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.app.backup.making._ATTEMPTS_MAX", 2)
    data = filled(tmp_path / "pkg") / ".slipstream"
    shutil.copy(data / "graph.db", tmp_path / "older.db")
    with opened(tmp_path / "pkg") as slip:
        slip.pkg.create_entity("Person", "later", {"name": "later"})
        assert slip.sync.drain(timeout_s=LONG_S)
    shutil.copy(tmp_path / "older.db", data / "graph.db")
    with pytest.raises(IncidentError, match="older than its index"):
        backups_of(tmp_path / "pkg").backup(tmp_path / "backups")
    assert names_in(tmp_path / "backups") == []


@pytest.mark.parametrize("stage", ["copying", "checking", "auditing"])
def test_an_interrupted_backup_leaves_nothing(tmp_path: Path, stage: str) -> None:
    filled(tmp_path / "pkg")

    def interrupt(step: Step) -> None:
        if step.stage == stage:
            raise KeyboardInterrupt

    with opened(tmp_path / "pkg", run=False) as slip:
        with pytest.raises(KeyboardInterrupt):
            slip.backup(tmp_path / "backups", on_progress=interrupt)
        assert names_in(tmp_path / "backups") == []
        assert slip.backup(tmp_path / "backups").manifest.index.owed == 0


def test_one_that_another_process_is_making_is_left_alone(tmp_path: Path) -> None:
    backups = backups_of(filled(tmp_path / "pkg", 5))
    second: list[Path] = []

    def meanwhile(step: Step) -> None:
        if step.stage == "auditing" and not second:
            second.append(backups.backup(tmp_path / "backups").path)

    first = backups.backup(tmp_path / "backups", on_progress=meanwhile)
    assert names_in(tmp_path / "backups") == sorted([first.path.name, second[0].name])
    (tmp_path / "backups" / ".slipstream-20200101T000000Z.partial").mkdir()
    backups.backup(tmp_path / "backups", keep=1)
    assert len(names_in(tmp_path / "backups")) == 1, "what a killed one has left is removed"


def test_keep_removes_the_oldest_of_this_graph_and_nothing_else(tmp_path: Path) -> None:
    there = tmp_path / "backups"
    other = backups_of(filled(tmp_path / "other", 5)).backup(there).path
    (there / "notes").mkdir()
    (there / "notes" / "manifest.json").write_text("{}")
    (there / "slipstream-20200101T000000Z").mkdir()
    backups = backups_of(filled(tmp_path / "pkg", 5))
    made = [backups.backup(there, keep=2) for _ in range(4)]
    assert [report.removed for report in made[:2]] == [(), ()]
    assert [made[2].removed, made[3].removed] == [(made[0].path,), (made[1].path,)]
    kept = [made[2].path.name, made[3].path.name, other.name, "notes", "slipstream-20200101T000000Z"]
    assert names_in(there) == sorted(kept)


def test_the_rate_is_kept_and_progress_is_told_in_order(tmp_path: Path) -> None:
    filled(tmp_path / "pkg", 5)
    steps: list[Step] = []
    report = backups_of(tmp_path / "pkg").backup(tmp_path / "backups", rate_mb_s=2.0, on_progress=steps.append)
    assert report.copy_s >= report.manifest.size_bytes / 2e6 * 0.9  # the configuration is copied at once
    assert list(dict.fromkeys(step.stage for step in steps)) == ["copying", "checking", "auditing"]
    for stage in ("copying", "checking"):
        done = [step.done for step in steps if step.stage == stage]
        assert done == sorted(done)
        assert done[-1] == [step.total for step in steps if step.stage == stage][-1]


@pytest.mark.parametrize("name", ["graph.db", "index.db", "slipstream.toml", "manifest.json"])
def test_verify_finds_a_changed_byte_in_every_file(tmp_path: Path, name: str) -> None:
    report = backups_of(filled(tmp_path / "pkg", 5)).backup(tmp_path / "backups")
    content = bytearray((report.path / name).read_bytes())
    content[len(content) // 2] ^= 0x01
    (report.path / name).write_bytes(content)
    with pytest.raises(CorruptionError):
        checked_backup(report.path)
    assert names_in(tmp_path / "backups") == [report.path.name]


def test_the_manifest_holds_no_setting(tmp_path: Path) -> None:
    root = filled(tmp_path / "pkg", 5)
    text = TEMPLATE + '\n[models.openai.secret-model]\nbase_url = "http://user:hunter2@127.0.0.1:1/v1"\n'
    (root / CONFIG_NAME).write_text(text)
    report = backups_of(root).backup(tmp_path / "backups")
    told = json.loads((report.path / "manifest.json").read_text())
    assert set(told) >= {"slipstream", "sqlite", "created_at", "position", "checkpoint", "frontier", "schema_version"}
    assert "hunter2" not in json.dumps(told)
    assert "secret-model" not in json.dumps(told)
    assert (report.path / CONFIG_NAME).read_text() == text


def test_with_the_cache_nothing_is_computed_anew(tmp_path: Path) -> None:
    root = filled(tmp_path / "pkg", 5)
    for path in (root / ".slipstream").glob("index.db*"):  # as with an index whose vectors are elsewhere
        path.unlink()
    for with_cache, computed in ((False, 5), (True, 0)):
        report = backups_of(root).backup(tmp_path / "backups", with_cache=with_cache)
        assert ("embeddings.cache" in report.manifest.files) is with_cache
        checked_backup(report.path)
        _restore(report.path, tmp_path / f"copy{computed}")
        embedder = HashEmbedder(dimension=16)
        with open_pkg(tmp_path / f"copy{computed}", options=Options(embedders=(embedder,))) as copy:
            assert copy.sync.drain(timeout_s=LONG_S)
            assert copy.verify().is_consistent
        assert len(embedder.embedded) == computed


def test_a_graph_that_no_engine_has_ever_seen_is_backed_up_alone(tmp_path: Path) -> None:
    data = filled(tmp_path / "pkg", 5) / ".slipstream"
    for path in data.glob("index.db*"):
        path.unlink()
    report = backups_of(tmp_path / "pkg").backup(tmp_path / "backups")
    assert sorted(report.manifest.files) == ["graph.db", "slipstream.toml"]
    assert not report.manifest.index.has_vectors
    _restore(report.path, tmp_path / "copy")
    with opened(tmp_path / "copy") as copy:
        assert copy.sync.drain(timeout_s=LONG_S)
        assert copy.verify().is_consistent
        assert len(list(scan_graph(copy.pkg))) == 9


def test_bad_calls_say_what_is_wrong(tmp_path: Path) -> None:
    root = filled(tmp_path / "pkg", 5)
    backups = backups_of(root)
    with pytest.raises(InvalidInputError, match="keep"):
        backups.backup(tmp_path / "backups", keep=0)
    with pytest.raises(InvalidInputError, match="rate_mb_s"):
        backups.backup(tmp_path / "backups", rate_mb_s=0)
    with pytest.raises(ConfigError, match="inside of"):
        backups.backup(root / ".slipstream" / "backups")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can not hold a backup"):
        backups.backup(tmp_path / "file")
    with pytest.raises(ConfigError, match="is no backup"):
        checked_backup(tmp_path)
    backups.backup(tmp_path / "backups")
    with pytest.raises(ConfigError, match="holds 1: name one"):
        checked_backup(tmp_path / "backups")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / CONFIG_NAME).write_text(TEMPLATE)
    with pytest.raises(ConfigError, match="holds no graph"):
        backups_of(tmp_path / "nothing").backup(tmp_path / "backups")


def test_a_full_disk_is_told_as_one_and_leaves_nothing(tmp_path: Path) -> None:
    def full(_: Step) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    backups = backups_of(filled(tmp_path / "pkg", 5))
    whole = backups.backup(tmp_path / "backups").path
    calls: list[Callable[[], object]] = [
        lambda: backups.backup(tmp_path / "backups", on_progress=full),
        lambda: checked_backup(whole, full),
        lambda: restored(whole, tmp_path / "copy", on_progress=full),
    ]
    for call in calls:
        with pytest.raises(DiskFullError, match="free some space"):
            call()
    assert names_in(tmp_path / "backups") == [whole.name]
    assert not (tmp_path / "copy").exists()


def test_what_can_not_be_read_just_now_is_no_damage_of_the_file(tmp_path: Path) -> None:
    graph = filled(tmp_path / "pkg", 5) / ".slipstream" / "graph.db"
    assert problems_of(graph) == []
    with held_alone(graph), pytest.raises(UnavailableError, match="another process is writing"):
        problems_of(graph)
    graph.write_bytes(b"no database at all" * 1_000)
    assert problems_of(graph) == ["file is not a database"]
