"""
One of eight processes on one PKG: does its work over and over, and says a line for whatever was acknowledged.

    python -m tests.faults.eight_worker DIRECTORY ROLE NAME FIRST COUNT

Ends behind COUNT steps, or when its standard input ends. `put` and `relate` tell what must be there at the end,
`gone` what must not; `try` comes before a step that may be in the middle when the process is killed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from slipstream.app.composition import DATA_FOLDER, Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import NotFoundError
from slipstream.testkit.embedders import HashEmbedder

LONG_S = 120.0
_RESTING_S = 0.002
"""Between two steps, as a program that does something else as well."""
_KEPT = 20
"""How many entities a writer has at a time, more or less."""
Step = Callable[[int], None]


def opened(directory: Path, *, run: bool = True) -> Slipstream:
    """Open the PKG with a model that costs next to nothing."""
    return open_pkg(directory, config=Config(), run=run, options=Options(embedders=(HashEmbedder(dimension=16),)))


def say(word: str, **facts: object) -> None:
    """Tell the harness, in one write: a line is there or not."""
    os.write(1, f"{word} {json.dumps(facts)}\n".encode())


def owner_in(directory: Path) -> int:
    """Return the process that runs the engine, as its lock file says; 0 when there is none."""
    try:
        return int((directory / DATA_FOLDER / "engine.lock").read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0


def entities(slip: Slipstream, name: str) -> Step:
    """Write entities of one's own: new ones, changed ones, and every third one is deleted again."""

    first: list[int] = []

    def step(number: int) -> None:
        first.append(number)
        repeated = (NotFoundError,) if len(first) == 1 else ()
        identity = f"{name}-{number}"
        began_s = time.perf_counter()
        if number % 3 == 2 and number > _KEPT:
            gone = f"{name}-{number - _KEPT}"
            say("try", id=gone)
            # Only the first step may be one behind whose commit the process before was killed.
            with slip.pkg.transaction() as tx, suppress(*repeated):
                tx.delete_entity(gone)
            position = tx.position
            say("gone", id=gone, position=position, s=time.perf_counter() - began_s)
            return
        with slip.pkg.transaction() as tx:
            tx.upsert_entity("Person", identity, {"name": f"{name} number {number}", "n": number})
            tx.upsert_entity("Counter", f"{name}-counter", {"name": f"counter of {name}", "n": number})
        acknowledged_s = time.perf_counter() - began_s
        say("put", id=identity, n=number, position=tx.position, s=acknowledged_s)
        say("put", id=f"{name}-counter", n=number, position=tx.position)

    return step


def relationships(slip: Slipstream, name: str) -> Step:
    """Write pairs of entities and what is between them."""

    def step(number: int) -> None:
        source, target = f"{name}-{number}-a", f"{name}-{number}-b"
        began_s = time.perf_counter()
        with slip.pkg.transaction() as tx:
            tx.upsert_entity("Person", source, {"name": f"{name} {number} a"})
            tx.upsert_entity("Person", target, {"name": f"{name} {number} b"})
            tx.relate(source, "KNOWS", target, replace=True)
        say("relate", source=source, target=target, position=tx.position, s=time.perf_counter() - began_s)

    return step


def searches(slip: Slipstream, name: str, directory: Path) -> Step:
    """Write a text that nobody else writes, and ask for it as of that very commit."""

    def step(number: int) -> None:
        identity, text = f"{name}-{number % _KEPT}", f"{name} question {number}"
        began_s = time.perf_counter()
        position = slip.pkg.upsert_entity("Question", identity, {"name": text})
        committed_s = time.perf_counter()
        say("put", id=identity, position=position, s=committed_s - began_s)
        is_elsewhere = owner_in(directory) != os.getpid()
        found = slip.search(text, 1, mode="vector", after=position, entity_type="Question", timeout_s=LONG_S)
        held = [hit.entity_id for hit in found.hits] == [identity] and found.frontier >= position
        text_found = found.hits[0].text if found.hits else None
        facts = {"held": held and text_found == text, "s": time.perf_counter() - committed_s}
        say("searched", **facts, elsewhere=is_elsewhere, asked=text, answered=text_found)

    return step


def foreign(directory: Path, name: str) -> Step:
    """Write with `sqlite3` alone, as docs/graph.md tells."""
    put = (
        "INSERT INTO entity(id, type, properties) VALUES (?, 'Foreigner', json_object('name', ?, 'n', ?)) "
        "ON CONFLICT(id) DO UPDATE SET properties = excluded.properties"
    )

    def step(number: int) -> None:
        identity = f"{name}-{number % _KEPT}"
        began_s = time.perf_counter()
        with closing(sqlite3.connect(directory / DATA_FOLDER / "graph.db", timeout=LONG_S)) as graph, graph:
            graph.execute("PRAGMA foreign_keys = ON")
            graph.execute(put, (identity, f"{name} number {number}", number))
        say("put", id=identity, n=number, s=time.perf_counter() - began_s)

    return step


def main() -> None:
    """Work until it is enough."""
    directory, role, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    first, count = int(sys.argv[4]), int(sys.argv[5])
    ending = threading.Event()
    threading.Thread(target=wait_for_the_end, args=(ending,), daemon=True).start()
    if role == "foreign":
        say("ready")
        repeat(foreign(directory, name), first, count, ending)
    else:
        with opened(directory) as slip:
            say("ready")
            steps = {"entities": entities, "relationships": relationships}
            if role == "engine":
                ending.wait()
            elif role == "searches":
                repeat(searches(slip, name, directory), first, count, ending)
            else:
                repeat(steps[role](slip, name), first, count, ending)
    say("done")


def wait_for_the_end(ending: threading.Event) -> None:
    """End with the standard input."""
    sys.stdin.read()
    ending.set()


def repeat(step: Step, first: int, count: int, ending: threading.Event) -> None:
    """Do it so many times, or until it is to end."""
    for number in range(first, count):
        if ending.wait(_RESTING_S):
            return
        step(number)


if __name__ == "__main__":
    main()
