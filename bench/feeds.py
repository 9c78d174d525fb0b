"""
How fast `apply` takes change events of Debezium and of Neo4j, and how much memory it needs for it.

    python bench/feeds.py [--events 50000] [--old PYTHON] [--runs 3]

Each run is a process of its own that applies a file to a new PKG without an engine. `old` is the interpreter of
another version of Slipstream, which then takes turns with this one: both see the same machine. Memory is the peak
of the process, told for a fifth of the events and for all of them: flat means that both are about the same.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BATCH = 500
CHANGES = 5
"""Of each row."""
_BEGIN_MS = 1_767_000_000_000


def debezium(count: int) -> Iterator[dict[str, Any]]:
    """Yield records as they lie in a topic: rows that are created, and updated again and again."""
    rows = max(count // CHANGES, 1)
    for number in range(count):
        row, version = number % rows, number // rows
        after = {"id": row, "title": f"note {row}", "body": f"text {row} in version {version}. " * 8, "rank": version}
        source = {
            "version": "3.6.3.Final", "connector": "postgresql", "name": "kg", "ts_ms": _BEGIN_MS + number,
            "snapshot": "false", "db": "shop", "sequence": f'["{number}","{number}"]', "schema": "public",
            "table": "note", "txId": number, "lsn": 1_000_000 + number * 56, "xmin": None,
        }  # fmt: skip
        value = {"before": None, "after": after, "source": source, "transaction": None,
                 "op": "u" if version else "c", "ts_ms": _BEGIN_MS + number}  # fmt: skip
        yield {"topic": "kg.public.note", "partition": 0, "offset": number, "timestamp": _BEGIN_MS + number,
               "key": {"id": row}, "value": value}  # fmt: skip


def neo4j(count: int) -> Iterator[dict[str, Any]]:
    """Yield nodes that are created and updated, and relationships between them."""
    nodes = max(count // CHANGES, 2)
    for number in range(count):
        node, version = number % nodes, number // nodes
        meta = {"captureMode": "FULL", "txCommitTime": "2026-01-01T08:00:00Z"}
        is_edge = version == CHANGES - 1
        event = _edge(node, (node + 1) % nodes) if is_edge else _node(node, version)
        yield {"id": f"c{number}", "txId": number, "seq": 0, "metadata": meta, "event": event}


def _node(node: int, version: int) -> dict[str, Any]:
    state = {"labels": ["Note"], "properties": {"id": f"n{node}", "name": f"node {node}", "rank": version}}
    before = None if version == 0 else {**state, "properties": {**state["properties"], "rank": version - 1}}  # type: ignore[dict-item]
    return {
        "elementId": f"4:a:{node}", "eventType": "n", "operation": "u" if version else "c", "labels": ["Note"],
        "keys": {"Note": [{"id": f"n{node}"}]}, "state": {"before": before, "after": state},
    }  # fmt: skip


def _edge(source: int, target: int) -> dict[str, Any]:
    def end(node: int) -> dict[str, Any]:
        return {"elementId": f"4:a:{node}", "labels": ["Note"], "keys": {"Note": [{"id": f"n{node}"}]}}

    return {
        "elementId": f"5:a:{source}", "eventType": "r", "operation": "c", "type": "NEXT",
        "keys": [{"id": f"r{source}"}],
        "start": end(source), "end": end(target),
        "state": {"before": None, "after": {"properties": {"weight": source}}},
    }  # fmt: skip


KINDS = {"debezium": debezium, "neo4j": neo4j}


def child(file: Path, directory: Path) -> None:
    """Apply a file to a new PKG, and print what it took; also what another version runs."""
    import slipstream

    # The older version has it elsewhere.
    home = "slipstream.events.applying" if find_spec("slipstream.events") else "slipstream.service.applying"
    applier_of = importlib.import_module(home).Applier

    def batches() -> Iterator[list[str]]:
        batch: list[str] = []
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                batch.append(line)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    with slipstream.open(directory, create=True, run=False) as slip:
        begin, cpu = time.perf_counter(), time.process_time()
        report = applier_of(slip.pkg, slip.dead_letters, slip.clock).run(batches())
        taken = {"wall_s": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"applied": report.applied, "rejected": report.rejected, "peak_mb": peak_mb, **taken}))


def measured(python: str, file: Path) -> dict[str, float]:
    """Run a child of an interpreter over a file."""
    with tempfile.TemporaryDirectory() as directory:
        command = [python, __file__, "--child", str(file), f"{directory}/pkg"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=_without_pythonpath())  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _without_pythonpath() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def compare(kind: str, count: int, runs: int, pythons: dict[str, str], directory: Path) -> None:
    """Print one line for each version."""
    files = {size: directory / f"{kind}-{size}.jsonl" for size in (count // 5, count)}
    for size, file in files.items():
        file.write_text("".join(f"{json.dumps(each)}\n" for each in KINDS[kind](size)), encoding="utf-8")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    for _ in range(runs):
        for name, python in pythons.items():
            found[name].append(measured(python, files[count]))
    for name, results in found.items():
        assert all(each["rejected"] == 0 for each in results), results
        rate, cpu = (statistics.median(count / each[what] for each in results) for what in ("wall_s", "cpu_s"))
        small = measured(pythons[name], files[count // 5])["peak_mb"]
        peak = max(each["peak_mb"] for each in results)
        print(
            f"{kind:9} {name:4} {rate:8,.0f} events/s, {cpu:8,.0f} per second of CPU; "
            f"peak {small:.0f} MB at {count // 5:,}, {peak:.0f} MB at {count:,}"
        )


def main() -> None:
    """Parse arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--old", help="the interpreter of another version")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    pythons = {"new": sys.executable, **({"old": given.old} if given.old else {})}
    load, version = os.getloadavg()[0], platform.python_version()
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {load:.1f}, Python {version}")
    with tempfile.TemporaryDirectory() as directory:
        for kind in KINDS:
            compare(kind, given.events, given.runs, pythons, Path(directory))


if __name__ == "__main__":
    main()
