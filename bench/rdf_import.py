"""
RDF until it is searchable, beside the bare parser and the bare stores on the same data; and the memory that it takes.

    uv run --all-extras python -m bench.rdf_import               # 500,000 triples: the ratio
    uv run --all-extras python -m bench.rdf_import --memory      # 1,000,000 triples: the peak, engine standing

Bare is: pyoxigraph reads every triple of the file and does nothing with it; the same entities and relationships are
written into a graph file, a thousand a transaction; the static model embeds the same texts in batches of a thousand;
the same records go into an index. Processor time stands beside the clock's, for other programs on the machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyoxigraph

from bench.rdf_terms import write_terms
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.embedders.wordllama import WordLlamaEmbedder
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.composition import Options, open_pkg
from slipstream.bench.subject import COMMIT_SIZE, Probe, Subject, batches
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.stamps import VectorRecord
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.rdf.reader import reader
from slipstream.importers.rows import EntityRow, RelationshipRow, Row, Stage
from slipstream.testkit.embedders import HashEmbedder

_CONFIG = '[models]\ndefault = "wordllama-l2"\n\n[scrub]\nenabled = false\n'
_PATIENCE_S = 3_600.0
Taken = tuple[float, float]
"""Seconds by the clock, and of the processor."""


def timed(work: Callable[[], object]) -> Taken:
    """Return how long the work took."""
    began, spent = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - spent


def parsed(path: Path) -> None:
    """Read every triple."""
    for _ in pyoxigraph.parse(path=str(path)):
        pass


def rows_of(path: Path) -> list[Row]:
    """Return what the importer makes of a file."""
    source = reader(source_files([path]), ReadOptions())
    return [row for stage in Stage for row in source.rows(stage, lambda _: None)]


def written(folder: Path, rows: Sequence[Row]) -> None:
    """Write rows into a graph file of their own."""
    graph = SqliteGraph(folder / "graph.db", clock=SystemClock())
    for page in batches(rows, COMMIT_SIZE):
        with graph.transaction() as tx:
            for row in page:
                content = row.content
                if isinstance(content, EntityRow):
                    tx.upsert_entity(content.type, content.id, content.properties)
                elif isinstance(content, RelationshipRow):
                    tx.relate(content.source_id, content.type, content.target_id, content.properties, replace=True)
    graph.close()


def indexed(folder: Path, records: Sequence[VectorRecord]) -> None:
    """Write records into an index of their own."""
    store = SqliteStore(folder / "index.db")
    for page in batches(records, COMMIT_SIZE):
        refused = store.index.upsert(page)
        assert not refused
    store.close()


def imported(folder: Path, path: Path, keys: Sequence[RecordKey]) -> tuple[Taken, list[str], list[VectorRecord]]:
    """Import until all is searchable; return the time, the texts and the records."""
    folder.mkdir()
    (folder / "slipstream.toml").write_text(_CONFIG, encoding="utf-8")
    model = WordLlamaEmbedder()
    with open_pkg(folder, create=True) as slip:
        slip.embedding.embed_query("warm", model.spec.id)

        def work() -> None:
            report = slip.import_files(path)
            assert slip.sync.wait(report.position, timeout_s=_PATIENCE_S)
            assert report.rejected == 0

        taken = timed(work)
        subject = Subject(slip, model, Probe())
        return taken, subject.texts(keys), subject.records(keys)


def ratio(path: Path, folder: Path) -> dict[str, Any]:
    """Return what the import takes beside its parts."""
    rows = rows_of(path)
    keys = [entity_key(row.content.id) for row in rows if isinstance(row.content, EntityRow)]
    whole, texts, records = imported(folder / "pkg", path, keys)
    model = WordLlamaEmbedder()
    model.embed(texts[:1])
    parts = {
        "parser": timed(lambda: parsed(path)),
        "graph": timed(lambda: written(folder, rows)),
        "model": timed(lambda: [model.embed(page) for page in batches(texts, COMMIT_SIZE)]),
        "index": timed(lambda: indexed(folder, records)),
    }
    seconds, cpu = (sum(taken[place] for taken in parts.values()) for place in (0, 1))
    return {
        "entities": len(keys),
        "relationships": len(rows) - len(keys),
        "parts_s": {name: [round(part, 2) for part in taken] for name, taken in parts.items()},
        "import_s": [round(part, 2) for part in whole],
        "ratio": round(seconds / whole[0], 2),
        "ratio_cpu": round(cpu / whole[1], 2),
    }


def memory(path: Path, folder: Path) -> dict[str, Any]:
    """Import twice with the engine standing; return the peak, and what was there before."""
    options = Options(embedders=(HashEmbedder(dimension=8),))
    with open_pkg(folder / "pkg", create=True, run=False, options=options) as slip:
        before_mb = _peak_mb()
        rows_of_stages = 0
        source = reader(source_files([path]), ReadOptions())
        for stage in Stage:
            for _ in source.rows(stage, lambda _: None):
                rows_of_stages += 1
        reading_mb = _peak_mb()
        first = slip.import_files(path)
        second = slip.import_files(path)
        assert first.position == second.position, "the second import changed something"
        return {
            "rows": rows_of_stages,
            "file_mb": round(path.stat().st_size / 1e6, 1),
            "before_mb": before_mb,
            "reading_peak_mb": reading_mb,
            "import_peak_mb": _peak_mb(),
        }


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Write the file, and measure in a child, whose peak is its own."""
    parser = argparse.ArgumentParser(description="Import RDF.")
    parser.add_argument("--triples", type=int)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        measure = memory if asked.memory else ratio
        print(json.dumps(measure(*map(Path, asked.child)), indent=2))
        return
    triples = asked.triples or (1_000_000 if asked.memory else 500_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "terms.ttl"
        write_terms(path, triples)
        command = [sys.executable, "-m", "bench.rdf_import", *(["--memory"] if asked.memory else [])]
        subprocess.run([*command, "--child", str(path), folder], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
