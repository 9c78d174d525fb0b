"""
Kill a graph's writer before, amid and after every call that changes a file, and at random; print what was left.

    python -m bench.durability                        # every call, a kind of kill each in turn: about ten minutes
    python -m bench.durability --placed 200 --random 300
    python -m bench.durability --foreign 42000        # statements of a program that knows nothing of Slipstream

Ends with exit code 1 at the first commit that is lost or half there. Needs gcc.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.faults.graph.placing import Bench, Place
from tests.faults.preload import KILLS, Kind, Nursery, built
from tests.property.foreign_writers import in_memory, run

from slipstream.bench.machine import machine_facts

PLACED = ("single", "checkpoint", "trim", "migrate", "large")
LARGE_MAX = 120
"""A commit of 10 MB makes thousands of calls that are alike."""
RANDOM = ("single", "checkpoint", "trim", "large")
TRANSACTIONS = 40

Outcomes = Counter[tuple[str, str, str]]
"""How often a kind of kill, at a place of a scenario, left everything right."""


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--placed", type=int, help="kills at chosen calls; without it, one at every call")
    parser.add_argument("--random", type=int, default=300, help="kills at no chosen call")
    parser.add_argument("--foreign", type=int, default=0, help="statements of foreign writers")
    parser.add_argument("--seed", type=int, default=20261129)
    asked = parser.parse_args()
    print(f"machine: {dict(machine_facts(Path(tempfile.gettempdir())))}, SQLite {sqlite3.sqlite_version}")
    if asked.foreign:
        write_as_others_do(asked.foreign, asked.seed)
    with tempfile.TemporaryDirectory() as name:
        nursery = Nursery(built(Path(name)))
        try:
            bench = Bench(nursery, Path(name))
            placed = kill_at_calls(bench, asked.placed, random.Random(asked.seed))
            at_random = kill_at_random(bench, asked.random, random.Random(asked.seed + 1))
        finally:
            nursery.close()
    show(placed, at_random)
    return 0


def kill_at_calls(bench: Bench, count: int | None, chance: random.Random) -> Outcomes:
    """Kill at calls of every scenario; each kind of kill in turn."""
    outcomes: Outcomes = Counter()
    for scenario in PLACED:
        places = bench.places(scenario)
        share = len(places) if count is None else max(1, count // len(PLACED))
        for number, place in enumerate(
            chosen(places, min(share, LARGE_MAX if scenario == "large" else share), chance)
        ):
            kind = KILLS[(number + number // len(KILLS)) % len(KILLS)]
            try:
                was_killed = bench.kill_at(place, kind, with_engine=number % 10 == 0)
            except BaseException:
                print(f"{kind.name} at {place}", file=sys.stderr)
                raise
            outcomes[scenario, place.name, kind.name] += was_killed
            progress(sum(outcomes.values()), scenario)
    return outcomes


def chosen(places: list[Place], count: int, chance: random.Random) -> list[Place]:
    """Return so many places, in order, each name among them."""
    if count >= len(places):
        return places
    names = {place.name: place for place in places}.values()
    return sorted({*names, *chance.sample(places, count)}, key=lambda place: place.number)[:count]


def kill_at_random(bench: Bench, count: int, chance: random.Random) -> Outcomes:
    """Kill anywhere."""
    outcomes: Outcomes = Counter()
    for number in range(count):
        scenario = RANDOM[number % len(RANDOM)]
        behind = chance.randint(0, 1 if scenario == "large" else 20)
        spin = chance.randint(0, 3_000_000 if scenario == "large" else 300_000)
        bench.kill_behind(scenario, behind, spin, with_engine=number % 10 == 0)
        outcomes[scenario, "anywhere", "KILL"] += 1
        progress(sum(outcomes.values()), f"{scenario}, at random")
    return outcomes


def write_as_others_do(statements: int, seed: int) -> None:
    """Run foreign writers until there were so many statements."""
    made = sequences = 0
    while made < statements:
        with closing(in_memory()) as connection:
            made += sum(run(connection, seed + sequences, TRANSACTIONS))
        sequences += 1
    print(f"foreign writers: {made} statements in {sequences} sequences, 0 differences, 0 loose ends, 0 gaps")


def progress(done: int, what: str) -> None:
    """Say now and then how far it is."""
    if done % 50 == 0:
        print(f"{done} {what}", file=sys.stderr, flush=True)


def show(placed: Outcomes, at_random: Outcomes) -> None:
    """Print the table of docs/durability.md."""
    kinds = [kind.name for kind in KILLS]
    counts = f"placed kills: {sum(placed.values())}, at random: {sum(at_random.values())}"
    print(f"\n{counts}; nothing lost, nothing half there")
    print("\n| scenario | call | " + " | ".join(name_of(kind) for kind in KILLS) + " |\n|---|---|--:|--:|--:|")
    for scenario, call in dict.fromkeys((scenario, call) for scenario, call, _ in placed):
        figures = " | ".join(str(placed[scenario, call, kind]) for kind in kinds)
        print(f"| {scenario} | `{call}` | {figures} |")
    for (scenario, _, _), count in at_random.items():
        print(f"| {scenario} | anywhere, at random | | {count} | |")


def name_of(kind: Kind) -> str:
    """Return a kind of kill in words."""
    return kind.name.removeprefix("KILL_").lower().replace("torn", "half of it")


if __name__ == "__main__":
    sys.exit(main())
