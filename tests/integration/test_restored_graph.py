"""A real graph file, copied, gone past, restored and opened beside its newer index."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.incidents import IncidentKind
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from tests.faults.restoring import GRAPH, copy_graph, restore_graph


def _open(root: Path, adapter: str, *, adopt: bool = False) -> Slipstream:
    options = Options(embedders=(HashEmbedder(dimension=16),), settings=SyncSettings(idle_wait_s=0.02))
    return open_pkg(root, config=Config.model_validate({"index": {"adapter": adapter}}), options=options, adopt=adopt)


def _backed_up(root: Path, backup: Path, adapter: str) -> int:
    """Make a PKG, copy its graph, go on with it, and return the newest position."""
    with _open(root, adapter) as slip:
        with slip.pkg.transaction() as tx:
            for number in range(40):
                tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
        assert slip.sync.drain(timeout_s=30)
    copy_graph(root, backup)
    with _open(root, adapter) as slip:
        for number in range(10):
            slip.pkg.update_entity(f"p{number}", {"name": f"lost {number}", "age": number})
        slip.pkg.delete_entity("p20")
        slip.pkg.create_entity("Person", "lost", {"name": "never to be seen again"})
        assert slip.sync.drain(timeout_s=30)
        return slip.pkg.feed.head()


@pytest.mark.parametrize("adapter", ["sqlite", "chroma"])
@pytest.mark.parametrize("commits", [0, 60])
def test_everything_is_as_the_restored_graph_says(
    tmp_path: Path, adapter: str, commits: int, caplog: pytest.LogCaptureFixture
) -> None:
    root, backup = tmp_path / "pkg", tmp_path / "backup"
    newest = _backed_up(root, backup, adapter)
    restore_graph(backup, root)
    if commits:  # by a program that knows no index, until the graph is ahead again
        graph = SqliteGraph(root / ".slipstream" / GRAPH, clock=SystemClock())
        for number in range(commits):
            graph.update_entity("p30", {"name": f"elsewhere {number}"})
        assert graph.feed.head() > newest
        graph.close()
    with _open(root, adapter) as slip:
        assert slip.incident is not None
        assert slip.incident.kind is IncidentKind.OLDER
    with _open(root, adapter, adopt=True) as slip:
        assert slip.incident is None
        assert slip.pkg.feed.head() > newest
        assert slip.sync.drain(timeout_s=60)
        report = slip.verify()
        assert report.is_consistent, report.divergences
        assert report.consistency == 1.0
        assert report.fresh == 40
        assert slip.search("name 3", k=1)[0].entity_id == "p3"
        assert all(hit.entity_id != "lost" for hit in slip.search("never to be seen again", k=40))
        assert slip.sync.write_back(timeout_s=30)
        assert slip.pkg.query_sql("SELECT state, count(*) AS n FROM sync_state GROUP BY state") == [
            {"state": "fresh", "n": 40}
        ]
        position = slip.pkg.create_entity("Person", "new", {"name": "a new day"})
        assert slip.search("a new day", k=1, after=position)[0].entity_id == "new"
        assert slip.verify().is_consistent
    caplog.clear()
    with _open(root, adapter) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert caplog.text == ""
        assert slip.status().counters.get("unchanged", 0) == 0  # nothing is compared again


def test_two_restores_of_the_same_backup(tmp_path: Path) -> None:
    root, backup = tmp_path / "pkg", tmp_path / "backup"
    heads = [_backed_up(root, backup, "sqlite")]
    for _ in range(2):
        restore_graph(backup, root)
        with _open(root, "sqlite", adopt=True) as slip:
            assert slip.sync.drain(timeout_s=60)
            assert slip.verify().fresh == 40
            slip.pkg.create_entity("Person", "new", {"name": "another try"})
            assert slip.sync.drain(timeout_s=60)
            heads.append(slip.pkg.feed.head())
    assert heads == sorted(set(heads))


def test_a_copy_that_was_put_back_and_written_past_is_found_by_what_its_log_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The copy was made while the PKG was open, so it carries the right mark; and its log is longer than ours was."""
    graph, copy = tmp_path / ".slipstream" / GRAPH, tmp_path / "copy.db"
    with _open(tmp_path, "sqlite") as slip:
        for number in range(5):
            slip.pkg.create_entity("Person", f"a{number}", {"name": f"first {number}"})
        with closing(sqlite3.connect(graph)) as raw:
            raw.execute("VACUUM INTO ?", (str(copy),))
        for number in range(5):
            slip.pkg.create_entity("Person", f"b{number}", {"name": f"lost {number}"})
        assert slip.sync.drain(timeout_s=30)
    copy.replace(graph)
    with closing(sqlite3.connect(graph, isolation_level=None)) as raw:
        for number in range(8):
            raw.execute("INSERT INTO entity(id, type) VALUES (?, 'Person')", (f"c{number}",))
    with _open(tmp_path, "sqlite") as slip:
        assert "its log says something else" in caplog.text
    with _open(tmp_path, "sqlite", adopt=True) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.verify().consistency == 1.0
        assert slip.search("lost 1", k=20).hits
        assert all(not hit.entity_id.startswith("b") for hit in slip.search("lost 1", k=20))
