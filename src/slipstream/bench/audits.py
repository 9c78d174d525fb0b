"""
What audits cost: full and incremental at several sizes, each in a process of its own, and beside live changes.

The graph is the Human Phenotype Ontology with its relationships; past its 33,568 entities come copies of it, with ids
of their own. The embedder only hashes texts: an audit embeds nothing, and a million entities take minutes.
`python -m slipstream.bench.audits DIRECTORY ENTITIES SECONDS` measures one size and prints JSON.
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.audit.findings import AuditReport
from slipstream.audit.scrubber import FULL, INCREMENTAL, ScrubInterruptedError
from slipstream.bench.documents import NOTE, read_documents, views
from slipstream.bench.machine import load_average, machine_facts, memory_mb, reset_peak_rss
from slipstream.bench.subject import BenchmarkError, create_graph
from slipstream.testkit.embedders import HashEmbedder

CHANGES = 100
CHANGES_PER_S = 100
_TIMEOUT_S = 3 * 3_600.0
_ROUNDS = 3


def measure_audits(sizes: Sequence[int], seconds: float, on_step: Callable[[str], None]) -> dict[str, Any]:
    """Measure every size in a process of its own; `seconds` is how long each phase of live changes lasts."""
    found = []
    load_before = load_average()
    with tempfile.TemporaryDirectory(prefix="slipstream-bench-") as folder:
        root = Path(folder)
        for entities in sizes:
            on_step(f"{entities:,} entities")
            arguments = [str(root / str(entities)), str(entities), str(seconds)]
            done = subprocess.run(  # noqa: S603  (this very module)
                [sys.executable, "-m", "slipstream.bench.audits", *arguments],
                stdout=subprocess.PIPE,
                text=True,
                check=False,
                timeout=_TIMEOUT_S,
            )
            if done.returncode != 0:
                raise BenchmarkError(f"measuring {entities} entities failed, exit code {done.returncode}")
            found.append(json.loads(done.stdout))
        return {"audits": found, "machine": {**machine_facts(root), "load_before": load_before}}


def main() -> None:
    """Measure one size."""
    directory, entities, seconds = sys.argv[1:]
    sys.stdout.write(json.dumps(measure_one(Path(directory), int(entities), float(seconds))))


def measure_one(directory: Path, entities: int, seconds: float) -> dict[str, Any]:
    """Fill a PKG, audit it in every way, and return the figures."""
    rng = random.Random(1)  # noqa: S311  (the same input every time, not cryptography)
    options = Options(embedders=(HashEmbedder(dimension=64),), views=views())
    with open_pkg(directory, run=False, create=True, options=options) as pkg:
        filling = time.perf_counter()
        found: dict[str, Any] = {"entities": entities, **_fill(pkg, entities)}
        ids = found.pop("ids")
        pkg.sync.start()
        pkg.sync.drain()
        found["fill_s"] = round(time.perf_counter() - filling, 2)
        gc.collect()
        gc.freeze()  # as the command line does
        found["full"] = _timed(pkg, incremental=False)
        found["incremental_first"] = _timed(pkg, incremental=True)
        found["incremental_unchanged"] = _timed(pkg, incremental=True)
        for entity_id in rng.sample(ids, min(CHANGES, entities)):
            pkg.pkg.update_entity(entity_id, {NOTE: f"changed {entity_id}"})
        pkg.sync.drain()
        found["incremental_after_changes"] = {"changes": min(CHANGES, entities), **_timed(pkg, incremental=True)}
        if seconds > 0:
            found["beside_changes"] = _beside_changes(pkg, ids, seconds, rng)
    return found


def _fill(pkg: Slipstream, entities: int) -> dict[str, Any]:
    documents = read_documents(entities)
    create_graph(pkg.pkg, documents)
    return {"relationships": len(documents.relationships), "ids": [entity.id for entity in documents.entities]}


def _timed(pkg: Slipstream, *, incremental: bool) -> dict[str, Any]:
    pkg.sync.write_back()  # what idle time is for, else, would be measured too
    before_mb = memory_mb()
    reset_peak_rss()
    report = pkg.verify(incremental=incremental, hurry=True)
    if not report.is_consistent or report.kind != ("incremental" if incremental else "full"):
        raise BenchmarkError(f"a {report.kind} audit found {report.counts()} {report.notes}")
    return {
        "seconds": round(report.duration_s, 3),
        "memory_above_mb": None if before_mb is None else round((memory_mb(peak=True) or before_mb) - before_mb, 1),
        "rows_graph": report.rows.graph,
        "rows_index": report.rows.index,
        "queries": report.rows.queries,
    }


def _beside_changes(pkg: Slipstream, ids: Sequence[str], seconds: float, rng: random.Random) -> dict[str, Any]:
    """Measure freshness at a steady pace of changes, without and with audits, in turns: noise hits all alike."""
    beside: dict[str, Callable[[], AuditReport] | None] = {
        "plain": None,
        "full": lambda: pkg.scrubber.run(FULL),
        "incremental": lambda: pkg.scrubber.run(INCREMENTAL),
        "verify_full": pkg.verify,
        "verify_incremental": lambda: pkg.verify(incremental=True),
    }
    samples: dict[str, list[float]] = {name: [] for name in beside}
    _changes(pkg, ids, 2.0, rng)  # warm
    for _ in range(_ROUNDS):
        for name, audit in beside.items():
            with nullcontext() if audit is None else _auditing(pkg, audit):
                samples[name] += _changes(pkg, ids, seconds, rng)
    pkg.sync.drain()
    last = pkg.verify(hurry=True)
    if not last.is_consistent:
        raise BenchmarkError(f"after the changes the audit found {last.counts()}")
    p95 = {name: _percentile_ms(found, 95) for name, found in samples.items()}
    return {
        "changes_per_s": CHANGES_PER_S,
        "samples": len(samples["plain"]),
        "freshness_p50_ms": {name: _percentile_ms(found, 50) for name, found in samples.items()},
        "freshness_p95_ms": p95,
        **{f"slow_down_{name}": round(p95[name] / p95["plain"] - 1, 3) for name in beside if name != "plain"},
    }


def _percentile_ms(samples_s: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(samples_s, percent)) * 1_000, 2)


def _changes(pkg: Slipstream, ids: Sequence[str], seconds: float, rng: random.Random) -> list[float]:
    """Change entities at a steady pace; return how long each took from before its commit until it was searchable."""
    found: list[float] = []
    began = time.perf_counter()
    for number in range(round(seconds * CHANGES_PER_S)):
        pause_s = began + number / CHANGES_PER_S - time.perf_counter()
        if pause_s > 0:
            time.sleep(pause_s)
        started = time.perf_counter()
        pkg.pkg.update_entity(rng.choice(ids), {NOTE: f"{rng.random()}"})
        if not pkg.sync.wait(pkg.pkg.feed.head(), timeout_s=60):
            raise BenchmarkError("a change was not searchable within a minute")
        found.append(time.perf_counter() - started)
    return found


@contextmanager
def _auditing(pkg: Slipstream, audit: Callable[[], AuditReport]) -> Iterator[None]:
    """Do audit after audit while the block runs, and finish the last one; a scrubber's pass is given up instead."""
    ending, alarms = threading.Event(), list[str]()

    def run() -> None:
        try:
            while not ending.is_set():
                report = audit()
                if report.is_divergent:
                    alarms.append(f"{report.counts()}")
        except ScrubInterruptedError:
            return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        pkg.scrubber.interrupt()
        thread.join()
    if alarms:
        raise BenchmarkError(f"audits beside live changes raised false alarms: {alarms}")


if __name__ == "__main__":
    main()
