"""The measurements, in rounds: each is taken of one version and at once of the other, so noise hits both alike."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.wordnet.data import Dump
from bench.wordnet.sides import MeasurementError, Side

OPENS = 3
_CONFIG = '[models]\ndefault = "wordllama-l2"  # static: embedding costs next to nothing\n'
_MIB = 1024 * 1024

Say = Callable[[str], None]


@dataclass(slots=True)
class Results:
    """Everything that was measured of one version: numbers of each round, and pooled samples."""

    numbers: dict[str, list[float]] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    files_mb: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def note(self, **numbers: float) -> None:
        """Add numbers of this round."""
        for name, value in numbers.items():
            self.numbers.setdefault(name, []).append(round(value, 4))

    def take(self, said: dict[str, Any], prefix: str = "") -> None:
        """Add what a child has said."""
        self.note(**said.get("figures", {}))
        for name, values in said.get("samples_ms", {}).items():
            self.samples.setdefault(prefix + name, []).extend(values)

    def figures(self) -> dict[str, float]:
        """Return one number by name: medians over the rounds, percentiles over all samples."""
        found = {name: statistics.median(values) for name, values in self.numbers.items()}
        for name, values in self.samples.items():
            found.update({f"{name}_p{percent}": _percentile(values, percent) for percent in (50, 95, 99)})
        for name in ("waited", "answered"):
            other, same = found.get(f"other_{name}_ms_p95"), found.get(f"{name}_ms_p95")
            if other and same:
                found[f"other_{name}_ratio_p95"] = other / same
        return {name: round(value, 3) for name, value in sorted(found.items())}


@dataclass(slots=True)
class Run:
    """One version on its own PKGs: `loaded` holds the graph alone, `imported` graph and index."""

    side: Side
    dump: Dump
    home: Path
    results: Results

    def load(self) -> None:
        """Rates of typed transactions, and single commits on what they have loaded."""
        directory = self._new("loaded")
        self.results.take(self.side.child("load", directory, self.dump.path).said)
        self.results.take(self.side.child("commit", directory, self.dump.path).said)

    def import_(self) -> None:
        """The import of the command line, and how large everything is afterwards."""
        directory = self._new("imported")
        ended = self.side.command_line(directory, "import", str(self.dump.path), "--json")
        self.results.note(import_s=ended.wall_s, import_cpu_s=ended.cpu_s, peak_rss_mb=ended.peak_rss_mb)
        files = {path.name: path.stat().st_size / _MIB for path in sorted(_files(directory / ".slipstream"))}
        self.results.files_mb = {name: round(size_mb, 1) for name, size_mb in files.items()}
        self.results.note(size_mb=sum(files.values()))

    def verify(self) -> None:
        """A full audit by the command line, and by a program that has the PKG open."""
        directory = self.home / "imported"
        ended = self.side.command_line(directory, "verify", "--json")
        peak_rss_mb = max(ended.peak_rss_mb, self.results.numbers["peak_rss_mb"].pop())
        self.results.note(verify_command_s=ended.wall_s, verify_cpu_s=ended.cpu_s, peak_rss_mb=peak_rss_mb)
        self.results.note(start_s=self.side.command_line(directory, "--version").wall_s)
        self.results.take(self.side.child("verify", directory, self.dump.path).said)

    def open(self) -> None:
        """Opening what was imported, several times."""
        for _ in range(OPENS):
            self.results.take(self.side.child("open", self.home / "imported", self.dump.path).said)

    def freshness(self) -> None:
        """From a commit until it is searchable, in the process that runs the engine."""
        self.results.take(self.side.child("freshness", self.home / "imported", self.dump.path).said)

    def freshness_elsewhere(self) -> None:
        """The same in another process than the one that runs the engine."""
        directory = self.home / "imported"
        with self.side.beside("own", directory, self.dump.path):
            said = self.side.child("freshness", directory, self.dump.path).said
        if said["embedded"]:
            raise MeasurementError(f"{self.side.name}: the other process ran an engine of its own")
        self.results.take(said, "other_")

    def beside_import(self) -> None:
        """Single commits of one process while another imports."""
        directory = self._new("beside")
        with self.side.beside("beside", directory, self.dump.path) as said:
            self.side.command_line(directory, "import", str(self.dump.path), "--no-sync", "--json")
        self.results.take(said[-1])

    def _new(self, name: str) -> Path:
        directory = self.home / name
        directory.mkdir(parents=True)
        (directory / "slipstream.toml").write_text(_CONFIG, encoding="utf-8")
        return directory


_OF_BOTH = (Run.load, Run.import_, Run.verify, Run.open, Run.freshness)
_OF_NEW = (Run.freshness_elsewhere, Run.beside_import)
"""Only one process could have a PKG of the old version open."""


def measure(sides: Sequence[Side], dump: Dump, root: Path, rounds: int, say: Say) -> dict[str, Results]:
    """Measure everything; a measurement that fails is noted as such, and the others go on."""
    results = {side.name: Results() for side in sides}
    for number in range(1, rounds + 1):
        runs = [Run(side, dump, root / side.name, results[side.name]) for side in sides]
        for step in (*_OF_BOTH, *_OF_NEW):
            for run in runs:
                if step in _OF_BOTH or run.side.name == "new":
                    say(f"round {number} of {rounds}: {step.__name__.strip('_')}, {run.side.name}")
                    _attempt(step, run, say)
        for run in runs:
            shutil.rmtree(run.home)
    return results


def _attempt(step: Callable[[Run], None], run: Run, say: Say) -> None:
    try:
        step(run)
    except (MeasurementError, LookupError) as error:
        run.results.failures.append(f"{step.__name__.strip('_')}: {error}")
        say(f"FAILED: {error}")


def _files(directory: Path) -> Iterable[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


def _percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed (no interpolation: it is one that was seen)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-len(ordered) * percent // 100) - 1)]
