"""Where peers run: an environment each, made by uv from pinned requirements, and a process each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parents[1]
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_TIMEOUT_S = 3_600.0
_QUIET = {"COCOINDEX_DISABLE_USAGE_TRACKING": "1", "ANONYMIZED_TELEMETRY": "False"}


class PeerError(Exception):
    """A peer could not be installed, or did not come to the end of its steps."""


@dataclass(frozen=True, slots=True)
class Place:
    """One peer, by the Python that runs it."""

    name: str
    python: Path

    def run(self, directory: Path, dump: Path, *, rebuild: bool) -> dict[str, Any]:
        """Let the peer do all its work in a new process and directory; return what it said."""
        arguments = [self.name, str(directory), str(dump), *(["rebuild"] if rebuild else [])]
        command = [str(self.python), "-m", "bench.peers.child", *arguments]
        environment = {**os.environ, **_QUIET, "PYTHONPATH": str(_REPOSITORY)}
        done = subprocess.run(  # noqa: S603
            command, env=environment, stdout=subprocess.PIPE, text=True, check=False, timeout=_TIMEOUT_S
        )
        if done.returncode:
            raise PeerError(f"{self.name} failed, exit code {done.returncode}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def place(name: str, folder: Path) -> Place:
    """Return where a peer runs: Slipstream in the present environment, others in one made when it is missing."""
    requirements = _HERE / "requirements" / f"{name}.txt"
    if not requirements.exists():
        return Place(name, Path(sys.executable))
    home = folder / name
    python = home / "bin" / "python"
    made = home / "made-of.txt"
    if not made.exists() or made.read_text(encoding="utf-8") != requirements.read_text(encoding="utf-8"):
        _uv("venv", "--quiet", "--clear", "--python", _PYTHON, str(home))
        _uv("pip", "install", "--quiet", "--python", str(python), "--requirement", str(requirements))
        made.write_text(requirements.read_text(encoding="utf-8"), encoding="utf-8")
    return Place(name, python)


def _uv(*arguments: str) -> Sequence[str]:
    done = subprocess.run(["uv", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise PeerError(f"uv {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.splitlines()
