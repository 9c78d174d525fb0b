"""One fault in one workload on a PKG of its own, and what is left checked."""

from __future__ import annotations

import json
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.faults.placed.jobs import ASK
from tests.faults.placed.working import PKG, configure
from tests.faults.placed.workloads import WORKLOADS
from tests.faults.preload import Call, Ended, Fault, Kind, Nursery

NOTHING = Fault("\0")
_HANGING_S = 60
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{8}T\d{6}Z(-\d+)?")


class BrokenPromiseError(AssertionError):
    """What was left is not as it should be; says where the fault was, and what the worker had said."""


@dataclass(frozen=True)
class Place:
    """A call in a workload over an index: its number, and what it does to which file."""

    index: str
    workload: str
    number: int
    call: str


@dataclass(frozen=True)
class Outcome:
    """What came of a fault that left everything right."""

    calls: tuple[str, ...]
    """Those that it really came to: threads do not make all calls in the same order each time."""
    is_killed: bool
    step: int
    """How far the graph was."""
    errors: tuple[str, ...] = ()
    """What the steps raised that failed."""
    reopened: int = 0
    """How often an engine had stopped for good."""
    is_hung: bool = False
    """Whether a call into Chroma never came back; see `_is_hung`."""


class Whole:
    """Runs workloads on a PKG of their own each, which a fault leaves behind as it is."""

    def __init__(self, nursery: Nursery, directory: Path) -> None:
        self._nursery, self._directory = nursery, directory
        self._digests: dict[tuple[str, int], str] = {}

    def places(self, index: str, workload: str) -> list[Place]:
        """Return every call that changes a file, in one run without a fault."""
        base = self._fresh(index, workload)
        calls = self._nursery.calls(f"{index}/{workload}", base, Fault(self._prefix(base)))
        return [Place(index, workload, number, _named(call)) for number, call in enumerate(calls, 1)]

    def kill_at(self, place: Place, kind: Kind) -> Outcome:
        """Kill a worker there, and check what it leaves."""
        base = self._fresh(place.index, place.workload)
        fault = Fault.at(self._prefix(base), place.number, kind)
        ended = self._nursery.run(f"{place.index}/{place.workload}", base, fault)
        return self.proved(place.index, place.workload, base, ended, f"{kind.name} at {place}")

    def kill_behind(self, index: str, workload: str, acknowledgements: int, spin: int) -> Outcome:
        """Kill a worker at no chosen call."""
        base = self._fresh(index, workload)
        ended = self._nursery.run(f"{index}/{workload}", base, NOTHING, kill_behind=acknowledgements, spin=spin)
        where = f"{index}/{workload} killed behind {acknowledgements} and {spin} turns"
        return self.proved(index, workload, base, ended, where)

    def fail_from(self, place: Place, span: int, kind: Kind, calls: Call, error: int) -> Outcome:
        """Let a span of calls fail; the worker must get over it, and come to its end."""
        base = self._fresh(place.index, place.workload)
        fault = Fault(self._prefix(base), place.number, place.number + span - 1, kind, calls, error)
        ended = self._nursery.run(f"{place.index}/{place.workload}", base, fault, patience_s=_HANGING_S)
        where = f"{kind.name} {calls!r} {error} for {span} from {place}"
        if ended.said[-1:] != ["ack close"] and not _is_hung(place.index, ended):
            raise BrokenPromiseError("\n".join([where, "did not come to its end", *ended.said, ended.error]))
        return self.proved(place.index, place.workload, base, ended, where)

    def worked(self, index: str, workload: str) -> tuple[Path, Ended]:
        """Run a workload without a fault; returns where, and what was said."""
        base = self._fresh(index, workload)
        return base, self._nursery.run(f"{index}/{workload}", base, NOTHING)

    def proved(self, index: str, workload: str, base: Path, ended: Ended, where: str) -> Outcome:
        """Check what a worker left; raises `BrokenPromiseError` for anything that is not as it should be."""
        told = "\n".join([where, *ended.said])
        if ended.error or not (ended.signal in (signal.SIGKILL, None) or _is_hung(index, ended)):
            raise BrokenPromiseError(f"{told}\nsignal {ended.signal}\n{ended.error}")
        ask = {"workload": workload, "said": ended.said}
        (base / ASK).write_text(json.dumps(ask))
        self._keep(base)
        checked = self._nursery.run("check", base, NOTHING)
        if checked.error or checked.signal is not None:
            raise BrokenPromiseError(f"{told}\n{checked.signal} {checked.error}")
        step, digest = (line.split(" ")[1] for line in checked.said[-2:])
        if digest != self._reference(workload, int(step)):
            raise BrokenPromiseError(f"{told}\ncomes to something else than without a fault, at step {step}")
        failed = [line for line in ended.said if line.startswith("failed ")]
        errors = tuple(line.partition(" | ")[2].partition(":")[0] for line in failed)
        calls = tuple(_named(line.split(" ", 2)[2]) for line in ended.said if line.startswith("call "))
        is_killed, is_hung = ended.signal == signal.SIGKILL, _is_hung(index, ended)
        return Outcome(calls, is_killed, int(step), errors, ended.said.count("reopened"), is_hung)

    def _keep(self, base: Path) -> None:
        """Keep what was left as it was, for whoever looks into a failure."""
        kept = base.with_name("kept")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(base, kept)

    def _reference(self, workload: str, step: int) -> str:
        """Return what a run without a fault comes to with the same commits: the same over every index."""
        if (workload, step) not in self._digests:
            base = self._fresh("sqlite", workload, "reference")
            (base / ASK).write_text(json.dumps({"workload": workload, "step": step}))
            self._digests[workload, step] = self._told("reference", base)[-1].split(" ")[1]
        return self._digests[workload, step]

    def _fresh(self, index: str, workload: str, name: str = "worked") -> Path:
        """Return a directory with a PKG as the workload needs it."""
        base = self._directory / name
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(self._template(index, workload), base)
        return base

    def _template(self, index: str, workload: str) -> Path:
        kind = WORKLOADS[workload]
        name = "empty" if kind.starts_empty else "tampered" if kind.is_tampered else "base"
        made = self._directory / f"{index}-{name}"
        if made.exists():
            return made
        begun = self._directory / "begun"
        shutil.rmtree(begun, ignore_errors=True)
        if name == "empty":
            configure(begun / PKG, index)
        elif name == "base":
            self._told(f"{index}/template", begun)
        else:
            shutil.copytree(self._template(index, "commits"), begun)
            self._told(f"{index}/tampered", begun)
        return begun.rename(made)

    def _told(self, job: str, base: Path) -> list[str]:
        ended = self._nursery.run(job, base, NOTHING)
        assert (ended.signal, ended.error) == (None, ""), f"{job}: {ended}"
        return ended.said

    @staticmethod
    def _prefix(base: Path) -> str:
        return f"{base / 'w'}/"


def _is_hung(index: str, ended: Ended) -> bool:
    """
    Whether the worker had to be ended, and may have had to be.

    A call into an embedded Chroma (1.5.9) whose disk failed may never return, and holds Python's lock: the process
    stands still for good, whatever else is in it. All that can be asked is that nothing is lost by it.
    """
    return index == "chroma" and ended.signal == signal.SIGABRT and not ended.error


def _named(call: str) -> str:
    """Return what is done to which file: `WRITE graph.db-wal`; ids and times are left out."""
    return _ID.sub("…", call).replace("pkg/.slipstream/", "")
