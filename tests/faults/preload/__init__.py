"""Faults at a chosen call of a real process: the library that places them, and the process that has it loaded."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

import pytest

_SOURCE = Path(__file__).with_name("fault.c")
ROOT = Path(__file__).parents[3]
_PATIENCE_S = 240
"""A machine may be busy, and a check says nothing until it is done."""


class Kind(IntEnum):
    """What happens at the call; the numbers are those of fault.c."""

    COUNT = 0
    KILL_BEFORE = 1
    KILL_AFTER = 2
    KILL_TORN = 3
    FAIL = 4
    SHORT = 5


KILLS = (Kind.KILL_BEFORE, Kind.KILL_TORN, Kind.KILL_AFTER)


class Call(IntFlag):
    """Which calls count."""

    WRITE = 1
    SYNC = 2
    TRUNCATE = 4
    UNLINK = 8
    RENAME = 16
    ANY = 31


@dataclass(frozen=True)
class Fault:
    """A fault at the `first` to the `last` call that changes a file whose path begins with `prefix`."""

    prefix: str
    first: int = 0
    last: int = 0
    kind: Kind = Kind.COUNT
    calls: Call = Call.ANY
    error: int = 0

    @classmethod
    def at(cls, prefix: Path | str, number: int, kind: Kind) -> Fault:
        """Return a kill at one call."""
        return cls(str(prefix), number, number, kind)


def arm(fault: Fault, listing: int = -1) -> None:
    """Arm the library that this process was started with; lists the calls to a descriptor, if one is given."""
    library = ctypes.CDLL(None)
    library.fault_arm(
        fault.prefix.encode(),
        int(fault.calls),
        ctypes.c_long(fault.first),
        ctypes.c_long(fault.last),
        int(fault.kind),
        fault.error,
        listing,
    )


def disarm() -> None:
    """Let everything pass from now on."""
    arm(Fault("\0"))


def built(directory: Path) -> Path:
    """Build the library; a machine without a compiler skips what needs it, unless it is to test everything."""
    if shutil.which("gcc") is None:
        if os.environ.get("CI"):
            pytest.fail("gcc is not installed: the faults at chosen calls can not be placed")
        pytest.skip("gcc is not installed")
    library = directory / "fault.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
    return library


@dataclass(frozen=True)
class Ended:
    """How a worker ended: what it said, line by line, and the signal that killed it, if one did."""

    said: list[str]
    signal: int | None
    error: str


class Nursery:
    """A process with the library loaded and everything imported, which forks a worker for each job."""

    def __init__(self, library: Path, scenarios: str = "tests.faults.graph.all_scenarios") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.preload.nursery", scenarios],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": str(library), "OPENBLAS_NUM_THREADS": "1"},
        )

    def run(
        self,
        scenario: str,
        path: Path,
        fault: Fault,
        *,
        kill_behind: int = -1,
        spin: int = 0,
        patience_s: float = _PATIENCE_S,
    ) -> Ended:
        """
        Run a worker until it ends.

        With `kill_behind` it is killed that many lines in, some turns of a loop later. One that says nothing for too
        long hangs, and is ended with SIGABRT.
        """
        job = {
            "scenario": scenario,
            "path": str(path),
            "fault": asdict(fault),
            "kill_behind": kill_behind,
            "spin": spin,
            "patience_s": patience_s,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return Ended(**answer)

    def calls(self, scenario: str, path: Path, fault: Fault) -> list[str]:
        """Run a worker without a fault, and return the calls that it made: `WRITE graph.db-wal` and the like."""
        ended = self.run(scenario, path, fault)
        assert ended.signal is None, ended.error
        return [line.removeprefix("call ").split(" ", 1)[1] for line in ended.said if line.startswith("call ")]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
