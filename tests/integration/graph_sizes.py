"""Graphs of a given size, and what they cost: bytes of the files, Python's peak memory, steps of SQLite's machine."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.positions import ORIGIN, Position
from tests.integration.graph_files import opened, run_raw


@dataclass
class Cost:
    """What a graph needs."""

    told: int = 0
    entity_types: int = 0
    relationship_types: int = 0
    file_bytes: int = 0
    wal_bytes: int = 0
    log_bytes: int = 0
    peak_bytes: int = 0


@contextmanager
def measured(path: Path, cost: Cost) -> Iterator[SqliteGraph]:
    """Open a graph, and read its feed to the end when the block is left."""
    tracemalloc.start()
    graph = opened(path)
    try:
        yield graph
        after = ORIGIN
        while page := graph.feed.read(after, 1_000):
            cost.told += len(page)
            after = Position(page[-1].position or 0)
        _, cost.peak_bytes = tracemalloc.get_traced_memory()
        schema = graph.schema()
        cost.entity_types, cost.relationship_types = len(schema.entity_types), len(schema.relationship_types)
        cost.wal_bytes = (path / "graph.db-wal").stat().st_size
        size = "SELECT sum(length(coalesce(old, '')) + length(coalesce(new, ''))) + 100 * count(*) FROM change"
        (cost.log_bytes,) = run_raw(path, size)[0]
    finally:
        graph.close()
        tracemalloc.stop()
    cost.file_bytes = (path / "graph.db").stat().st_size


def many_types(path: Path, types: int, *, per_commit: int) -> Cost:
    """Make so many entity types and relationship types, some in each commit."""
    cost = Cost()
    with measured(path, cost) as graph:
        for start in range(0, types, per_commit):
            with graph.transaction() as tx:
                for number in range(start, start + per_commit):
                    tx.create_entity(f"Kind {number}", f"a{number}", {f"property {number}": number})
                    tx.create_entity(f"Kind {number}", f"b{number}", {})
                    tx.relate(f"a{number}", f"relates in way {number}", f"b{number}", {f"since {number}": number})
    return cost


def adding_to_a_hub(path: Path, relationships: int) -> tuple[int, int]:
    """Return how many steps the 100th to 200th relationship of a hub take, and the last hundred, in and out both."""
    graph = opened(path)
    with graph.transaction() as tx:
        tx.create_entity("Hub", "hub")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    graph._database._writer.set_progress_handler(count, 1)
    found: list[int] = []
    for start in range(0, relationships, 100):
        before = steps
        with graph.transaction() as tx:
            for number in range(start, start + 100):
                tx.create_entity("Item", f"x{number:06}")
                tx.relate("hub", "HOLDS", f"x{number:06}")
                tx.relate(f"x{number:06}", "IS_IN", "hub")
        found.append(steps - before)
    graph._database._writer.set_progress_handler(None, 0)
    graph.close()
    return found[1], max(found[-10:])


def one_text_updated(path: Path, *, updates: int, size: int) -> Cost:
    """Update one text again and again."""
    cost = Cost()
    with measured(path, cost) as graph:
        for number in range(updates):
            with graph.transaction() as tx:
                tx.upsert_entity("Doc", "d", {"n": number, "text": f"{number} " + "x" * size})
    return cost


def many_long_texts(path: Path, *, texts: int, size: int) -> Cost:
    """Write many long texts, a hundred in each commit."""
    cost = Cost()
    with measured(path, cost) as graph:
        for start in range(0, texts, 100):
            with graph.transaction() as tx:
                for number in range(start, start + 100):
                    tx.create_entity("Doc", f"d{number}", {"text": f"{number} " + "x" * size})
    return cost
