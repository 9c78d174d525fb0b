"""
One measurement of one version of Slipstream, in a process of its own: `python child.py TASK DIRECTORY DUMP`.

The present Python of either version runs this very file, so it uses only what both have. The last line on standard
output is JSON: `figures`, numbers by name, and `samples_ms`, lists of durations by name.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import slipstream

# Loaded before any clock runs: what is timed is opening, not importing. The older version has it elsewhere.
importlib.import_module("slipstream.app.composition" if find_spec("slipstream.app") else "slipstream.bootstrap")

COMMIT_SIZE = 1_000
COMMITS = 500
CHANGES = 200
CHANGES_PER_S = 20
_PATIENCE_S = 600.0

Found = dict[str, Any]


def main() -> None:
    """Run the task that the arguments name."""
    task, directory, dump = sys.argv[1:]
    _say(_TASKS[task](Path(directory), Path(dump)))


def load(directory: Path, dump: Path) -> Found:
    """Write the graph by typed transactions of a thousand, the engine stopped."""
    nodes = list(_rows(dump, "node"))
    relationships = list(_rows(dump, "relationship"))
    with slipstream.open(directory, run=False) as slip:
        with _timed() as node_s, _timed(time.process_time) as node_cpu_s:
            for page in _pages(nodes):
                with slip.pkg.transaction() as tx:
                    for row in page:
                        tx.create_entity(row["labels"][0], row["id"], row["properties"])
        with _timed() as relationship_s, _timed(time.process_time) as relationship_cpu_s:
            for page in _pages(relationships):
                with slip.pkg.transaction() as tx:
                    for row in page:
                        tx.relate(row["start"]["id"], row["label"], row["end"]["id"])
        held = sum(slip.pkg.counts().values())
    if held != len(nodes) + len(relationships):
        raise RuntimeError(f"the graph holds {held} of {len(nodes)} nodes and {len(relationships)} relationships")
    figures = {
        "nodes_per_s": len(nodes) / node_s(),
        "nodes_per_cpu_s": len(nodes) / node_cpu_s(),
        "relationships_per_s": len(relationships) / relationship_s(),
        "relationships_per_cpu_s": len(relationships) / relationship_cpu_s(),
    }
    return {"figures": figures}


def commit(directory: Path, dump: Path) -> Found:
    """Update entities of the loaded graph and create new ones, each in a commit of its own, the engine stopped."""
    ids = _ids(dump)
    with slipstream.open(directory, run=False) as slip:
        slip.pkg.update_entity(ids[0], {"note": "warm"})  # adds the property to the schema, too
        updates, creations = [], []
        for number in range(COMMITS):
            with _timed() as update_s:
                slip.pkg.update_entity(random.choice(ids), {"note": f"changed {number}"})
            with _timed() as create_s:
                slip.pkg.create_entity("Noun", f"new-{number}", {"name": f"new {number}"})
            updates.append(update_s() * 1_000)
            creations.append(create_s() * 1_000)
    return {"samples_ms": {"update_ms": updates, "create_ms": creations}}


def open_(directory: Path, dump: Path) -> Found:
    """Open a PKG that is in step, ask it something, and open it once more, without what only a first time costs."""
    del dump
    with _timed() as first_s, slipstream.open(directory) as slip:
        open_s = first_s()
        slip.search("a large animal that lives in water", k=3, mode="vector")
        answered_s = first_s()
    with _timed() as again_s, slipstream.open(directory):
        open_again_s = again_s()
    return {"figures": {"open_s": open_s, "open_and_search_s": answered_s, "open_again_s": open_again_s}}


def verify(directory: Path, dump: Path) -> Found:
    """Audit graph and index in full, in a process that has them open."""
    del dump
    with slipstream.open(directory) as slip:
        slip.sync.drain()
        with _timed() as verify_s:
            report = slip.verify()
    if not report.is_consistent:
        raise RuntimeError(f"graph and index differ: {report.counts()}")
    return {"figures": {"verify_s": verify_s()}}


def freshness(directory: Path, dump: Path) -> Found:
    """
    Change entities at a steady pace; measure from before each commit until it is searchable.

    In turns by waiting for the position, and by a search that has to reflect it and to find what was written. The
    engine is this process's own, or that of `own` beside it: a program does the same either way.
    """
    ids = _ids(dump)
    waited: list[float] = []
    answered: list[float] = []
    with slipstream.open(directory) as slip:
        slip.sync.wait(slip.pkg.update_entity(ids[0], {"description": "warm"}), timeout_s=_PATIENCE_S)
        slip.search("warm", k=1, mode="vector")
        began_s = time.perf_counter()
        for number in range(2 * CHANGES):
            time.sleep(max(0.0, began_s + (number + random.random()) / CHANGES_PER_S - time.perf_counter()))
            entity_id, text = random.choice(ids), _text()
            started_s = time.perf_counter()
            position = slip.pkg.update_entity(entity_id, {"name": text, "description": text})
            if number % 2:
                hits = slip.search(f"{text}: {text}", k=10, after=position, timeout_s=_PATIENCE_S, mode="vector")
                answered.append(_since_ms(started_s))
                if entity_id not in {hit.entity_id for hit in hits}:
                    raise RuntimeError(f"a search after the commit did not find what it wrote: {text}")
            else:
                if not slip.sync.wait(position, timeout_s=_PATIENCE_S):
                    raise RuntimeError(f"position {position} was not reached")
                waited.append(_since_ms(started_s))
        embedded = slip.embedding.stats.requests  # 0 where another process's engine did it: queries do not count
    return {"samples_ms": {"waited_ms": waited, "answered_ms": answered}, "embedded": embedded}


def own(directory: Path, dump: Path) -> Found:
    """Run the engine for other processes, until standard input ends."""
    del dump
    with slipstream.open(directory) as slip:
        slip.sync.drain()
        _say({"ready": {}})
        sys.stdin.read()
    return {}


def beside(directory: Path, dump: Path) -> Found:
    """
    Commit one entity after the other until standard input ends, while another process imports.

    What counts is measured between the first and the last of those commits that found foreign ones before them.
    """
    del dump
    ending = threading.Thread(target=sys.stdin.read, daemon=True)
    samples: list[tuple[int, float]] = []
    with slipstream.open(directory, run=False) as slip:
        slip.pkg.create_entity("Noun", "beside", {"name": "beside", "note": "0"})
        own_step = slip.pkg.update_entity("beside", {"note": "1"}) - slip.pkg.update_entity("beside", {"note": "2"})
        _say({"ready": {}})
        ending.start()
        while ending.is_alive():
            time.sleep(0.005)
            started_s = time.perf_counter()
            position = slip.pkg.update_entity("beside", {"note": f"changed {len(samples)}"})
            samples.append((position, _since_ms(started_s)))
    steps = pairwise(samples)
    foreign = [number for number, (one, next_one) in enumerate(steps, 1) if next_one[0] - one[0] > abs(own_step)]
    if not foreign:
        raise RuntimeError("no other process wrote meanwhile")
    return {"samples_ms": {"beside_import_ms": [took_ms for _, took_ms in samples[foreign[0] : foreign[-1] + 1]]}}


def _rows(dump: Path, kind: str) -> Iterator[dict[str, Any]]:
    with dump.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["type"] == kind:
                row.get("properties", {}).pop("id", None)
                yield row


def _ids(dump: Path) -> list[str]:
    return [row["id"] for row in _rows(dump, "node")]


def _pages(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(rows)
    while page := list(islice(iterator, COMMIT_SIZE)):
        yield page


def _text() -> str:
    """Return a text that no other entity has: the search for it must find this one."""
    return " ".join("".join(random.choices("abcdefghijklmnoprstuvw", k=6)) for _ in range(6))


@contextmanager
def _timed(now_s: Callable[[], float] = time.perf_counter) -> Iterator[Callable[[], float]]:
    """Give a clock that shows the seconds since the block began, and stands still once it has ended."""
    started_s = now_s()
    ended_s: list[float] = []
    yield lambda: (ended_s[0] if ended_s else now_s()) - started_s
    ended_s.append(now_s())


def _since_ms(started_s: float) -> float:
    return (time.perf_counter() - started_s) * 1_000


def _say(fact: object) -> None:
    print(json.dumps(fact), flush=True)


_TASKS: dict[str, Callable[[Path, Path], Found]] = {
    "load": load,
    "commit": commit,
    "open": open_,
    "verify": verify,
    "freshness": freshness,
    "own": own,
    "beside": beside,
}

if __name__ == "__main__":
    main()
