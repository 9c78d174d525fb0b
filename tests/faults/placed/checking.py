"""What must hold of a whole PKG after whatever fault ended the process that worked on it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.app.composition import DATA_FOLDER, checked_backup, restored
from slipstream.app.config import CONFIG_NAME
from slipstream.app.slipstream import Slipstream
from slipstream.signing import keys
from tests.faults.migration_kill_worker import finish
from tests.faults.placed.looking import TAMPERED, check_frontier, look, read_graph
from tests.faults.placed.working import BACKUP, DUMP, NEW, PATIENCE_S, PKG, models, opened
from tests.faults.placed.workloads import DUMP_BATCH, Workload
from tests.faults.placed.world import Graph, person, write

EXTRA = [person("extra", 1, "behind the fault")]
_FILES = frozenset(
    ("graph.db", "graph.db-lock", "graph.db-lock-next", "index.db", "engine.lock", "embeddings.cache", "alerts.state")
)
_CHROMA = frozenset(("chroma.sqlite3", "slipstream.lock", "slipstream.left"))
_SEGMENT = frozenset(("data_level0.bin", "header.bin", "length.bin", "link_lists.bin", "index_metadata.pickle"))


class Said(NamedTuple):
    """What a worker was told, as it said it."""

    acknowledged: frozenset[str]
    tried: str
    """The step under way, if one was."""
    shown: int
    """The highest position that was told to be searchable."""


def heard(lines: Sequence[str]) -> Said:
    """Take in a worker's lines."""
    acknowledged: set[str] = set()
    tried, shown = "", 0
    for line in lines:
        word, _, rest = line.partition(" ")
        step, _, result = rest.partition(" ")
        if word == "try":
            tried = step
        elif word == "ack":
            acknowledged.add(step)
            tried = ""
            shown = max(shown, int(result)) if step == "shown" else shown
    return Said(frozenset(acknowledged), tried, shown)


def reached(workload: Workload, said: Said, graph: Graph) -> int:
    """Return up to which step the graph goes; fails for a lost commit, or half of one."""
    done = max((n for n, (name, _) in enumerate(workload.graphs) if name in said.acknowledged or not name), default=0)
    there = graph.text()
    following = done + 1 if done + 1 < len(workload.graphs) else done
    is_tried = workload.graphs[following][0] == said.tried
    if there == workload.graphs[done][1][-1].text():
        return following if is_tried and said.tried == "import" else done
    assert is_tried, f"an acknowledged commit was lost, or one is there that nobody made, behind step {done}"
    assert there in [each.text() for each in workload.graphs[following][1]], f"{said.tried} is half there"
    return following


@dataclass(frozen=True)
class Found:
    """Where a fault left the graph, and what all of it comes to in the end."""

    step: int
    digest: str


def check(base: Path, workload: Workload, lines: Sequence[str]) -> Found:
    """Fail for anything lost, half there, told too early, vanished, damaged, not to be opened, or left behind."""
    said = heard(lines)
    left = look(base / PKG)
    step = reached(workload, said, left.graph)
    is_mended = not workload.is_tampered or "repaired" in said.acknowledged
    # Who was a dead letter once, and is tried again, is behind the frontier without a record.
    check_frontier(left, said.shown, frozenset(("sick",)) if is_mended else TAMPERED | {"nobody"})
    check_whole_backups(base, is_told=not said.acknowledged.isdisjoint(("backup", "backup-again")))
    slip = opened(base / PKG, models(cured=True))
    try:
        digest = settled(slip, base, workload, is_import_due=workload.graphs[step][0] == "import")
    finally:
        slip.close()
    check_files(base)
    graph, _, _ = read_graph(base / PKG / DATA_FOLDER / "graph.db")
    if workload.backs_up:
        check_backup(base, graph)
    return Found(step, hashlib.sha256(f"{graph.text()}{digest}".encode()).hexdigest())


