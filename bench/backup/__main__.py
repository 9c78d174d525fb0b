"""
A backup beside a plain copy of the same files, in one run, in turns: `python -m bench.backup`.

    uv run --locked python -m bench.backup                       # the first 20,000 synsets of WordNet, five rounds
    uv run --locked python -m bench.backup --dump graph.jsonl    # a graph that is there already, as JSON lines
    uv run --locked python -m bench.backup --pkg my-pkg          # a PKG that is there already

Reports megabytes a second of the plain copy (shutil.copyfile and fsync), of the backup's copying until all is on the
disk, and of all of it with the second copy, the integrity checks and the audit. Everything is made in a temporary
folder (put TMPDIR on the disk you care about) and removed. Fetching WordNet needs apt-get and dpkg-deb.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.wordnet.data import fetch, write_dump
from slipstream.app.composition import DATA_FOLDER, backups_of, open_pkg
from slipstream.bench.machine import load_average, machine_facts

SYNSETS = 20_000
TARGET = 0.5
"""Of the plain copy's rate: what the backup's copying has to reach."""
_FILES = ("graph.db", "index.db")


def main() -> None:
    """Measure, and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="slipstream-backup-") as name:
        folder = Path(name)
        pkg = options.pkg or _filled(folder, options)
        before = load_average()
        rounds = [_round(pkg, folder, number) for number in range(options.rounds)]
        _show(rounds, {**machine_facts(folder), "load_before": before}, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.backup", description="A backup beside a plain copy.")
    parser.add_argument("--synsets", type=int, default=SYNSETS)
    parser.add_argument("--dump", type=Path, help="a graph as JSON lines, instead of WordNet")
    parser.add_argument("--pkg", type=Path, help="a PKG, instead of a dump")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _filled(folder: Path, options: argparse.Namespace) -> Path:
    dump = options.dump
    if dump is None:
        dump = folder / "wordnet.jsonl"
        write_dump(fetch(folder / "wordnet"), dump, options.synsets)
    pkg = folder / "pkg"
    with open_pkg(pkg, create=True) as slip:
        slip.importer().run(dump)
        slip.sync.drain()
    return pkg


def _round(pkg: Path, folder: Path, number: int) -> dict[str, float]:
    """Measure both, each first in every other round: what is read first may not be in memory yet."""
    measures = {"plain": _plain, "backup": _backup}
    found: dict[str, float] = {}
    for name in sorted(measures, reverse=bool(number % 2)):
        target = folder / f"{name}-{number}"
        target.mkdir()
        found |= measures[name](pkg, target)
        shutil.rmtree(target)
    return found


def _plain(pkg: Path, target: Path) -> dict[str, float]:
    began = time.perf_counter()
    size = 0
    for name in _FILES:
        copy = target / name
        shutil.copyfile(pkg / DATA_FOLDER / name, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        size += copy.stat().st_size
    return {"plain_s": time.perf_counter() - began, "plain_mb": size / 1e6}


def _backup(pkg: Path, target: Path) -> dict[str, float]:
    began = time.perf_counter()
    report = backups_of(pkg).backup(target)
    whole_s = time.perf_counter() - began
    return {"copy_s": report.copy_s, "whole_s": whole_s, "backup_mb": report.manifest.size_bytes / 1e6}


def _show(rounds: list[dict[str, float]], machine: Mapping[str, Any], *, as_json: bool) -> None:
    middle = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    plain = middle["plain_mb"] / middle["plain_s"]
    rates = {"copy": middle["backup_mb"] / middle["copy_s"], "whole": middle["backup_mb"] / middle["whole_s"]}
    found = {
        "size_mb": round(middle["backup_mb"], 1),
        "plain_mb_per_s": round(plain, 1),
        "copy_mb_per_s": round(rates["copy"], 1),
        "whole_mb_per_s": round(rates["whole"], 1),
        "copy_ratio": round(rates["copy"] / plain, 2),
        "whole_ratio": round(rates["whole"] / plain, 3),
        "target": TARGET,
        "met": rates["copy"] / plain >= TARGET,
        "rounds": rounds,
        "machine": machine,
    }
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for name in ("size_mb", "plain_mb_per_s", "copy_mb_per_s", "whole_mb_per_s", "copy_ratio", "whole_ratio", "met"):
        print(f"{name:<16} {found[name]}")
    facts = f"{machine['cpu']}, {machine['cores']} cores, {machine['filesystem']}, load {machine['load_before']}"
    print(f"{len(rounds)} rounds, {facts}")


if __name__ == "__main__":
    main()
