"""
What a migration costs those who write and search meanwhile: freshness and searches before, during and behind it.

One MiniLM generation is live; the next one is made by the same model from another text (as dear as the live one), or
by a static model (as cheap as one can be). Mutations and searches go on at a steady pace all the time.
"""

from __future__ import annotations

import queue
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.bench.documents import NOTE, read_documents, views
from slipstream.bench.machine import load_average, machine_facts, memory_mb
from slipstream.bench.subject import BenchmarkError, create_graph
from slipstream.domain.entities import Entity
from slipstream.domain.positions import Position
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.generations import Phase

CHANGES_PER_S = 50
SEARCHES_PER_S = 5
CASES = ("same model", "static model")
_STATIC = "wordllama-l2"


def measure_migrations(
    entities: int, seconds: float, on_step: Callable[[str], None], cases: Sequence[str] = CASES
) -> dict[str, Any]:
    """Measure cases, each on a PKG of its own; `seconds` is how long it is measured before and behind a migration."""
    load_before = load_average()
    with tempfile.TemporaryDirectory(prefix="slipstream-bench-") as folder:
        root = Path(folder)
        found = {case: _measure(root / case.replace(" ", "-"), case, entities, seconds, on_step) for case in cases}
        return {"migrations": found, "machine": {**machine_facts(root), "load_before": load_before}}


def _measure(
    directory: Path, case: str, entities: int, seconds: float, on_step: Callable[[str], None]
) -> dict[str, Any]:
    rng = random.Random(1)  # noqa: S311  (the same input every time, not cryptography)
    documents = read_documents(entities)
    with open_pkg(directory, run=False, create=True, options=Options(views=views())) as pkg:
        on_step(f"{case}: filling")
        create_graph(pkg.pkg, documents)
        pkg.start()
        pkg.sync.drain()
        live = _Live(pkg, documents.entities, rng)
        live.run_for(2.0)
        on_step(f"{case}: before")
        before = live.run_for(seconds)
        on_step(f"{case}: building")
        began = time.perf_counter()
        pkg.migrations.start(_candidate(pkg, case))
        during = live.run_until(lambda: pkg.migrations.status().phase is Phase.BUILT)
        build_s = time.perf_counter() - began
        on_step(f"{case}: cutting over")
        with live.running() as cutting:
            began = time.perf_counter()
            report = pkg.migrations.cut_over()
            cut_over_s = time.perf_counter() - began
        on_step(f"{case}: behind")
        behind = live.run_for(seconds)
        pkg.sync.drain()
        audits = (pkg.verify(), pkg.migrations.audit(), report)
        if not all(audit.is_consistent for audit in audits):
            raise BenchmarkError(f"after the migration the audits found {[audit.counts() for audit in audits]}")
        phases = {"before": before, "building": during, "cutting over": cutting, "behind": behind}
        return {
            "entities": entities,
            "relationships": len(documents.relationships),
            "build_s": round(build_s, 1),
            "built_per_s": round(entities / build_s, 1),
            "cut_over_s": round(cut_over_s, 2),
            "consistency": [audit.consistency for audit in audits],
            "phases": {name: samples.summary() for name, samples in phases.items()},
            "slow_down_p95": round(during.p95_ms / before.p95_ms, 3),
            "slow_down_p95_cutting_over": round(cutting.p95_ms / before.p95_ms, 3),
            "slow_down_p95_behind": round(behind.p95_ms / before.p95_ms, 3),
            "peak_rss_mb": memory_mb(peak=True),
        }


def _candidate(pkg: Slipstream, case: str) -> RecipeDeclaration:
    if case == "static model":
        return pkg.migrations.candidate(default=_STATIC)
    return pkg.migrations.candidate(views=views("Of the ontology: "))


@dataclass(slots=True)
class _Samples:
    """What was seen in one phase, in seconds."""

    freshness_s: list[float] = field(default_factory=list)
    searches_s: list[float] = field(default_factory=list)
    mixed: int = 0
    empty: int = 0

    @property
    def p95_ms(self) -> float:
        return _percentile_ms(self.freshness_s, 95)

    def summary(self) -> dict[str, Any]:
        return {
            "changes": len(self.freshness_s),
            "freshness_p50_ms": _percentile_ms(self.freshness_s, 50),
            "freshness_p95_ms": self.p95_ms,
            "freshness_p99_ms": _percentile_ms(self.freshness_s, 99),
            "searches": len(self.searches_s),
            "search_p95_ms": _percentile_ms(self.searches_s, 95),
            "mixed_searches": self.mixed,
            "unanswered_searches": self.empty,
        }


class _Live:
    """Mutations and searches at a steady pace."""

    def __init__(self, pkg: Slipstream, entities: Sequence[Entity], rng: random.Random) -> None:
        self._pkg, self._entities, self._rng = pkg, entities, rng

    def run_for(self, seconds: float) -> _Samples:
        ends = time.perf_counter() + seconds
        return self.run_until(lambda: time.perf_counter() >= ends)

    def run_until(self, is_over: Callable[[], bool]) -> _Samples:
        with self.running() as samples:
            while not is_over():
                time.sleep(0.05)
        return samples

    @contextmanager
    def running(self) -> Iterator[_Samples]:
        """Go on while the block runs."""
        samples, ended = _Samples(), threading.Event()
        commits: queue.Queue[tuple[Position, float] | None] = queue.Queue()
        threads = [
            threading.Thread(target=self._change, args=(commits, ended.is_set)),
            threading.Thread(target=self._observe, args=(commits, samples)),
            threading.Thread(target=self._search, args=(samples, ended.is_set)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield samples
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _change(self, commits: queue.Queue[tuple[Position, float] | None], is_over: Callable[[], bool]) -> None:
        """Commit at the pace, however long it takes until a change is searchable."""
        for _ in _paced(CHANGES_PER_S, is_over):
            started = time.perf_counter()
            entity = self._rng.choice(self._entities)
            position = self._pkg.pkg.update_entity(entity.id, {NOTE: f"changed {self._rng.random()}"})
            commits.put((position, started))
        commits.put(None)

    def _observe(self, commits: queue.Queue[tuple[Position, float] | None], samples: _Samples) -> None:
        while (commit := commits.get()) is not None:
            position, started = commit
            if not self._pkg.sync.wait(position, timeout_s=60):
                raise BenchmarkError("a change was not searchable within a minute")
            samples.freshness_s.append(time.perf_counter() - started)

    def _search(self, samples: _Samples, is_over: Callable[[], bool]) -> None:
        for _ in _paced(SEARCHES_PER_S, is_over):
            words = str(self._rng.choice(self._entities).properties["name"])
            started = time.perf_counter()
            hits = self._pkg.search(words, k=10, mode="vector")
            samples.searches_s.append(time.perf_counter() - started)
            samples.empty += len(hits) < 10
            samples.mixed += len({hit.model_id for hit in hits}) > 1


def _paced(per_s: int, is_over: Callable[[], bool]) -> Iterator[None]:
    began, number = time.perf_counter(), 0
    while not is_over():
        pause_s = began + number / per_s - time.perf_counter()
        if pause_s > 0:
            time.sleep(pause_s)
        yield
        number += 1


def _percentile_ms(samples_s: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(samples_s, percent)) * 1_000, 2) if samples_s else float("nan")
