"""A real `kill -9` of an embedded Chroma: nothing acknowledged is lost, doubled or risen, and it opens every time."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import KeyStamps, SearchFilter
from slipstream.testkit.records import SPACE, make_record, unit_vector
from slipstream.testkit.suites.index_support import assert_holds, assert_search
from tests.faults.chroma_kill_worker import batch_keys, deleted_keys

_KILLS = 8
_WORKER = "tests.faults.chroma_kill_worker"

State = dict[str, tuple[str, int]]
"""Of each id: whether it was upserted or deleted last, and at which position."""


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    path, rng = tmp_path / "chroma", random.Random(20260103)
    state: State = {}
    number = 0
    for _ in range(_KILLS):
        acknowledged = _run_and_kill(path, rng, number)
        assert acknowledged, "the worker was to be killed behind its first acknowledgement"
        unsure = dict(state)
        for line in acknowledged:
            _apply(unsure, line)
        state, number = _check(path, unsure, acknowledged[-1])
    assert number > 3 * _KILLS


def _run_and_kill(path: Path, rng: random.Random, number: int) -> list[str]:
    """Kill the worker some acknowledgements in, at a random moment of what it does next; return all it told."""
    command = [sys.executable, "-m", _WORKER, str(path), str(number)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert worker.stdout is not None
    told: list[str] = []
    try:
        told.extend(worker.stdout.readline().strip() for _ in range(rng.randint(8, 40)))
        for _ in range(rng.randint(0, 2_000_000)):
            pass  # a random part of the next call's time: no clock decides when the kill comes
    finally:
        worker.kill()
        rest, _ = worker.communicate()
    return [*told, *rest.split("\n")[:-1]]  # a torn last line is no acknowledgement


def _apply(state: State, line: str) -> None:
    kind, number = line.split()
    keys = batch_keys(int(number)) if kind == "upsert" else deleted_keys(int(number))
    state.update((identity, (kind, int(number))) for identity in keys)


def _next(line: str) -> str:
    """Return the call that follows an acknowledged one: it may have been applied, in whole or in part, or not."""
    kind, number = line.split()
    return f"delete {number}" if kind == "upsert" else f"upsert {int(number) + 1}"


def _check(path: Path, acknowledged: State, last: str) -> tuple[State, int]:
    """Compare with what was acknowledged, each key before or after the one call in flight; return what is there."""
    after = dict(acknowledged)
    _apply(after, _next(last))
    index = ChromaIndex.embedded(path)
    try:
        keys = {entity_key(identity): identity for identity in after}
        held = index.stamps(list(keys))
        found = {identity: _seen(held.get(key)) for key, identity in keys.items()}
        for identity, seen in found.items():
            assert seen in (acknowledged.get(identity), after[identity]), identity
        state = {identity: seen for identity, seen in found.items() if seen is not None}
        records = [make_record(identity, number) for identity, (kind, number) in state.items() if kind == "upsert"]
        assert_holds(index, records)
        assert_search(index, unit_vector("query", SPACE.dimension), 10, SearchFilter(), records)
    finally:
        index.close()
    return state, int(_next(last).split()[1])


def _seen(held: KeyStamps | None) -> tuple[str, int] | None:
    if held is None:
        return None
    if held.records:
        assert held.tombstone is None
        assert len(held.records) == 1
        return "upsert", held.records[0].position
    assert held.tombstone is not None
    return "delete", held.tombstone
