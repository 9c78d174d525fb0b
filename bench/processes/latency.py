"""
How soon a commit is searchable: in the process that runs the engine, and in another one, in turn in one run.

The model embeds in no time, so that what is measured is the way there and back.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

from tests.faults.eight_worker import LONG_S, opened

from slipstream.app.slipstream import Slipstream

ROOT = Path(__file__).parents[2]
PACE_S = 0.05


def measured(directory: Path, rounds: int, commits: int) -> dict[str, list[float]]:
    """Return milliseconds from before each commit until it was waited for, and until it was found."""
    found: dict[str, list[float]] = {}
    for number in range(2 * rounds):
        if number % 2:
            with engine_elsewhere(directory), closing(opened(directory, run=False)) as slip:
                assert not slip.runs_engine
                _measure(slip, commits, found, "other")
        else:
            with closing(opened(directory)) as slip:
                assert slip.runs_engine
                _measure(slip, commits, found, "own")
    return found


def _measure(slip: Slipstream, commits: int, found: dict[str, list[float]], where: str) -> None:
    slip.search("warm", 1, mode="vector")
    slip.sync.drain(LONG_S)
    for number in range(commits):
        text = f"{where} {time.perf_counter_ns()}"
        began_s = time.perf_counter()
        position = slip.pkg.upsert_entity("Question", f"q{number % 50}", {"name": text})
        committed_s = time.perf_counter()
        assert slip.sync.wait(position, LONG_S)
        waited_s = time.perf_counter()
        hits = slip.search(text, 1, after=position, timeout_s=LONG_S, mode="vector").hits
        answered_s = time.perf_counter()
        assert hits[0].text == text
        for name, at_s in (("commit", committed_s), ("searchable", waited_s), ("answered", answered_s)):
            found.setdefault(f"{where}_{name}_ms", []).append((at_s - began_s) * 1000)
        time.sleep(max(0.0, PACE_S - (answered_s - began_s)))


@contextmanager
def engine_elsewhere(directory: Path) -> Iterator[None]:
    """Have another process run the engine."""
    command = [sys.executable, "-m", "tests.faults.eight_worker", str(directory), "engine", "engine", "0", "0"]

    with Popen(command, cwd=ROOT, text=True, stdin=PIPE, stdout=PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        try:
            yield
        finally:
            process.communicate("", timeout=LONG_S)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that such a share of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
