"""
Eight processes on one PKG for a while, one killed every second or so; then the proof that all of it was right.

    python -m bench.processes --minutes 5
    python -m bench.processes --latency     # only: commit -> searchable, in one process and from another

Prints commits a second by kind of writer, commit -> answered in another process, and how long take-overs took. Ends
with an error at the first acknowledged write that is lost, answer without its commit, or divergence.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.eight import Soak

from bench.processes.latency import measured, percentile
from slipstream.bench.machine import machine_facts

ENDLESS = 10**9


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--latency", action="store_true", help="only measure commit -> searchable")
    asked = parser.parse_args()
    facts = dict(machine_facts(Path(tempfile.gettempdir())))
    print(f"machine: {facts}, SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        if asked.latency:
            show_latency(measured(Path(name) / "pkg", rounds=3, commits=200))
        else:
            soak(Path(name) / "pkg", asked.minutes * 60, asked.seed)


def soak(directory: Path, seconds: float, seed: int) -> None:
    """Let the eight work, and kill."""
    run, chance = Soak(directory, ENDLESS, seed), random.Random(seed)
    began_s = time.monotonic()
    try:
        while time.monotonic() - began_s < seconds:
            time.sleep(chance.uniform(0.2, 1.8))
            run.kill_one()
        worked_s = time.monotonic() - began_s
        run.end()
    finally:
        run.close()
    run.prove()
    told = run.told
    print(f"{worked_s:.0f} s, {run.kills} kills, {len(told.searched):,} answers, each held its commit; verify 1.0")
    print("\n| | a second | p50 ms | p95 ms | p99 ms | most |\n|---|--:|--:|--:|--:|--:|")
    for kind, taken_s in told.commits.items():
        print(row(f"commits: {kind}", [s * 1000 for s in taken_s], worked_s))
    elsewhere = [facts["s"] * 1000 for facts in told.searched if facts["elsewhere"]]
    here = [facts["s"] * 1000 for facts in told.searched if not facts["elsewhere"]]
    print(row("commit -> answered, engine in another process", elsewhere, worked_s))
    print(row("commit -> answered, engine in the same process", here, worked_s))
    print(row("kill -9 -> the lease is another process's", [s * 1000 for s in run.takeovers_s], worked_s))
    print(f"\nload at the end: {os.getloadavg()[0]:.1f}")


def row(name: str, values_ms: Sequence[float], seconds: float) -> str:
    """Return a row of the table."""
    if not values_ms:
        return f"| {name} | 0 | | | | |"
    figures = " | ".join(f"{percentile(values_ms, share):.1f}" for share in (0.5, 0.95, 0.99, 1.0))
    return f"| {name} | {len(values_ms) / seconds:.1f} | {figures} |"


def show_latency(found: dict[str, list[float]]) -> None:
    """Print both sides, and the ratio."""
    print("\n| from before the commit | own p50 | other p50 | own p95 | other p95 | p95 ratio |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in ("commit", "searchable", "answered"):
        own, other = found[f"own_{name}_ms"], found[f"other_{name}_ms"]
        figures = [percentile(side, share) for share in (0.5, 0.95) for side in (own, other)]
        shown = " | ".join(f"{figure:.1f}" for figure in figures)
        print(f"| {name}, ms | {shown} | {figures[3] / figures[2]:.2f} |")
    print(f"\nload at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
