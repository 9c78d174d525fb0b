"""
The present checkout beside the last version with ladybug, on WordNet, in one run: `python -m bench.wordnet`.

    uv run --locked python -m bench.wordnet            # the first 20,000 synsets, three rounds
    uv run --locked python -m bench.wordnet --whole    # all 117,659, one round

It needs git, uv, apt-get and dpkg-deb, and their network. Everything is made in a temporary folder (put TMPDIR on the
disk you care about) and removed, unless `--cache` names a folder for what can be used again: the package, and the old
version, built.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import Dump, fetch, write_dump
from bench.wordnet.rounds import Results, measure
from bench.wordnet.sides import OLD_COMMIT, Side, built, present
from bench.wordnet.targets import verdicts
from slipstream.bench.machine import load_average

FIRST = 20_000
_COLUMNS = "{:<40} {:>12} {:>12} {:>9}  {:<18} {}"


def main() -> None:
    """Measure as the arguments say, print the table and write the figures."""
    options = _options()
    with interruptible("slipstream-wordnet-") as folder:
        found = _measured(options, folder)
        _show(found)
        kind = f"wordnet-{found['entities']}"
        say(f"written: {write_result(kind, found, folder, path=options.output)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.wordnet", description="Two versions on WordNet.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--synsets", type=int, default=FIRST, help="how many, from the first (default %(default)s)")
    size.add_argument("--whole", action="store_true", help="all of WordNet")
    parser.add_argument("--rounds", type=int, help="how often all is measured (default 3; 1 with --whole)")
    parser.add_argument("--sides", choices=("both", "old", "new"), default="both")
    parser.add_argument("--cache", type=Path, help="a folder that keeps WordNet and the old version, built")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    cache = options.cache.resolve() if options.cache else folder
    load_before, began_s = load_average(), time.monotonic()
    say("WordNet")
    dump = write_dump(fetch(cache / "wordnet"), folder / "wordnet.jsonl", None if options.whole else options.synsets)
    with ExitStack() as stack:
        sides = []
        if options.sides != "new":
            say(f"building {OLD_COMMIT}")
            sides.append(stack.enter_context(built(OLD_COMMIT, cache, keep=options.cache is not None)))
        if options.sides != "old":
            sides.append(present())
        rounds = options.rounds or (1 if options.whole else 3)
        results = measure(sides, dump, folder / "runs", rounds, say)
    run = {"rounds": rounds, "duration_s": round(time.monotonic() - began_s), "load_before": load_before}
    return _report(sides, dump, results, run)


def _report(
    sides: Sequence[Side], dump: Dump, results: Mapping[str, Results], run: Mapping[str, Any]
) -> dict[str, Any]:
    figures = {name: result.figures() for name, result in results.items()}
    return {
        "entities": dump.entities,
        "relationships": dump.relationships,
        "run": run,
        "versions": {side.name: side.version for side in sides},
        "targets": verdicts(figures.get("old", {}), figures.get("new", {})),
        "figures": figures,
        "rounds": {name: result.numbers for name, result in results.items()},
        "samples": {
            name: {sample: len(values) for sample, values in result.samples.items()}
            for name, result in results.items()
        },
        "files_mb": {name: result.files_mb for name, result in results.items()},
        "failures": {name: result.failures for name, result in results.items()},
    }


def _show(found: Mapping[str, Any]) -> None:
    print(f"{found['entities']:,} entities, {found['relationships']:,} relationships: {found['versions']}")
    print(_COLUMNS.format("", "old", "new", "ratio", "target", "met"))
    for row in found["targets"]:
        ratio = _number(row["value"]) if row["old"] is not None and row["new"] is not None else ""
        met = {True: "yes", False: "MISSED", None: "" if not row["target"] else "not measured"}[row["met"]]
        old, new = (_number(row[side], row["unit"]) for side in ("old", "new"))
        print(_COLUMNS.format(row["label"], old, new, ratio, row["target"], met).rstrip())
    for name, files_mb in found["files_mb"].items():
        print(f"files, MB, {name}: {', '.join(f'{file} {size_mb}' for file, size_mb in files_mb.items())}")
    for name, failures in found["failures"].items():
        for failure in failures:
            print(f"failed, {name}: {failure}")
    run = found["run"]
    print(f"load {run['load_before']} when it began, {run['rounds']} rounds in {run['duration_s']} s")


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    decimals = 0 if value >= 1_000 else 1 if value >= 100 else 2 if value >= 1 else 3
    return f"{value:,.{decimals}f} {unit}".rstrip()


if __name__ == "__main__":
    main()
