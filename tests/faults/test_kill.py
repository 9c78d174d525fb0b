"""Real `kill -9` at named failpoints and at random times, over both indexes: reopen, drain, and prove it whole."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import KeyKind
from slipstream.events.importing import Importer
from tests import warm
from tests.depth import deeper, examples, first_few
from tests.faults.kill_worker import BATCH_MAX, open_for_test, work, write_dump
from tests.faults.restoring import copy_graph, restore_graph
from tests.word_rows import wrong_word_rows

FAILPOINTS = (
    "graph.commit.after",
    "graph.read.after",
    "embed.before",
    "embed.after",
    "index.upsert.before",
    "index.upsert.middle",
    "index.upsert.after",
    "index.delete.before",
    "index.delete.after",
    "checkpoint.before",
    "checkpoint.after",
    "journal.commit.before",
    "journal.commit.after",
)
OF_WORDS = (
    ("words.put.before", 1),
    ("words.put.before", 9),
    ("words.put.after", 1),
    ("words.put.after", 9),
    ("words_frontier.after", 9),
    ("words_scan.after", 1),
    ("words_views.after", 1),
)
"""Before, in and after a write of word rows, and in a scan of them."""
INDEXES = ("sqlite", "chroma")
CASES = [(adapter, failpoint, 6) for adapter in INDEXES for failpoint in FAILPOINTS]
CASES += [("sqlite", failpoint, 1) for failpoint in FAILPOINTS]
CASES += [("sqlite", *case) for case in OF_WORDS] + [("chroma", *case) for case in OF_WORDS[:3]]
MORE = [("chroma", failpoint, 1) for failpoint in FAILPOINTS]


def _start(root: Path, adapter: str, failpoint: str, count: int, seed: int, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.faults.kill_worker", str(root), adapter, failpoint, str(count), str(seed)]
    return warm.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _killed(root: Path, adapter: str, failpoint: str, count: int, seed: int, *more: str) -> int:
    """Run the worker until its failpoint kills it and return the last acknowledged position."""
    process = _start(root, adapter, failpoint, count, seed, *more)
    output, errors = process.communicate(timeout=90)
    assert process.returncode == -signal.SIGKILL, (process.returncode, output[-300:], errors[-2000:])
    return _last_acknowledged(output)


def _last_acknowledged(output: bytes) -> int:
    lines = [line for line in output.decode().splitlines() if line.startswith("ack ")]
    return int(lines[-1].split()[1]) if lines else 0


def _prove_whole(root: Path, adapter: str, acknowledged: int, *, adopt: bool = False) -> None:
    with open_for_test(root, adapter, adopt=adopt) as slipstream:
        assert slipstream.sync.drain(timeout_s=60)
        report = slipstream.verify()
        assert report.is_consistent, report.divergences
        assert slipstream.pkg.feed.head() >= acknowledged
        assert slipstream.status().dead_letters == 0
        assert report.fresh == report.expected == report.total_embeddings
        _prove_view(slipstream)
        assert slipstream.sync.words is not None
        assert wrong_word_rows(slipstream.pkg, slipstream.sync.words.writer) == []


def _prove_view(slipstream: Slipstream) -> None:
    """Every entity has its row, no other has one, each says what the index holds; and all of it is no change."""
    head = slipstream.pkg.feed.head()
    assert slipstream.sync.write_back(timeout_s=60)
    rows = slipstream.pkg.query_sql("SELECT entity_id AS id, state, position, embedded_at AS at FROM sync_state")
    stamps = [stamp for stamp in slipstream.store.index.scan(None, 100_000) if stamp.key.kind is KeyKind.ENTITY]
    wanted = {stamp.entity_id: ("fresh", stamp.position, stamp.created_at) for stamp in stamps}
    assert {row["id"]: (row["state"], row["position"], datetime.fromisoformat(row["at"])) for row in rows} == wanted
    assert slipstream.pkg.feed.head() == head
    assert slipstream.sync.engine.is_settled()


def _work_done_twice(root: Path) -> int:
    path = root / "embedded.log"
    if not path.exists():
        return 0
    texts = Counter(json.loads(line) for line in path.read_text().splitlines())
    return sum(count - 1 for count in texts.values())


@pytest.mark.parametrize(("adapter", "failpoint", "count"), first_few([*CASES, *MORE], len(CASES)))
def test_killed_at_a_failpoint_nothing_is_lost_or_left_over(
    tmp_path: Path, adapter: str, failpoint: str, count: int
) -> None:
    acknowledged = _killed(tmp_path, adapter, failpoint, count, seed=count)
    _prove_whole(tmp_path, adapter, acknowledged)
    assert _work_done_twice(tmp_path) <= BATCH_MAX


@pytest.mark.parametrize(
    ("failpoint", "count"),
    [
        ("states.put.before", 1),
        ("states.put.middle", 2),
        ("states.put.after", 4),
        ("states.remove.before", 1),
        ("states.remove.after", 1),
        ("states.prune.before", 1),
        ("write_back.before", 1),
        ("write_back.after", 1),
    ],
)
def test_killed_while_the_sync_view_is_written(tmp_path: Path, failpoint: str, count: int) -> None:
    acknowledged = _killed(tmp_path, "sqlite", failpoint, count, seed=1)
    _prove_whole(tmp_path, "sqlite", acknowledged)
    with open_for_test(tmp_path, "sqlite") as slipstream:  # closed cleanly: nothing is left to look at
        assert slipstream.sync.drain(timeout_s=30)
        _prove_view(slipstream)


@pytest.mark.parametrize(
    ("failpoint", "count"),
    [
        ("write_back.before", 1),
        ("adopted.after", 1),
        ("index.vacuum.before", 1),
        ("index.vacuum.after", 1),
        ("graph_id.after", 1),
        ("timeline.before", 1),
        ("timeline.before", 2),
        ("timeline.after", 2),
        ("index.upsert.middle", 1),
    ],
)
def test_killed_while_a_restored_graph_is_adopted(tmp_path: Path, failpoint: str, count: int) -> None:
    root, backup = tmp_path / "pkg", tmp_path / "backup"
    root.mkdir()
    with open_for_test(root, "sqlite") as slipstream:
        work(slipstream, lambda _: None, seed=1, commits=60)
        slipstream.sync.drain(timeout_s=30)
        alive = slipstream.pkg.counts()
    copy_graph(root, backup)
    with open_for_test(root, "sqlite") as slipstream:
        work(slipstream, lambda _: None, seed=2, commits=60)
        slipstream.sync.drain(timeout_s=30)
        newest = slipstream.pkg.feed.head()
    restore_graph(backup, root)
    _killed(root, "sqlite", failpoint, count, 3, "adopt")
    _prove_whole(root, "sqlite", newest, adopt=True)
    if failpoint != "index.upsert.middle":  # killed before it could commit anything
        with open_for_test(root, "sqlite") as slipstream:
            assert slipstream.pkg.counts() == alive


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("failpoint", ["import.before", "import.after"])
def test_a_killed_import_resumes_and_ends_whole(tmp_path: Path, failpoint: str, count: int) -> None:
    dump = tmp_path / "dump.jsonl"
    write_dump(dump, entities=100)
    _killed(tmp_path, "sqlite", failpoint, count, seed=1)
    with open_for_test(tmp_path, "sqlite") as slipstream:
        importer = Importer(slipstream.pkg, slipstream.journal, slipstream.dead_letters, slipstream.clock)
        report = importer.run(dump, batch=20)
        assert report.resumed_at_line > 0 or (failpoint, count) == ("import.before", 1)
        assert slipstream.pkg.counts() == {"Person": 100, "KNOWS": 100}
    _prove_whole(tmp_path, "sqlite", 0)


@deeper
@pytest.mark.parametrize("adapter", INDEXES)
def test_killed_again_and_again_at_random_times(tmp_path: Path, adapter: str) -> None:
    rng = random.Random(5)
    for round_number in range(examples(3, 10)):
        process = _start(tmp_path, adapter, "signal", 1, seed=round_number)
        assert process.stdout is not None
        for _ in range(rng.randrange(1, 60)):
            process.stdout.readline()
        process.kill()
        output, _ = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL
        _prove_whole(tmp_path, adapter, _last_acknowledged(output))
