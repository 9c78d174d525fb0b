"""
What an incremental audit costs after a hundred changes, by any version, over SQLite and Chroma, in one run.

    python bench/wordnet/incremental.py DUMP new=.venv/bin/python old=/path/to/old/.venv/bin/python > result.json

Each version runs this very file, so it uses only what all have. In turns, so that noise hits them alike: a PKG per
version and index is filled once, then every round changes entities and audits.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHANGES = 100
ROUNDS = 5
_INDEXES = ("sqlite", "chroma")
_CONFIG = '[models]\ndefault = "wordllama-l2"\n\n[index]\nadapter = "{}"\n\n[scrub]\nenabled = false\n'


def main() -> None:
    """Measure every version, or be the program of one of them."""
    if sys.argv[1] == "--fill":
        fill(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "--audit":
        print(json.dumps(audit(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        measure(Path(sys.argv[1]), dict(side.split("=", 1) for side in sys.argv[2:]))


def measure(dump: Path, sides: dict[str, str]) -> None:
    """Print what each side needed, by index, and the ratios to the last side named."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {index: {side: [] for side in sides} for index in _INDEXES}
    with tempfile.TemporaryDirectory(prefix="slipstream-incremental-") as folder:
        for index in _INDEXES:
            homes = {side: Path(folder) / index / side for side in sides}
            for side, home in homes.items():
                home.mkdir(parents=True)
                (home / "slipstream.toml").write_text(_CONFIG.format(index), encoding="utf-8")
                _run(sides[side], "--fill", home, dump)
            for number in range(ROUNDS):
                for side, home in homes.items():
                    said = _run(sides[side], "--audit", home, number)
                    found[index][side].append(json.loads(said.splitlines()[-1]))
                    print(index, side, found[index][side][-1], file=sys.stderr, flush=True)
    base = list(sides)[-1]
    print(json.dumps({index: _summary(by_side, base) for index, by_side in found.items()}, indent=1))


def _summary(by_side: dict[str, list[dict[str, float]]], base: str) -> dict[str, Any]:
    medians: dict[str, dict[str, float]] = {}
    for side, rows in by_side.items():
        medians[side] = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    ratios = {side: round(row["incremental_s"] / medians[base]["incremental_s"], 3) for side, row in medians.items()}
    return {"medians": medians, "ratio": ratios, "rounds": by_side}


def _run(python: str, *arguments: object) -> str:
    command = [python, __file__, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def fill(directory: Path, dump: Path) -> None:
    """Import a dump, wait until all is searchable, and audit it in full."""
    command = [sys.executable, "-m", "slipstream", "--dir", str(directory), "import", str(dump)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    import slipstream

    with slipstream.open(directory) as slip:
        slip.sync.drain()
        if not slip.verify(hurry=True).is_consistent:
            raise RuntimeError("graph and index differ")
        slip.verify(incremental=True, hurry=True)  # what only the first one has to do


def audit(directory: Path, seed: int) -> dict[str, float]:
    """Change entities, wait, and audit incrementally; once more with nothing changed, and in full."""
    import slipstream

    rng = random.Random(seed)
    with slipstream.open(directory) as slip:
        slip.sync.drain()
        slip.search("a large animal that lives in water", k=1, mode="vector")
        ids = [row.key.id for row in slip.pkg.scan(None, 20_000) if row.key.encode().startswith("e:")]
        for number, entity_id in enumerate(rng.sample(ids, CHANGES)):
            slip.pkg.update_entity(entity_id, {"name": f"changed {seed} {number}"})
        slip.sync.drain()
        slip.sync.write_back() if hasattr(slip.sync, "write_back") else None
        took: dict[str, float] = {}
        for name, incremental in (("incremental_s", True), ("unchanged_s", True), ("full_s", False)):
            started_s = time.perf_counter()
            report = slip.verify(incremental=incremental, hurry=True)
            took[name] = round(time.perf_counter() - started_s, 4)
            if not report.is_consistent or report.kind != ("incremental" if incremental else "full"):
                raise RuntimeError(f"a {report.kind} audit: {report.counts()} {report.notes}")
        return took


if __name__ == "__main__":
    main()
