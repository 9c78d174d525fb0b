"""
What a full audit by the command line costs, by any version, on the same dump, in one run.

    python -m bench.verify DUMP new=.venv/bin/python old=/path/to/old/.venv/bin/python

Every version imports the dump into a PKG of its own; then they verify in turns, so that noise hits all alike. Told is
the time until the command ended, its CPU time and its peak memory, and what the last side needed is divided by what
others did. `--model minilm` embeds with the packaged model: an import takes minutes then, and its memory counts.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.result_files import interruptible, say, write_result
from bench.wordnet.sides import Ended, MeasurementError, Side

ROUNDS = 3
_CONFIG = "[scrub]\nenabled = false\n"
_MODELS = {"static": '[models]\ndefault = "wordllama-l2"\n', "minilm": ""}
"""What chooses the model; nothing: each version its own."""

Figures = dict[str, float]


def main() -> None:
    """Measure as the arguments say, print the medians and write the figures."""
    options = _options()
    sides = [_side(text) for text in options.sides]
    with interruptible("slipstream-verify-") as folder:
        imported = {side.name: _imported(side, folder / side.name, options) for side in sides}
        rounds: dict[str, list[Figures]] = {side.name: [] for side in sides}
        for number in range(options.rounds):
            for side in sides:
                rounds[side.name].append(_verified(side, folder / side.name))
                say(f"round {number + 1}, {side.name}: {rounds[side.name][-1]}")
        found = {
            "dump": options.dump.name,
            "model": options.model,
            "versions": {side.name: side.version for side in sides},
            "imports": imported,
            "medians": {name: _medians(rows) for name, rows in rounds.items()},
            "rounds": rounds,
        }
        found["against"] = _against(sides[-1].name, found["medians"], imported)
        path = write_result("verify", found, folder, path=options.output)
    for name, row in found["medians"].items():
        print(name, row, found["against"].get(name, ""))
    say(f"written: {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description="Full audits by several versions.")
    parser.add_argument("dump", type=Path, help="JSON lines, as `slipstream import` reads them")
    parser.add_argument("sides", nargs="+", metavar="NAME=PYTHON", help="a version, by the Python it is installed in")
    parser.add_argument("--model", choices=_MODELS, default="static")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each verifies (default %(default)s)")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _side(text: str) -> Side:
    name, _, python = text.partition("=")
    path = Path(python).absolute()
    git = ("git", "-C", str(path.parents[2]), "rev-parse", "--short", "HEAD")
    return Side(name, path, subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip())  # noqa: S603


def _imported(side: Side, home: Path, options: argparse.Namespace) -> Figures:
    home.mkdir()
    (home / "slipstream.toml").write_text(_MODELS[options.model] + _CONFIG, encoding="utf-8")
    say(f"importing, {side.name}")
    return _figures(side.command_line(home, "import", str(options.dump), "--json"))


def _verified(side: Side, home: Path) -> Figures:
    ended = side.command_line(home, "verify", "--json")
    if ended.said.get("consistency") not in (None, 1.0):
        raise MeasurementError(f"{side.name}: graph and index differ: {ended.said}")
    return _figures(ended)


def _figures(ended: Ended) -> Figures:
    return {"wall_s": round(ended.wall_s, 2), "cpu_s": round(ended.cpu_s, 2), "peak_mb": round(ended.peak_rss_mb, 1)}


def _medians(rows: list[Figures]) -> Figures:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _against(base: str, medians: Mapping[str, Figures], imported: Mapping[str, Figures]) -> dict[str, Any]:
    """Return how many times faster than the last side each is, and its share of that one's peak memory."""
    peak = {name: max(row["peak_mb"], imported[name]["peak_mb"]) for name, row in medians.items()}
    return {
        name: {
            "times_faster": round(medians[base]["wall_s"] / row["wall_s"], 2),
            "times_less_cpu": round(medians[base]["cpu_s"] / row["cpu_s"], 2),
            "share_of_peak": round(peak[name] / peak[base], 3),
        }
        for name, row in medians.items()
        if name != base
    }


if __name__ == "__main__":
    main()
