"""The chapters of the demo. Each takes an open PKG (or its directory) and returns what it saw, as plain data."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.corpus.edits import EditKind, live_edits
from slipstream.corpus.python_environment import read_environment
from slipstream.corpus.report import CorpusReport
from slipstream.demo.editing import apply_edit
from slipstream.demo.tampering import tamper
from slipstream.demo.worker import entities_of
from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.errors import SlipstreamError
from slipstream.service.slipstream import Slipstream

BATCH = 500
EDITS_PER_S = 20.0
TEXT_MAX = 160
"""Characters of a description that the demo keeps: long texts cost a model time and show nothing more."""

QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("parse JSON text", {}),
    ("run many tasks at the same time", {"entity_type": "CodeEntity"}),
    ("a library for vectors and matrices", {"entity_type": "Package"}),
    ("command line arguments", {"expand": 1}),
)

Update = Callable[[int, int | None], None]


def capture(slip: Slipstream, entities_max: int, update: Update) -> dict[str, Any]:
    """Read the environment into the graph; the engine is not running yet."""
    report = CorpusReport()
    started = time.perf_counter()
    done = 0
    for batch in _batched(read_environment(entities_max=entities_max, report=report), BATCH):
        with slip.pkg.transaction() as tx:
            for item in batch:
                if isinstance(item, Entity):
                    tx.upsert_entity(item.type, item.id, _shortened(item))
                else:
                    ref = item.ref
                    tx.relate(
                        ref.source_id,
                        ref.type,
                        ref.target_id,
                        item.properties,
                        discriminator=ref.discriminator,
                        replace=True,
                    )
        done += len(batch)
        update(done, None)
    seconds = time.perf_counter() - started
    return {
        "entities": report.entity_count,
        "relationships": report.relationship_count,
        "by_type": dict(sorted(report.entities.items())),
        "seconds": round(seconds, 2),
        "per_s": round(done / seconds, 1),
    }


def _shortened(entity: Entity) -> dict[str, Any]:
    return {
        name: value[:TEXT_MAX] if isinstance(value, str) and name == "description" else value
        for name, value in entity.properties.items()
    }


def _batched(items: Iterable[Entity | Relationship], size: int) -> Iterator[list[Entity | Relationship]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def backfill(slip: Slipstream, update: Update) -> dict[str, Any]:
    """Start the engine on everything that has been captured and wait until all of it is in the index."""
    head = slip.status().head
    started = time.perf_counter()
    slip.sync.start()
    slip.sync.drain(on_progress=lambda status: update(max(0, head - status.lag_events), head))
    seconds = time.perf_counter() - started
    computed = slip.embedding.stats.computed
    return {"embedded": computed, "seconds": round(seconds, 2), "per_s": round(computed / seconds, 1)}


def edit_live(slip: Slipstream, count: int, update: Update) -> dict[str, Any]:
    """Commit edits at a steady rate; each is timed from before its commit until it is searchable."""
    edits = list(itertools.islice(live_edits(entities_of(slip), seed=1), count))
    before = slip.embedding.stats.computed
    latencies_ms: list[float] = []
    start = time.perf_counter()
    for number, edit in enumerate(edits):
        time.sleep(max(0.0, start + number / EDITS_PER_S - time.perf_counter()))
        began = time.perf_counter()
        position = apply_edit(slip.pkg, edit)
        if not slip.sync.wait(position, timeout_s=30.0):
            raise SlipstreamError(f"position {position} was not searchable within 30 s")
        latencies_ms.append((time.perf_counter() - began) * 1e3)
        update(number + 1, count)
    p50, p95, p99 = (float(value) for value in np.percentile(latencies_ms, (50, 95, 99)))
    kinds = Counter(edit.kind for edit in edits)
    return {
        "edits": len(edits),
        "irrelevant": kinds[EditKind.MOVE],
        "embedded": slip.embedding.stats.computed - before,
        "p50_ms": round(p50, 2),
        "p95_ms": round(p95, 2),
        "p99_ms": round(p99, 2),
        "latencies_ms": [round(value, 2) for value in latencies_ms],
    }


def kill_worker(directory: Path, acknowledgements: int) -> dict[str, Any]:
    """Let a worker process edit the (closed) PKG and kill it with SIGKILL after some acknowledged commits."""
    command = [sys.executable, "-m", "slipstream.demo.worker", str(directory), "2"]
    acknowledged = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:  # noqa: S603  (our own module)
        try:
            lines = iter(worker.stdout or ())
            for line in itertools.islice(lines, acknowledgements):
                acknowledged = int(line)
        finally:
            worker.kill()
        for line in lines:  # what it had acknowledged before it died
            acknowledged = int(line) if line.endswith(b"\n") else acknowledged
    return {"acknowledged_position": acknowledged, "exit_code": worker.returncode}


def recover(slip: Slipstream, acknowledged: int) -> dict[str, Any]:
    """Let the engine catch up with what the killed worker left, and prove both sides equal."""
    started = time.perf_counter()
    slip.sync.drain()
    seconds = time.perf_counter() - started
    report = slip.verify()
    return {
        "head": slip.status().head,
        "lost": max(0, acknowledged - slip.status().head),
        "seconds": round(seconds, 2),
        "divergences": {name: len(keys) for name, keys in report.divergences.items()},
        "consistency": report.consistency,
    }


def find_and_repair(directory: Path, reopen: Callable[[], Slipstream], count: int) -> dict[str, Any]:
    """Tamper with the (closed) index file, find every divergence by its class, repair, and audit again."""
    tampered = tamper(directory / ".slipstream" / "index.sqlite", count)
    with reopen() as slip:
        before = slip.verify()
        found = {name: sorted(key.encode() for key in keys) for name, keys in before.divergences.items()}
        wanted = {
            "missing": sorted(tampered.missing),
            "stale": sorted(tampered.stale),
            "orphaned": sorted(tampered.orphaned),
        }
        marked = slip.repair(before)
        slip.sync.drain()
        after = slip.verify()
        again = slip.repair(after)
    return {
        "tampered": {name: len(keys) for name, keys in wanted.items()},
        "found": {name: len(keys) for name, keys in found.items()},
        "all_found": all(found[name] == keys for name, keys in wanted.items()),
        "marked": marked,
        "marked_again": again,
        "consistency_before": before.consistency,
        "consistency": after.consistency,
    }


def rewrite_by_cypher(slip: Slipstream) -> dict[str, Any]:
    """Change entities by arbitrary Cypher, past the typed mutations; the engine finds out what it touched."""
    marker = "reviewed by penguins"
    position = slip.pkg.execute("MATCH (c:Concept) SET c.name = c.name + $text", text=f", {marker}")
    searchable = slip.sync.wait(position, timeout_s=60.0)
    hits = slip.search(marker, k=3, after=position)
    return {
        "searchable": searchable,
        "hits_that_show_it": sum(1 for hit in hits if marker in hit.text),
        "consistency": slip.verify().consistency,
    }


def ask(slip: Slipstream) -> list[dict[str, Any]]:
    """Search for a few things that any Python environment knows of."""
    answers = []
    for text, options in QUESTIONS:
        results = slip.search(text, k=3, **options)
        answers.append(
            {
                "question": text,
                **options,
                "hits": [
                    {
                        "score": round(hit.score, 3),
                        "type": hit.entity_type,
                        "id": hit.entity_id,
                        "name": hit.name,
                        "neighbours": len(hit.neighbours),
                    }
                    for hit in results
                ],
            }
        )
    return answers
