"""
The kill harness: a writing process is ended with `kill -9`, again and again, and what it leaves is checked.

`killed_worker` is for any function that acknowledges its writes line by line. `IndexKillSuite` is for a
`VectorIndex`: an adapter's test file subclasses it, and names the function that opens the index.
"""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, KeyStamps, VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.testkit.records import SPACE, make_record, unit_vector
from slipstream.testkit.suites.index_support import ANYTHING, assert_holds, assert_search

_BATCH, _KEYS = 90, 700
_START = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv.pop(1)); from {module} import {name}; {name}(*sys.argv[1:])"
)

Held: TypeAlias = "dict[RecordKey, VectorRecord | Position]"
"""What an index must hold of each key: a record, or the position of its tombstone."""


def killed_worker(
    function: Callable[..., object],
    arguments: Sequence[str],
    rng: random.Random,
    *,
    acknowledgements: tuple[int, int] = (8, 40),
    spin_max: int = 2_000_000,
) -> list[str]:
    """
    Run a function in a process of its own, and kill it after some lines of its output; returns all lines.

    The function must print and flush a line whenever something is durable. The kill comes after a random number of
    these lines, at a random moment of the next call.
    """
    start = _START.format(module=function.__module__, name=function.__name__)
    command = [sys.executable, "-c", start, json.dumps(sys.path), *arguments]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    told: list[str] = []
    try:
        told.extend(worker.stdout.readline().strip() for _ in range(rng.randint(*acknowledgements)))
        for _ in range(rng.randint(0, spin_max)):
            pass  # a loop, not a clock, delays the kill
    finally:
        worker.kill()
        rest, _ = worker.communicate()
    whole = [*told, *rest.split("\n")[:-1]]  # an incomplete last line is not an acknowledgement
    assert whole and all(whole), f"the worker ended by itself behind {whole[-5:]}; what it says of it is above"
    return whole


def write_for_ever(opener: str, folder: str, number: str) -> None:
    """Go on after a batch until killed, with two lines for each batch: after the upsert and after the deletion."""
    index, batch = _opened(opener, Path(folder)), int(number)
    while True:
        batch += 1
        for step in (f"upsert {batch}", f"delete {batch}"):
            _make(index, step)
            sys.stdout.write(f"{step}\n")  # the acknowledgement
            sys.stdout.flush()


class IndexKillSuite:
    """Nothing that a `VectorIndex` acknowledged is lost, doubled or resurrected, whenever its process is killed."""

    opener = ""
    """`module:function` that opens the index in a folder; a separate process imports it."""
    kills = 5

    def test_killed_at_random_moments(self, tmp_path: Path) -> None:
        """Kill, reopen, compare each key with before and after the step in flight, make that step, and go on."""
        rng = random.Random(20260103)
        expected: Held = {}
        number = 0
        for _ in range(self.kills):
            told = killed_worker(write_for_ever, [self.opener, str(tmp_path), str(number)], rng)
            for step in told:
                _apply(expected, step)
            number = self._look(tmp_path, expected, told[-1])
        assert number > 3 * self.kills

    def _look(self, folder: Path, expected: Held, last: str) -> int:
        """Check what a worker left after its last acknowledgement, complete its batch, and return the number."""
        after = dict(expected)
        steps = _behind(last)
        _apply(after, steps[0])
        index = _opened(self.opener, folder)
        try:
            found = index.stamps(list(after))
            for key in after:
                states = [_as_stamps(side.get(key)) for side in (expected, after)]
                assert found.get(key, KeyStamps()) in states, f"{key} behind {last}: {found.get(key)}, not {states}"
            for step in steps:
                _make(index, step)
                _apply(expected, step)
            records = [held for held in expected.values() if isinstance(held, VectorRecord)]
            assert_holds(index, records)
            assert_search(index, unit_vector("query", SPACE.dimension), 10, ANYTHING, records)
            return int(steps[-1].split()[1])
        finally:
            index.close()


def _opened(opener: str, folder: Path) -> VectorIndex:
    module, _, name = opener.partition(":")
    index = getattr(importlib.import_module(module), name)(folder)
    assert isinstance(index, VectorIndex), f"{opener} returned {index!r}, which is no VectorIndex"
    return index


def _identities(number: int) -> list[str]:
    """Return the ids in a batch; batches overlap and wrap around, so that deleted keys come again."""
    return [f"n{(number * _BATCH + i) % _KEYS:04}" for i in range(_BATCH)]


def _upserts(number: int) -> list[VectorRecord]:
    return [make_record(identity, number) for identity in _identities(number)]


def _deletions(number: int) -> list[Deletion]:
    """Return what a batch deletes after its upserts: some of its own keys, some of the batch before."""
    identities = [*_identities(number)[::9], *_identities(number - 1)[1::9]]
    return [Deletion(entity_key(identity), Position(number)) for identity in identities]


def _make(index: VectorIndex, step: str) -> None:
    kind, number = step.split()
    fenced = index.upsert(_upserts(int(number))) if kind == "upsert" else index.delete(_deletions(int(number)))
    assert list(fenced) == [], f"{step} fenced off {fenced}"


def _apply(held: Held, step: str) -> None:
    kind, number = step.split()
    if kind == "upsert":
        held.update((record.stamp.key, record) for record in _upserts(int(number)))
    else:
        held.update((deletion.key, deletion.position) for deletion in _deletions(int(number)))


def _behind(step: str) -> list[str]:
    """Return the step in flight after an acknowledged one, and the rest of its batch."""
    kind, number = step.split()
    behind = int(number) + (kind == "delete")
    return [f"delete {behind}"] if kind == "upsert" else [f"upsert {behind}", f"delete {behind}"]


def _as_stamps(held: VectorRecord | Position | None) -> KeyStamps:
    if held is None:
        return KeyStamps()
    return KeyStamps((held.stamp,)) if isinstance(held, VectorRecord) else KeyStamps((), held)
