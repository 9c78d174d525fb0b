"""A real `kill -9` at random moments: nothing acknowledged is lost, and the checkpoint agrees with the batches."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import KeyStamps, SearchFilter, VectorRecord
from slipstream.testkit.records import SPACE, make_record, unit_vector
from slipstream.testkit.suites.index_support import assert_holds, assert_search
from tests import warm
from tests.faults.sqlite_kill_worker import batch_keys, deleted_key

_KILLS = 15
_WORKER = "tests.faults.sqlite_kill_worker"


def test_killed_at_random_moments(tmp_path: Path) -> None:
    path, rng = tmp_path / "index.db", random.Random(20260102)
    acknowledged = 0
    for _ in range(_KILLS):
        acknowledged = _run_and_kill(path, rng, acknowledged)
        store = SqliteStore(path)
        try:
            acknowledged = _check(store, acknowledged)
        finally:
            store.close()
    assert acknowledged > 2 * _KILLS


def _run_and_kill(path: Path, rng: random.Random, acknowledged: int) -> int:
    """Kill the worker some acknowledgements in, at a random moment of the batch after; return the last one told."""
    root = Path(__file__).parents[2]
    worker = warm.Popen([sys.executable, "-m", _WORKER, str(path)], stdout=subprocess.PIPE, text=True, cwd=root)
    assert worker.stdout is not None
    try:
        for _ in range(rng.randint(1, 30)):
            acknowledged = int(worker.stdout.readline())
        for _ in range(rng.randint(0, 60_000)):
            pass  # a random part of the next batch's time: no clock decides when the kill comes
    finally:
        worker.kill()
        rest, _ = worker.communicate()
    told = [int(line) for line in rest.split("\n")[:-1]]  # a torn last line is no acknowledgement
    return max([acknowledged, *told])


def _check(store: SqliteStore, acknowledged: int) -> int:
    checkpoint = int(store.journal.get("checkpoint") or 0)
    assert acknowledged <= checkpoint <= acknowledged + 1  # at most the one batch whose acknowledgement was lost
    expected: dict[str, VectorRecord] = {}
    tombstones: dict[str, int] = {}
    for number in range(1, checkpoint + 1):
        expected.update((identity, make_record(identity, number)) for identity in batch_keys(number))
        tombstones[deleted_key(number)] = number
    records = list(expected.values())
    assert_holds(store.index, records)
    gone = {entity_key(identity): position for identity, position in tombstones.items()}
    assert {key: held.tombstone for key, held in store.index.stamps(list(gone)).items()} == gone
    assert all(held == KeyStamps((), held.tombstone) for held in store.index.stamps(list(gone)).values())
    assert_search(store.index, unit_vector("query", SPACE.dimension), 10, SearchFilter(), records)
    return checkpoint
