"""
A lone edit until it is searchable, beside the same work by hand: `python -m bench.lone DUMP`.

By hand: the commit on a second graph, the embedding of the same text, one durable upsert into a second index. In
turns, on graphs of the same content; the embedder costs nothing, so what is compared is the engine's own way.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.stages import FreeEmbedder
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.bench.subject import batches
from slipstream.bootstrap import Options, open_pkg
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import VectorRecord, vector_checksum
from slipstream.service.config import CONFIG_NAME
from slipstream.service.importing import Importer
from slipstream.service.slipstream import Slipstream

_PAUSE_S = 0.02


class Raw:
    """A graph and an index that hold what the PKG holds, without an engine between them."""

    def __init__(self, directory: Path, dump: Path, slip: Slipstream, keys: Sequence[str]) -> None:
        directory.mkdir()
        self.graph = SqliteGraph(directory / "graph.db", clock=SystemClock())
        self.store = SqliteStore(directory / "index.db")
        self.embedder = FreeEmbedder()
        Importer(self.graph, self.store.journal, self.store.journal, SystemClock()).run(dump)
        self.stamps = {}
        for page in batches([entity_key(key) for key in keys], 1_000):
            held = slip.store.index.stamps(page)
            self.stamps.update({key.id: stamps.records[0] for key, stamps in held.items()})
            vectors = slip.store.index.vectors(page, self.stamps[page[0].id].space)
            records = [VectorRecord(self.stamps[key.id]._replace(position=Position(1)), vectors[key]) for key in page]
            self.store.index.upsert(records)

    def edit(self, entity_id: str, name: str) -> None:
        """Commit, embed, write."""
        with self.graph.transaction() as tx:
            tx.update_entity(entity_id, {"name": name})
        vector = self.embedder.embed([name])[0]
        stamp = self.stamps[entity_id]._replace(position=self.graph.feed.head(), checksum=vector_checksum(vector))
        self.store.index.upsert([VectorRecord(stamp, vector)])

    def close(self) -> None:
        """Close both files."""
        self.graph.close()
        self.store.close()


def main() -> None:
    """Measure, and print both medians with their ratio."""
    parser = argparse.ArgumentParser(prog="python -m bench.lone", description="A lone edit, beside its raw parts.")
    parser.add_argument("dump", type=Path)
    parser.add_argument("--edits", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipstream-lone-") as folder:
        home = Path(folder) / "pkg"
        home.mkdir()
        (home / CONFIG_NAME).write_text("", encoding="utf-8")
        with open_pkg(home, options=Options(embedders=(FreeEmbedder(),))) as slip:
            Importer(slip.pkg, slip.journal, slip.dead_letters, slip.clock).run(options.dump)
            slip.sync.drain()
            ids = [row.key.id for row in slip.pkg.scan(None, 10**6, frozenset())]
            raw = Raw(Path(folder) / "raw", options.dump, slip, ids)
            _measure(slip, raw, [ids[number * 7919 % len(ids)] for number in range(options.edits)])
            raw.close()


def _measure(slip: Slipstream, raw: Raw, ids: Sequence[str]) -> None:
    engine, by_hand = _Samples("engine"), _Samples("by hand")
    for number, entity_id in enumerate(ids):
        name = f"edit {number} of {entity_id}"
        time.sleep(_PAUSE_S)
        with engine.taken():
            position = slip.pkg.update_entity(entity_id, {"name": name})
            if not slip.sync.wait(position, timeout_s=60):
                raise RuntimeError("not searchable in time")
        time.sleep(_PAUSE_S)
        with by_hand.taken():
            raw.edit(entity_id, name)
    engine.show()
    by_hand.show()
    print(f"ratio    p50 {engine.p50_ms / by_hand.p50_ms:6.2f}")


class _Samples:
    """Durations, and processor time of the whole process in them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._took_s: list[float] = []
        self._cpu_s: list[float] = []

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take one sample."""
        began_s, cpu_s = time.perf_counter(), time.process_time()
        yield
        self._took_s.append(time.perf_counter() - began_s)
        self._cpu_s.append(time.process_time() - cpu_s)

    @property
    def p50_ms(self) -> float:
        """The median."""
        return statistics.median(self._took_s) * 1e3

    def show(self) -> None:
        """Print them."""
        p95_ms, cpu_ms = statistics.quantiles(self._took_s, n=20)[-1] * 1e3, statistics.median(self._cpu_s) * 1e3
        print(f"{self._name:<8} p50 {self.p50_ms:6.2f} ms   p95 {p95_ms:6.2f} ms   processor {cpu_ms:6.2f} ms")


if __name__ == "__main__":
    main()
