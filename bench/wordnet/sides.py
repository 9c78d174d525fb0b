"""The two versions: how they are built, and how their programs are run and measured from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.result_files import REPOSITORY, commit

OLD_COMMIT = "ad2138d"
"""The last one that kept its graph in ladybug."""
_CHILD = Path(__file__).with_name("child.py")
_GIT = ("git", "-C", str(REPOSITORY))
_SYNC = ("uv", "sync", "--quiet", "--locked", "--no-dev", "--extra", "static")


class MeasurementError(Exception):
    """A version did not do what was to be measured, so there is no figure."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has run: what it said last, how long it took, and its peak memory."""

    said: dict[str, Any]
    wall_s: float
    cpu_s: float
    peak_rss_mb: float


@dataclass(frozen=True, slots=True)
class Side:
    """One version, by the Python of its environment."""

    name: str
    python: Path
    version: str

    def command_line(self, directory: Path, *arguments: str) -> Ended:
        """Run `slipstream --dir directory …` from its start to its end."""
        return self._run("-m", "slipstream", "--dir", str(directory), *arguments)

    def child(self, task: str, directory: Path, dump: Path) -> Ended:
        """Run a task of `child.py`."""
        return self._run(str(_CHILD), task, str(directory), str(dump))

    def script(self, path: Path, *arguments: object) -> Ended:
        """Run a file with the Python of this version."""
        return self._run(str(path), *map(str, arguments))

    @contextmanager
    def beside(self, task: str, directory: Path, dump: Path) -> Iterator[list[dict[str, Any]]]:
        """Run a task of `child.py` beside the block, once it is ready; the list gets what it says at its end."""
        said: list[dict[str, Any]] = []
        with self._started(str(_CHILD), task, str(directory), str(dump)) as process:
            if process.stdin is None or process.stdout is None or not process.stdout.readline():
                raise MeasurementError(f"{self.name}: {task} did not get ready")
            yield said
            process.stdin.close()
            said.append(_last_line(process.stdout.read()))
            if process.wait():
                raise MeasurementError(f"{self.name}: {task} failed, exit code {process.returncode}")

    def _run(self, *arguments: str) -> Ended:
        started_s = time.perf_counter()
        with self._started(*arguments) as process:
            output = process.stdout.read() if process.stdout else ""
            # Not `process.wait()`: only this tells the memory of this one program.
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - started_s
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise MeasurementError(f"{self.name}: {' '.join(arguments)} failed, exit code {process.returncode}")
        # A new process inherits its parent's peak, so this one must stay small: it imports nothing large.
        return Ended(_last_line(output), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)

    @contextmanager
    def _started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(  # noqa: S603
            [str(self.python), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is told to this process alone, which ends the others
        ) as process:
            try:
                yield process
            except BaseException:  # nothing keeps running in a folder that is about to be removed
                process.kill()
                raise


def present() -> Side:
    """Return the present checkout, as it stands, in the environment that runs this."""
    return Side("new", Path(sys.executable), commit())


@contextmanager
def built(wanted: str, folder: Path, *, keep: bool) -> Iterator[Side]:
    """Check a commit out into a folder and build it there; unless it is to be kept, it is gone afterwards."""
    tree = folder / wanted
    try:
        if not tree.exists():
            subprocess.run([*_GIT, "worktree", "add", "--quiet", "--detach", str(tree), wanted], check=True)  # noqa: S603
        subprocess.run(_SYNC, cwd=tree, check=True, env=_environment())  # noqa: S603
        yield Side("old", tree / ".venv/bin/python", wanted)
    finally:
        if not keep:
            subprocess.run([*_GIT, "worktree", "remove", "--force", str(tree)], check=False)  # noqa: S603


def _environment() -> dict[str, str]:
    """Return what the programs run in: nothing of this environment may reach that of the other version."""
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _last_line(output: str) -> dict[str, Any]:
    lines: Sequence[str] = output.strip().splitlines()
    try:
        said = json.loads(lines[-1] if lines else "{}")
    except ValueError:  # the command line speaks to people
        return {}
    return said if isinstance(said, dict) else {}
