"""
Kill a whole PKG at every call that changes one of its files, at random, and let calls fail; print what was left.

    python -m bench.durability.whole --progress faults.jsonl                   # every call, over both indexes: hours
    python -m bench.durability.whole --progress faults.jsonl --index chroma --kills 500
    python -m bench.durability.whole --progress faults.jsonl --kills 0 --random 500 --failing 1000
    python -m bench.durability.whole --progress faults.jsonl --show            # the table of docs/durability.md

Each outcome is a line of the progress file; what is in there already is not done again. Any number of them may run at
the same time, with a file each. What breaks a promise is told, its PKG kept in --kept, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import errno
import json
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.placed.placing import BrokenPromiseError, Outcome, Place, Whole
from tests.faults.placed.working import INDEXES
from tests.faults.placed.workloads import WORKLOADS
from tests.faults.preload import KILLS, Call, Kind, Nursery, built

from bench.durability.tables import show
from slipstream.bench.machine import machine_facts

FOR_EVER = 1_000_000
SPANS = (1, 3, 20, FOR_EVER)
"""How many calls fail; the last one until the worker has seen three errors."""
FAILING = {
    "no room": (Kind.FAIL, Call.WRITE | Call.TRUNCATE, errno.ENOSPC),
    "writes fail": (Kind.FAIL, Call.WRITE, errno.EIO),
    "writes are short": (Kind.SHORT, Call.WRITE, errno.ENOSPC),
    "syncs fail": (Kind.FAIL, Call.SYNC, errno.EIO),
    "truncations, removals and renamings fail": (Kind.FAIL, Call.TRUNCATE | Call.UNLINK | Call.RENAME, errno.EIO),
}


class Attempt(NamedTuple):
    """One fault to be tried: its name in the progress file, what is told of it, and how it is done."""

    name: str
    facts: dict[str, Any]
    do: Callable[[], Outcome]


def main() -> int:
    """Do what was asked for and is not done yet."""
    asked = _asked()
    progress = Path(asked.progress)
    done = _done(progress)
    if asked.show:
        show(done.values())
        return 0
    print(f"machine: {dict(machine_facts(Path(tempfile.gettempdir())))}, SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory(dir=asked.directory) as name:
        nursery = Nursery(built(Path(name)), "tests.faults.placed.jobs")
        try:
            whole = Whole(nursery, Path(name))
            attempts = [*_attempts(whole, asked)]
            random.Random(asked.seed).shuffle(attempts)
            broken = _run(
                [each for each in attempts if each.name not in done], progress, Path(name), Path(asked.kept)
            )
        finally:
            nursery.close()
    show(_done(progress).values())
    return 1 if broken else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--progress", required=True, help="the file of outcomes, one a line")
    parser.add_argument("--index", choices=INDEXES, action="append", help="one of the indexes; both without it")
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="one of the workloads; all without it")
    parser.add_argument("--kills", type=int, help="kills at chosen calls of each workload; one at every call without")
    parser.add_argument("--turn", type=int, default=0, help="0, 1 or 2: another kind of kill at each call")
    parser.add_argument("--random", type=int, default=0, help="kills at no chosen call")
    parser.add_argument("--failing", type=int, default=0, help="runs in which calls fail")
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--directory", help="where the PKGs are made; a file system in memory is quick")
    parser.add_argument("--kept", default="kept", help="where PKGs are kept that broke a promise")
    parser.add_argument("--show", action="store_true", help="only print the table")
    return parser.parse_args()


def _attempts(whole: Whole, asked: argparse.Namespace) -> Iterator[Attempt]:
    for index in asked.index or INDEXES:
        for workload in asked.workload or WORKLOADS:
            places = whole.places(index, workload)
            print(f"{index} {workload}: {len(places)} calls", flush=True)
            chance = random.Random(f"{asked.seed} {index} {workload}")
            count = len(places) if asked.kills is None else min(asked.kills, len(places))
            yield from (_kill(whole, place, asked.turn) for place in chance.sample(places, count))
            shares = len(asked.index or INDEXES) * len(asked.workload or WORKLOADS)
            for number in range(asked.random // shares):
                yield _random(whole, index, workload, number, asked.seed)
            for number in range(asked.failing // shares):
                yield _failing(whole, places, number, asked.seed)


def _kill(whole: Whole, place: Place, turn: int) -> Attempt:
    kind = KILLS[(place.number + turn) % len(KILLS)]
    name = f"kill {place.index} {place.workload} {place.number} {kind.name}"
    return Attempt(name, _facts("kill", place, kind.name), lambda: whole.kill_at(place, kind))


def _random(whole: Whole, index: str, workload: str, number: int, seed: int) -> Attempt:
    name = f"random {index} {workload} {seed} {number}"
    chance = random.Random(name)
    behind, spin = chance.randint(0, 20), chance.randint(0, 2_000_000)
    facts = {"what": "random", "index": index, "workload": workload, "kind": "KILL"}
    return Attempt(name, facts, lambda: whole.kill_behind(index, workload, behind, spin))


def _failing(whole: Whole, places: list[Place], number: int, seed: int) -> Attempt:
    place = places[0]
    name = f"fail {place.index} {place.workload} {seed} {number}"
    chance = random.Random(name)
    fault, span = chance.choice([*FAILING]), chance.choice(SPANS)
    kind, calls, error = FAILING[fault]
    counted = sum(Call[each.call.split(" ")[0]] in calls for each in places)
    place = replace(place, number=chance.randint(1, counted), call=fault)
    facts = _facts("fail", place, fault) | {"span": span}
    return Attempt(name, facts, lambda: whole.fail_from(place, span, kind, calls, error))


def _facts(what: str, place: Place, kind: str) -> dict[str, Any]:
    return {"what": what, "index": place.index, "workload": place.workload, "number": place.number, "kind": kind}


def _run(attempts: list[Attempt], progress: Path, directory: Path, kept: Path) -> int:
    broken = 0
    with progress.open("a") as file:
        for number, attempt in enumerate(attempts, 1):
            line = {"name": attempt.name, **attempt.facts}
            try:
                outcome = attempt.do()
                line |= {"calls": outcome.calls[:1], "count": len(outcome.calls), "is_killed": outcome.is_killed}
                line |= {"errors": outcome.errors, "step": outcome.step}
                line |= {"reopened": outcome.reopened, "is_hung": outcome.is_hung}
            except BrokenPromiseError as error:
                broken += 1
                line |= {"broken": str(error)}
                print(f"BROKEN: {attempt.name}\n{error}", file=sys.stderr, flush=True)
                shutil.copytree(directory / "kept", kept / attempt.name.replace(" ", "-"), dirs_exist_ok=True)
            file.write(json.dumps(line) + "\n")
            file.flush()
            if number % 50 == 0:
                print(f"{number} of {len(attempts)}, {broken} broken", file=sys.stderr, flush=True)
    return broken


def _done(progress: Path) -> dict[str, dict[str, Any]]:
    """Return the outcomes so far by their names; one that broke a promise is tried again."""
    if not progress.exists():
        return {}
    lines = (json.loads(line) for line in progress.read_text().splitlines() if line.endswith("}"))
    return {line["name"]: line for line in lines if "broken" not in line}


if __name__ == "__main__":
    sys.exit(main())
