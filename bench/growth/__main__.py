"""
What grows with the graph, as a table and a plot: `python -m bench.growth --directory DIR`.

    uv run --locked --all-extras python -m bench.growth --directory /data/growth                    # 10^4 and 10^5
    uv run --locked --all-extras python -m bench.growth --directory /data/growth --sizes 1000000    # 10^6: an hour

WordNet with its relationships, past its 117,659 synsets copies with ids of their own, each linked to the one before.
Vectors have 384 dimensions and are made by hashing words: a model would only make it slower. The directory keeps what
is done: a run that was ended by Ctrl-C goes on where it was, and sizes may be added. It needs 6 GB for 10^6.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.growth.plot import plot
from bench.growth.shown import table
from bench.result_files import REPOSITORY, commit, interruptible, say, write_result
from bench.wordnet.data import fetch, write_dump
from bench.wordnet.sides import MeasurementError

_TASKS = ("fill", "index", "measure")


def main() -> None:
    """Measure every size that is not measured yet; print the table, write plot and figures."""
    options = _options()
    with interruptible("slipstream-growth-") as folder:
        directory: Path = options.directory
        directory.mkdir(parents=True, exist_ok=True)
        dump = directory / "wordnet.jsonl"
        if not dump.exists():
            write_dump(options.data or fetch(folder), dump, None)
        sizes = [_measured(directory, dump, entities) for entities in sorted(options.sizes)]
        path = write_result("growth", {"sizes": sizes}, directory, path=options.output)
        path.with_suffix(".svg").write_text(plot(sizes), encoding="utf-8")
        print(table(sizes))
        say(f"written: {path} and {path.with_suffix('.svg').name}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description="What grows with the graph.")
    parser.add_argument("--directory", type=Path, required=True, help="keeps graphs and results")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="entities")
    parser.add_argument("--data", type=Path, help="a folder where wordnet-base is unpacked")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _measured(directory: Path, dump: Path, entities: int) -> dict[str, Any]:
    """Return the figures of one size, from the directory where they are there already."""
    state = directory / f"{entities}.json"
    found: dict[str, Any] = json.loads(state.read_text(encoding="utf-8")) if state.exists() else {}
    for task in _TASKS:
        if task not in found:
            say(f"{entities:,} entities: {task}")
            command = [sys.executable, "-m", "bench.growth.child", task]
            arguments = [str(directory / str(entities)), str(dump), str(entities)]
            done = subprocess.run(  # noqa: S603
                [*command, *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False
            )
            if done.returncode:
                raise MeasurementError(f"{task} of {entities:,} entities failed, exit code {done.returncode}")
            found[task] = {**json.loads(done.stdout.splitlines()[-1]), "commit": commit()}
            state.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return {**found["fill"], **found["index"], **found["measure"]}


if __name__ == "__main__":
    main()
