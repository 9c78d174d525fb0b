"""
Slipstream beside its peers on the same work, in turns, in one run: `python -m bench.peers`.

    uv run --locked --all-extras python -m bench.peers                      # three rounds of every peer
    uv run --locked --all-extras python -m bench.peers --only langchain --only slipstream-chroma --rounds 1

It needs uv, apt-get and dpkg-deb, and their network. `--cache` keeps WordNet and the environments of the peers;
`--dump` takes a dump of WordNet that is there. README.md in this folder says what is measured, and how each is used.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers.child import PEERS
from bench.peers.places import PeerError, Place, place
from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import fetch, write_dump
from slipstream.bench.machine import load_average

NODES = 5_000
_FIGURES = {
    "load_per_s": "load, nodes/s",
    "edits_per_s": "500 edits, /s",
    "deletes_per_s": "500 deletes, /s",
    "lone_edit_ms_p50": "lone edit, ms",
    "lone_edit_found_ms_p50": "... and found, ms",
}
_COLUMN = "{:<19}"


def main() -> None:
    """Measure as the arguments say, print the table and write the figures."""
    options = _options()
    with interruptible("slipstream-peers-") as folder:
        found = _measured(options, folder)
        show(found)
        say(f"written: {write_result('peers', found, folder, path=options.output)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="Slipstream beside its peers.")
    parser.add_argument("--only", action="append", choices=tuple(PEERS), help="one peer; may be given several times")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=NODES, help="WordNet's first ones (default %(default)s)")
    parser.add_argument("--no-rebuild", action="store_true", help="leave out what repairs damage in the end")
    parser.add_argument("--cache", type=Path, help="a folder that keeps WordNet and the environments")
    parser.add_argument("--dump", type=Path, help="a dump of WordNet, instead of fetching it")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    cache = options.cache.resolve() if options.cache else folder
    load_before, dump = load_average(), options.dump
    if dump is None:
        say("WordNet")
        dump = write_dump(fetch(cache / "wordnet"), folder / "wordnet.jsonl", options.nodes).path
    places = [place(name, cache / "environments") for name in options.only or PEERS]
    rounds: dict[str, list[dict[str, Any]]] = {each.name: [] for each in places}
    failures: dict[str, str] = {}
    for name, result in _runs(places, dump, folder / "runs", options):
        if isinstance(result, str):
            failures[name] = result
        else:
            rounds[name].append(result)
    peers = {name: _summary(results) for name, results in rounds.items() if results}
    return {"peers": peers, "failures": failures, "rounds": rounds, "load_before": load_before}


def _runs(
    places: Sequence[Place], dump: Path, root: Path, options: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Yield what each peer said, or why it did not; in turns, so that noise hits all alike."""
    for number in range(options.rounds):
        for each in places:
            say(f"round {number + 1} of {options.rounds}: {each.name}")
            home = root / each.name
            try:
                yield each.name, each.run(home, dump, rebuild=not options.no_rebuild)
            except PeerError as error:
                say(f"FAILED: {error}")
                yield each.name, str(error)
            shutil.rmtree(home, ignore_errors=True)


def _summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the medians of the figures; a check is right only if it was right in every round."""
    last = results[-1]
    checks = {
        name: next((result["checks"][name] for result in results if result["checks"][name] != "right"), "right")
        for name in last["checks"]
    }
    return {
        **{name: round(statistics.median(result[name] for result in results), 2) for name in _FIGURES},
        "checks": checks,
        "damage": last["damage"],
        "settings": last["settings"],
        "versions": last["versions"],
    }


def show(found: Mapping[str, Any]) -> None:
    """Print the table."""
    print("".join(_COLUMN.format(cell) for cell in ("", *_FIGURES.values())))
    for name, figures in found["peers"].items():
        cells = (name, *(f"{figures[figure]:,.1f}" for figure in _FIGURES))
        print("".join(_COLUMN.format(cell) for cell in cells))
    for name, figures in found["peers"].items():
        wrong = [f"{check}: {seen}" for check, seen in figures["checks"].items() if seen != "right"]
        print(f"{name}: {'; '.join(wrong) or 'every check right'}; {_damage(figures['damage'])}")
    for name, failure in found["failures"].items():
        print(f"failed: {name}: {failure}", file=sys.stderr)


def _damage(damage: Mapping[str, Any]) -> str:
    look = damage["look"]
    repaired = [name for name, is_repaired in look["repaired"].items() if is_repaired]
    told = f"damage {'noticed' if look['noticed'] else 'NOT noticed'}, repaired: {', '.join(repaired) or 'nothing'}"
    if "rebuild" not in damage:
        return told
    return f"{told}; then {damage['rebuild']['what']} in {damage['rebuild']['seconds']} s"


if __name__ == "__main__":
    main()
