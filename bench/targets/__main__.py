"""
Every target of "as fast as the parts", in one run: `python -m bench.targets`; 20 to 25 minutes on two quiet cores.

    uv run --locked --all-extras python -m bench.targets
    uv run --locked --all-extras python -m bench.targets --only help --only minilm

It needs git, uv, apt-get and dpkg-deb, and their network. `--old` takes the Python of a built ad2138d, `--data` a
folder where WordNet is unpacked, `--cache` keeps both, and the environments of the peers. What a processor can not do
is skipped by name. A group that fails is told, and the others go on; the figures are written after each row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.result_files import interruptible, say, write_result
from bench.targets.groups import GROUPS, Place
from bench.targets.rows import Row, table
from bench.wordnet.data import fetch, write_dump
from bench.wordnet.sides import OLD_COMMIT, MeasurementError, Side, built, present
from slipstream.bench.machine import load_average

_WHOLE = 117_659
_SIZES = {"3000": 3_000, "5000": 5_000, "20000": 20_000, "whole": _WHOLE}


def main() -> None:
    """Measure as the arguments say, print the table and write the figures."""
    options = _options()
    with interruptible("slipstream-targets-") as folder, ExitStack() as stack:
        load_before = load_average()
        place = _place(options, folder, stack)
        rows: list[Row] = []
        failures: dict[str, str] = {}
        path = options.output
        for name, measured in _measured(place, options.only or list(GROUPS)):
            if isinstance(measured, Row):
                rows.append(measured)
                print(table([measured]).splitlines()[-1], flush=True)
            else:
                failures[name] = measured
                say(f"FAILED: {name}: {measured}")
            found = {"rows": [row.as_dict() for row in rows], "failures": failures, "load_before": load_before}
            path = write_result("targets", found, folder, path=path)
        print(f"\n{table(rows)}\n")
        say(f"written: {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.targets", description="Every target, in one run.")
    parser.add_argument("--only", action="append", choices=tuple(GROUPS), help="one group, or several")
    parser.add_argument("--old", type=Path, help="the Python of a built ad2138d, with the extras static and chroma")
    parser.add_argument("--data", type=Path, help="a folder where wordnet-base is unpacked")
    parser.add_argument("--cache", type=Path, help="a folder that keeps what is fetched and built")
    parser.add_argument("--long", action="store_true", help="WordNet whole with MiniLM: a quarter of an hour more")
    parser.add_argument("--synsets", type=int, help="never more than so many, to see that it all works")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _place(options: argparse.Namespace, folder: Path, stack: ExitStack) -> Place:
    cache = options.cache.resolve() if options.cache else folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    data = options.data or fetch(cache / "wordnet")
    most = options.synsets or _WHOLE
    dumps = {
        name: write_dump(data, folder / f"{name}.jsonl", min(count, most)).path for name, count in _SIZES.items()
    }
    if options.old:
        old = Side("old", options.old.absolute(), OLD_COMMIT)  # not resolved: the link is what makes the environment
    else:
        say(f"building {OLD_COMMIT}")
        old = stack.enter_context(built(OLD_COMMIT, cache, keep=options.cache is not None))
    return Place(old, present(), dumps, folder, cache, options.long)


def _measured(place: Place, names: list[str]) -> Iterator[tuple[str, Row | str]]:
    """Yield rows as they come, or why there are none; say how far it is."""
    began_s, expected = time.monotonic(), sum(GROUPS[name][1] for name in names)
    done = 0.0
    for name in names:
        measure, minutes = GROUPS[name]
        elapsed = (time.monotonic() - began_s) / 60
        left = (expected - done) * (elapsed / done if done else 1.0)
        say(f"{name}: {elapsed:.0f} minutes so far, about {left:.0f} to go")
        try:
            for row in measure(place):
                yield name, row
        except (MeasurementError, LookupError, OSError, ValueError) as error:
            yield name, f"{type(error).__name__}: {error}"
        done += minutes


if __name__ == "__main__":
    main()
