"""Eight processes on one PKG, one of which is killed again and again; and the proof that all of it was right."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import warm
from tests.faults.eight_worker import LONG_S, opened, owner_in

_ROOT = Path(__file__).parents[2]
ROLES: Mapping[str, str] = {
    "e1": "entities",
    "e2": "entities",
    "e3": "entities",
    "r": "relationships",
    "f": "foreign",
    "s1": "searches",
    "s2": "searches",
    "engine": "engine",
}
KINDS = ("entities", "relationships", "foreign", "searches")


@dataclass
class Told:
    """What the processes have said."""

    put: dict[str, int] = field(default_factory=dict)
    """Acknowledged entities, and the least value of `n` that they must have."""
    gone: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    related: set[tuple[str, str]] = field(default_factory=set)
    searched: list[Mapping[str, Any]] = field(default_factory=list)
    commits: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """Seconds that each acknowledged commit took, by kind of writer."""

    def hear(self, role: str, word: str, facts: Mapping[str, Any]) -> None:
        """Take in one line."""
        if "s" in facts and word != "searched":
            self.commits[role].append(facts["s"])
        if word == "put":
            self.put[facts["id"]] = facts.get("n", 0)
        elif word == "try":
            self.tried.add(facts["id"])
        elif word == "gone":
            self.gone.add(facts["id"])
        elif word == "relate":
            self.related.add((facts["source"], facts["target"]))
        elif word == "searched":
            self.searched.append(facts)


class Worker:
    """One of the eight, started anew when it was killed."""

    def __init__(self, directory: Path, name: str, count: int, told: Told, lock: threading.Condition) -> None:
        self.name, self.role = name, ROLES[name]
        self._directory, self._count, self._told, self._lock = directory, count, told, lock
        self.next_number = self.lines = 0
        self.is_ready = self.is_done = False
        self.start()

    def start(self) -> None:
        """Start it, to go on behind its last step."""
        self.is_ready, self.lines = False, 0
        arguments = (str(self._directory), self.role, self.name, str(self.next_number), str(self._count))
        self.process = warm.Popen(
            [sys.executable, "-m", "tests.faults.eight_worker", *arguments],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            word, _, facts = line.partition(" ")
            if not line.endswith("\n"):
                return  # it was killed amid a line
            with self._lock:
                self.lines += 1
                self.is_ready |= word == "ready"
                self.is_done |= word == "done"
                self._told.hear(self.role, word, json.loads(facts))
                if word in ("put", "gone", "relate") and "s" in json.loads(facts):
                    self.next_number += 1
                self._lock.notify_all()

    def kill(self) -> None:
        """Kill it, and hear what it said before."""
        self.process.kill()
        self._join()

    def end(self) -> int:
        """Let it end in order; returns its exit code."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        return self._join()

    def _join(self) -> int:
        code = self.process.wait(LONG_S)
        self._reader.join(LONG_S)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        return code


class Soak:
    """Runs the eight. Every wait is for something that was said, or for the lease."""

    def __init__(self, directory: Path, count: int, seed: int) -> None:
        self._directory, self._chance = directory, random.Random(seed)
        self.told, self.takeovers_s, self.kills = Told(), list[float](), 0
        self._lock = threading.Condition()
        with closing(opened(directory)):
            pass  # the engine's first process makes the PKG
        self.workers = {name: Worker(directory, name, count, self.told, self._lock) for name in ROLES}

    def wait_until(self, condition: Any) -> None:
        """Wait for something that the processes say."""
        with self._lock:
            assert self._lock.wait_for(condition, LONG_S), self.state()

    def state(self) -> str:
        """Return where everybody is."""
        return str({n: (w.next_number, w.is_ready, w.is_done, w.process.poll()) for n, w in self.workers.items()})

    def kill_one(self) -> None:
        """Kill the process that is there for it, or whoever runs the engine, at a random moment; start it anew."""
        worker = self.workers["engine"]
        if self.kills % 2:
            owner = owner_in(self._directory)
            worker = next((w for w in self.workers.values() if w.process.pid == owner), worker)
        others = [w for w in self.workers.values() if w is not worker and not w.is_done and w.role != "engine"]
        self.wait_until(lambda: worker.is_ready)
        if others:
            other, further = self._chance.choice(others), self._chance.randrange(1, 25)
            reached = other.next_number + further
            self.wait_until(lambda: other.next_number >= reached or other.is_done)
        was_owner = owner_in(self._directory) == worker.process.pid
        began_s = time.perf_counter()
        worker.kill()
        self.kills += 1
        if was_owner and not all(w.is_done for w in self.workers.values() if w is not worker):
            self._wait_for_owner(worker.process.pid)
            self.takeovers_s.append(time.perf_counter() - began_s)
        if not worker.is_done:
            worker.start()

    def _wait_for_owner(self, killed: int) -> None:
        deadline = time.monotonic() + LONG_S
        while (owner_in(self._directory) or killed) == killed:
            assert time.monotonic() < deadline, f"nobody took over: {self.state()}"
            time.sleep(0.001)

    def wait_for_work(self) -> None:
        """Wait until everybody has done what was to be done."""
        self.wait_until(lambda: all(w.is_done for w in self.workers.values() if w.role != "engine"))

    def end(self) -> None:
        """End everybody in order."""
        codes = {name: worker.end() for name, worker in self.workers.items()}
        # One that has said that it is done may have been killed behind that.
        assert all(code == 0 or self.workers[name].is_done for name, code in codes.items()), codes

    def close(self) -> None:
        """End what is still there, in whatever way."""
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.kill()

    def prove(self) -> None:
        """Nothing acknowledged is lost, each answer held its own commit, and the index is that of the graph."""
        told = self.told
        missed = [facts for facts in told.searched if not facts["held"]]
        assert not missed, missed[:5]
        with closing(opened(self._directory)) as slip:
            assert slip.sync.drain(LONG_S)
            report = slip.verify(hurry=True)
            assert report.is_consistent, report.divergences
            assert slip.status().dead_letters == 0
            rows = slip.pkg.query_sql("SELECT id, json_extract(properties, '$.n') AS n FROM entity")
            there = {row["id"]: row["n"] or 0 for row in rows}
            pairs = slip.pkg.query_sql("SELECT source, target FROM relationship WHERE type = 'KNOWS'")
            lost = {
                identity
                for identity, least in told.put.items()
                if identity not in told.gone | told.tried and there.get(identity, -1) < least
            }
            assert not lost, sorted(lost)[:10]
            assert not told.gone & there.keys(), sorted(told.gone & there.keys())[:10]
            assert told.related <= {(row["source"], row["target"]) for row in pairs}