def settled(slip: Slipstream, base: Path, workload: Workload, *, is_import_due: bool) -> str:
    """Bring what was under way to its end, prove that both sides agree, commit once more; returns all records."""
    assert slip.status().halted is None
    if is_import_due:
        slip.importer().run(base / DUMP, batch=DUMP_BATCH)
    assert slip.sync.drain(PATIENCE_S), slip.status()
    slip.replay_dead_letters()
    slip.discard_dead_letters()
    assert slip.sync.drain(PATIENCE_S), slip.status()
    if workload.migrates:
        finish(slip, wanted=NEW)
    if workload.is_tampered:
        slip.repair(slip.verify(hurry=True))
        assert slip.sync.drain(PATIENCE_S), slip.status()
    with slip.pkg.transaction() as tx:
        write(tx, EXTRA)
    assert slip.sync.wait(tx.position, PATIENCE_S), slip.status()
    assert slip.sync.drain(PATIENCE_S), slip.status()
    report = slip.verify(hurry=True)
    assert report.is_consistent, (report.divergences, report.owed, report.unsettled_keys)
    assert report.fresh == report.expected == report.total_embeddings > 0
    assert slip.status().dead_letters == 0
    if workload.backs_up:
        slip.backup(base / BACKUP, keep=1)
    return records(slip)


def records(slip: Slipstream) -> str:
    """Return all that the index holds, but for when it came there."""
    return json.dumps(
        [
            [
                *(stamp.key.encode(), stamp.entity_type, stamp.fingerprint, stamp.checksum),
                *(stamp.space.model_id, stamp.schema_version, *stamp.metadata.items()),
            ]
            for stamp in slip.store.index.scan(None, 100_000)
        ]
    )


def check_whole_backups(base: Path, *, is_told: bool) -> None:
    """Fail unless what goes by the name of a backup is one; one that was told is there, or what took its place."""
    folders = [*(base / BACKUP).glob("slipstream-*")]
    for folder in folders:
        checked_backup(folder)
    assert folders or not is_told, "a backup that was told is lost"


def check_backup(base: Path, graph: Graph) -> None:
    """Fail unless one backup is left, nothing is beside it, and it gives the graph back."""
    (folder,) = (base / BACKUP).iterdir()
    restored(folder, base / "restored")
    found, _, _ = read_graph(base / "restored" / DATA_FOLDER / "graph.db")
    assert found.text() == graph.text(), "the backup holds something else"


def check_files(base: Path) -> None:
    """
    Fail for files that a closed PKG does not need.

    Chroma may write the vector files of a collection that it has just removed; the next opening takes them away.
    """
    data = base / PKG / DATA_FOLDER
    if _left_behind(data) and (data / "chroma").exists():
        ChromaIndex.embedded(data / "chroma").close()
    left = _left_behind(data)
    assert not left, f"left behind: {sorted(left)}"
    assert {file.name for file in data.parent.iterdir()} == {DATA_FOLDER, CONFIG_NAME}
    assert {file.name for file in (base / "w").iterdir()} <= {"pkg", Path(BACKUP).name}


def _left_behind(data: Path) -> set[str]:
    allowed = set(_FILES)
    if key_id := keys.key_id_in(data / keys.FOLDER):
        allowed |= {f"{keys.FOLDER}/{name}" for name in (keys.PRIVATE, keys.PUBLIC, f"{key_id}.pem")}
    if (data / "chroma").exists():
        with closing(sqlite3.connect(data / "chroma" / "chroma.sqlite3")) as connection:
            segments = connection.execute("SELECT id FROM segments WHERE scope = 'VECTOR'").fetchall()
        allowed |= {f"chroma/{name}" for name in _CHROMA}
        allowed |= {f"chroma/{segment}/{name}" for (segment,) in segments for name in _SEGMENT}
    return {file.relative_to(data).as_posix() for file in data.rglob("*") if not file.is_dir()} - allowed
