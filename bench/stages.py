"""
Where the time of an update goes, stage by stage: `python -m bench.stages DUMP`.

DUMP is JSON lines as `slipstream import` reads them (`bench/wordnet/data.py` writes them from WordNet). Every node
gets a new text, in transactions of a thousand, while the engine stands still; then the engine runs until all is
searchable. Stages are exclusive, and in processor time of their own threads: what other processes take away does not
count. The rest is bookkeeping between the stages, and threads that a model has of its own.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.peers.with_slipstream import TYPES
from bench.peers.work import SHOWN, SHOWN_MAX, VIEW
from slipstream.adapters.embedders.wordllama import WordLlamaEmbedder
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.graphs.sqlite.feed import SqliteFeed
from slipstream.adapters.indexes.sqlite.index import SqliteIndex
from slipstream.adapters.indexes.sqlite.journal import SqliteJournal
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import CONFIG_NAME
from slipstream.app.slipstream import Slipstream
from slipstream.apply.reconciler import Reconciler
from slipstream.bench.subject import batches
from slipstream.domain.models import ModelSpec
from slipstream.engine.intake import Intake
from slipstream.engine.loop import SyncEngine
from slipstream.engine.planner import Planner
from slipstream.events.importing import Importer
from slipstream.views.declaration import Via, View

_DIMENSION = 256


class FreeEmbedder:
    """Vectors that cost nothing: the same one for every text."""

    spec = ModelSpec("free", "1", _DIMENSION, cacheable=False)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors."""
        return np.full((len(texts), _DIMENSION), _DIMENSION**-0.5, dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return a guess."""
        return [len(text) // 4 for text in texts]

    def close(self) -> None:
        """Do nothing."""


_STAGES = (
    (SqliteFeed, "read", "read the log"),
    (Planner, "plan", "plan"),
    (Intake, "_take_in", "mark"),
    (SyncEngine, "take", "take"),
    (SqliteGraph, "read", "read the graph"),
    (SqliteIndex, "stamps", "read the stamps"),
    (SyncEngine, "prepare", "render, fingerprint, compare"),
    (SyncEngine, "embed", "around the model"),
    (FreeEmbedder, "embed", "model"),
    (WordLlamaEmbedder, "embed", "model"),
    (SqliteIndex, "upsert", "write the index"),
    (Reconciler, "apply", "make records"),
    (SqliteJournal, "set", "checkpoint"),
    (SyncEngine, "write", "settle, commit"),
)
"""Which methods are counted, and as what; the time of one inside another counts once."""


class Stages:
    """Exclusive processor time by stage, over all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._local = threading.local()
        self.spent_s: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block for a stage, and not for the one around it."""
        open_: list[float] = self._local.__dict__.setdefault("open", [])
        open_.append(0.0)
        began_s = time.thread_time()
        try:
            yield
        finally:
            took_s = time.thread_time() - began_s
            inner_s = open_.pop()
            if open_:
                open_[-1] += took_s
            with self._lock:
                self.spent_s[name] += took_s - inner_s
                self.calls[name] += 1

    def reset(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self.spent_s.clear()
            self.calls.clear()


def count(stages: Stages) -> None:
    """Have the methods counted, for the life of the process."""
    for kind, name, stage in _STAGES:
        setattr(kind, name, _counted(getattr(kind, name), stage, stages))


def _counted(method: Callable[..., Any], stage: str, stages: Stages) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with stages.stage(stage):
            return method(*args, **kwargs)

    return call


def drained_s(slip: Slipstream) -> tuple[float, float]:
    """Run the engine until all is searchable; return seconds, and processor seconds of the whole process."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    position = slip.pkg.feed.head()
    slip.sync.start()
    if not slip.sync.wait(position, timeout_s=600):
        raise RuntimeError("not searchable in time")
    took = time.perf_counter() - began_s, time.process_time() - cpu_s
    slip.sync.stop()
    return took


def edit_all(slip: Slipstream, ids: Sequence[str], serial: int, size: int) -> None:
    """Give every entity a new text."""
    for page in batches(ids, size):
        with slip.pkg.transaction() as tx:
            for entity_id in page:
                tx.update_entity(entity_id, {"name": f"edit {serial} of {entity_id}"})


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__.splitlines()[1])
    parser.add_argument("dump", type=Path)
    parser.add_argument("--model", choices=("free", "static"), default="free")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--neighbours", action="store_true", help="views that show neighbours, as in bench.peers")
    options = parser.parse_args()
    via = {"broader": Via(SHOWN, limit=SHOWN_MAX)}
    views = tuple(View(name, VIEW, via) for name in TYPES) if options.neighbours else ()
    stages = Stages()
    count(stages)
    embedder: Any = FreeEmbedder() if options.model == "free" else WordLlamaEmbedder()
    with tempfile.TemporaryDirectory(prefix="slipstream-stages-") as folder:
        (Path(folder) / CONFIG_NAME).write_text("", encoding="utf-8")
        with open_pkg(Path(folder), run=False, options=Options(embedders=(embedder,), views=views)) as slip:
            report = Importer(slip.pkg, slip.journal, slip.dead_letters, slip.clock).run(options.dump)
            wall_s, cpu_s = drained_s(slip)
            _show(f"first index, {report.entities} entities", report.entities, wall_s, cpu_s, stages.spent_s)
            ids = [row.key.id for row in slip.pkg.scan(None, 10**6, frozenset())]
            _measured(slip, ids, stages, options.rounds)


def _measured(slip: Slipstream, ids: Sequence[str], stages: Stages, rounds: int) -> None:
    """Take each figure from the round where it was least: whatever disturbs a round only adds to it."""
    walls_s, cpus_s, spent_s = [], [], []
    for serial in range(rounds):
        edit_all(slip, ids, serial, 1_000)
        stages.reset()
        wall_s, cpu_s = drained_s(slip)
        walls_s.append(wall_s)
        cpus_s.append(cpu_s)
        spent_s.append(dict(stages.spent_s))
    least_s = {name: min(each[name] for each in spent_s) for name in spent_s[0]}
    _show(f"updates, {len(ids)} a round", len(ids), min(walls_s), min(cpus_s), least_s)


def _show(title: str, updates: int, wall_s: float, cpu_s: float, spent_s: Mapping[str, float]) -> None:
    each_us, cpu_us = wall_s / updates * 1e6, cpu_s / updates * 1e6
    print(f"\n{title}: {updates / wall_s:,.0f}/s; {each_us:.1f} µs, {cpu_us:.1f} of processor")
    for name in dict.fromkeys(stage for _, _, stage in _STAGES):
        if name in spent_s:
            print(f"  {name:<30} {spent_s[name] / updates * 1e6:7.1f}")
    print(f"  {'rest':<30} {(cpu_s - sum(spent_s.values())) / updates * 1e6:7.1f}")


if __name__ == "__main__":
    main()
