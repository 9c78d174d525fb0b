"""Chapter 3: a worker process is killed in the middle of its edits; nothing that it acknowledged may be lost."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.slipstream import Slipstream
from slipstream.demo.corpus.edits import live_edits
from slipstream.demo.editing import Expected
from slipstream.domain.entities import Entity
from slipstream.domain.errors import UnavailableError

SEED = 2


@dataclass(frozen=True, slots=True)
class Kill:
    """
    What the killed worker left, and what became of it.

    `lost` are the entities and relationships that do not show what the acknowledged edits made of them;
    `behind` is how many log positions the index was behind the graph when the PKG was opened again.
    """

    exit_code: int
    acknowledged: int
    position: int
    head: int
    behind: int
    lost: int
    seconds: float
    divergences: Mapping[str, int]
    consistency: float


def kill_and_recover(
    directory: Path, reopen: Callable[[], Slipstream], entities: Sequence[Entity], acknowledgements: int
) -> Kill:
    """Let a worker edit the (closed) PKG, kill it, open again, and compare with what it acknowledged."""
    positions, exit_code = _run_worker(directory, acknowledgements)
    with reopen() as slip:
        status = slip.status()
        lost = _lost(slip, entities, len(positions)) + max(0, positions[-1] - status.head)
        started = time.perf_counter()
        slip.sync.start()
        slip.sync.drain()
        seconds = time.perf_counter() - started
        report = slip.verify()
    return Kill(
        exit_code=exit_code,
        acknowledged=len(positions),
        position=positions[-1],
        head=status.head,
        behind=status.lag_events,
        lost=lost,
        seconds=seconds,
        divergences={name: len(keys) for name, keys in report.divergences.items()},
        consistency=report.consistency or 0.0,
    )


def _run_worker(directory: Path, acknowledgements: int) -> tuple[list[int], int]:
    """Return every position that the worker acknowledged before it died, and how it ended."""
    command = [sys.executable, "-m", "slipstream.demo.worker", str(directory), str(SEED)]
    positions: list[int] = []
    # A session of its own: Ctrl-C reaches the parent alone, which kills the worker and waits for its end.
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as worker:  # noqa: S603
        lines = iter(worker.stdout or ())
        try:
            positions.extend(int(line) for line in itertools.islice(lines, acknowledgements))
        finally:
            worker.kill()
        positions.extend(int(line) for line in lines)  # told before the kill, not read yet
    if len(positions) < acknowledgements:
        raise UnavailableError(
            f"the worker ended by itself (exit code {worker.returncode}) after {len(positions)} edits: its own "
            "message is above"
        )
    return positions, worker.returncode


def _lost(slip: Slipstream, entities: Sequence[Entity], acknowledged: int) -> int:
    """Replay the worker's edits in memory and count what the graph does not show."""
    edits = live_edits(entities, SEED)
    expected = Expected()
    expected.follow(itertools.islice(edits, acknowledged))
    differing = expected.differing(slip.pkg)
    expected.follow([next(edits)])  # may have been committed with nobody left to acknowledge it
    return len(differing & expected.differing(slip.pkg))
