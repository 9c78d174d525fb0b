"""What a PKG costs beyond its updates: import, audit, start-up, memory. The latter two in processes of their own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from slipstream.app.composition import open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.bench.documents import Documents
from slipstream.bench.subject import BenchmarkError
from slipstream.events.importing import Importer

_TIMEOUT_S = 3_600.0


def measure_import(directory: Path, dump: Path, documents: Documents) -> dict[str, float]:
    """Import a dump into the graph, the engine stopped; relationships are in the time, in the first figure too."""
    with open_pkg(directory, run=False) as pkg:
        importer = Importer(pkg.pkg, pkg.journal, pkg.dead_letters, pkg.clock)
        started = time.perf_counter()
        report = importer.run(dump)
        elapsed_s = time.perf_counter() - started
    if report.rejected or report.entities != len(documents.entities):
        raise BenchmarkError(f"the import did not take every row: {report}")
    return {
        "import_entities_per_s": report.entities / elapsed_s,
        "import_rows_per_s": (report.entities + report.relationships) / elapsed_s,
    }


def measure_verify(pkg: Slipstream) -> float:
    """Return how many entities a second a full audit compares; raises when it finds a divergence."""
    started = time.perf_counter()
    report = pkg.verify(hurry=True)
    elapsed_s = time.perf_counter() - started
    if not report.is_consistent:
        raise BenchmarkError(f"graph and index differ after the workloads: {report.divergences}")
    return report.total_entities / elapsed_s


def measure_startup(directory: Path, runs: int) -> dict[str, float]:
    """Return how long a new process takes to open a PKG and catch up, and until its first search is answered."""
    found = [_startup(directory) for _ in range(runs)]
    return {
        "startup_s": statistics.median(ready for ready, _ in found),
        "startup_search_s": statistics.median(searched for _, searched in found),
    }


def _startup(directory: Path) -> tuple[float, float]:
    started = time.perf_counter()
    with subprocess.Popen(_child("startup", directory), stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        output = process.stdout
        if output is None:
            raise BenchmarkError("the process was started without a pipe")
        moments = [time.perf_counter() - started for _ in output]
    if process.returncode != 0 or len(moments) != 2:
        raise BenchmarkError(f"opening the PKG in a process of its own failed, exit code {process.returncode}")
    return moments[0], moments[1]


def measure_memory(directory: Path, dump: Path) -> float | None:
    """Return the peak memory, in MB, of a process that imports a dump, changes every entity of it and verifies."""
    command = [*_child("memory", directory), str(dump)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603
    if done.returncode != 0:
        raise BenchmarkError(f"the memory workload failed, exit code {done.returncode}")
    peak: float | None = json.loads(done.stdout)["peak_rss_mb"]
    return peak


def _child(workload: str, directory: Path) -> list[str]:
    return [sys.executable, "-m", "slipstream.bench.child", workload, str(directory)]
