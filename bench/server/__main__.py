"""
WordNet whole in a warm server: `python -m bench.server`, five minutes on two quiet cores.

Searches in Python, then the same over HTTP by one client; then 16 clients for a minute, while somebody commits once a
second and waits until that is searchable; then a full audit. The static model embeds, so that the way there and back
shows. `--hostile N` sends N slow, broken and hostile requests instead (see `bench.server.hostile`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import slipstream
from bench.processes.latency import percentile
from bench.result_files import interruptible, say, write_result
from bench.server.hostile import survived
from bench.server.load import begun, seen
from bench.server.process import Connection, Server, audited, served
from bench.wordnet.data import fetch, write_dump
from slipstream.bench.machine import load_average

_ALONE = 500
_COMMITS = 40
_COMMANDS = 9
_CLIENTS = 16


def main() -> None:
    """Measure, print and write the figures."""
    options = _options()
    with interruptible("slipstream-server-") as folder:
        load_before = load_average()
        dump = write_dump(options.data or fetch(folder / "wordnet"), folder / "dump.jsonl", options.synsets)
        directory = _filled(folder / "pkg", dump.path)
        queries = _queries(dump.path)
        if options.hostile:
            kind, found = "server-hostile", survived(directory, options.hostile, queries)
        else:
            kind, found = "server", _measured(directory, queries, options.seconds)
        found = {"entities": dump.entities, "relationships": dump.relationships, "load_before": load_before, **found}
        print(json.dumps(found, indent=1))
        say(f"written: {write_result(kind, found, folder, path=options.output)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.server", description="A warm server.")
    parser.add_argument("--data", type=Path, help="a folder where wordnet-base is unpacked")
    parser.add_argument("--synsets", type=int, help="only so many, to see that it works")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the 16 clients search")
    parser.add_argument("--hostile", type=int, default=0, help="send so many hostile requests instead")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _filled(directory: Path, dump: Path) -> Path:
    """Return a PKG of the dump, indexed by the static model."""
    say("importing")
    directory.mkdir()
    (directory / "slipstream.toml").write_text('[models]\ndefault = "wordllama-l2"\n', encoding="utf-8")
    command = [sys.executable, "-m", "slipstream", "--dir", str(directory), "import", str(dump)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return directory


def _queries(dump: Path) -> list[str]:
    """Return the glosses of every 50th node."""
    texts = []
    with dump.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            row = json.loads(line)
            if row["type"] == "node" and number % 50 == 0:
                texts.append(row["properties"]["description"][:200])
    return texts


def _measured(directory: Path, queries: Sequence[str], seconds: float) -> dict[str, Any]:
    say("searching in Python")
    python_ms = _in_python(directory, queries)
    alone_ms = _by_command(directory, queries)
    with served(directory) as server:
        say("searching over HTTP")
        http_ms = _over_http(server, queries)
        asked_ms = _by_command(directory, queries)
        say("a commit a second, idle")
        idle_ms = _freshness(server, _COMMITS)
        say(f"{_CLIENTS} clients for {seconds:g} s")
        clients = begun(server.port, _CLIENTS, seconds, queries)
        busy_ms = _freshness(server, max(5, int(seconds) - 5))
        found = seen(clients)
        resident_mb = server.resident_mb()
        say("auditing")
        consistency = audited(server)
    many_ms = found["taken_ms"]
    return {
        "python": _shown(python_ms),
        "http": _shown(http_ms),
        "over_python_ms": percentile(http_ms, 0.5) - percentile(python_ms, 0.5),
        "command_alone": _shown(alone_ms),
        "command_served": _shown(asked_ms),
        "command_ratio": percentile(asked_ms, 0.5) / percentile(alone_ms, 0.5),
        "clients": {
            **_shown(many_ms),
            "searches_per_s": len(many_ms) / seconds,
            "errors": len(found["errors"]),
            "first_error": (found["errors"] or [None])[0],
            "p99_over_p50": percentile(many_ms, 0.99) / percentile(many_ms, 0.5),
        },
        "freshness_idle": _shown(idle_ms),
        "freshness_busy": _shown(busy_ms),
        "freshness_ratio_p95": percentile(busy_ms, 0.95) / percentile(idle_ms, 0.95),
        "resident_mb": resident_mb,
        "consistency": consistency,
    }


def _in_python(directory: Path, queries: Sequence[str]) -> list[float]:
    with slipstream.open(directory) as slip:
        taken_ms = []
        for number in range(_ALONE + 20):
            began = time.perf_counter()
            slip.search(queries[number % len(queries)], 10, mode="vector")
            taken_ms.append((time.perf_counter() - began) * 1000)
    return taken_ms[20:]


def _by_command(directory: Path, queries: Sequence[str]) -> list[float]:
    """Return how long `slipstream search` takes, from its start to its end."""
    taken_ms = []
    for query in queries[:_COMMANDS]:
        began = time.perf_counter()
        command = [sys.executable, "-m", "slipstream", "--dir", str(directory), "search", query]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        taken_ms.append((time.perf_counter() - began) * 1000)
    return taken_ms


def _over_http(server: Server, queries: Sequence[str]) -> list[float]:
    taken_ms = []
    with Connection(server.port) as connection:
        for number in range(_ALONE + 20):
            began = time.perf_counter()
            status, answer = connection.asked("POST", "/v1/search", {"text": queries[number % len(queries)], "k": 10})
            taken_ms.append((time.perf_counter() - began) * 1000)
            assert status == HTTPStatus.OK, answer
    return taken_ms[20:]


def _freshness(server: Server, commits: int) -> list[float]:
    """Return how long each of some commits, one a second, takes until it is committed and searchable."""
    taken_ms = []
    with Connection(server.port) as connection:
        for number in range(commits):
            began = time.perf_counter()
            values = {"entity_type": "Measured", "properties": {"name": f"measured {time.time_ns()}"}}
            status, answer = connection.asked("PUT", f"/v1/entities/measured-{number}?wait_s=10", values)
            taken_s = time.perf_counter() - began
            assert status in (HTTPStatus.OK, HTTPStatus.CREATED), answer
            taken_ms.append(taken_s * 1000)
            time.sleep(max(0.0, 1.0 - taken_s))
    return taken_ms


def _shown(taken_ms: Sequence[float]) -> dict[str, float]:
    names = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "most_ms": 1.0}
    return {name: round(percentile(taken_ms, share), 3) for name, share in names.items()}


if __name__ == "__main__":
    main()
