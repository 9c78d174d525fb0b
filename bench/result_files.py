"""The files of `bench/results`: each run with its machine, versions, commit and date; the manners of a long run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from slipstream.bench.machine import load_average, machine_facts

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "bench" / "results"
_GIT = ("git", "-C", str(REPOSITORY))


def write_result(kind: str, found: Mapping[str, Any], folder: Path, *, path: Path | None = None) -> Path:
    """Write figures with what they must be read with; `folder` is where they were measured. Returns the file."""
    facts = {**machine_facts(folder), "load_after": load_average()}
    whole = {"kind": kind, "date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit(), "machine": facts, **found}
    path = path or _free_path(kind, facts)
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    return path


def newest(kind: str) -> Path | None:
    """Return the newest recorded run of a kind; None when there is none."""
    found = [path for path in FOLDER.glob(f"*-{kind}-*.json") if _kind_of(path) == kind]
    return max(found, key=_order, default=None)


def commit() -> str:
    """Return the checkout's commit, and whether the sources differ from it."""
    short = _output(*_GIT, "rev-parse", "--short", "HEAD")
    changed = _output(*_GIT, "status", "--porcelain", "--", "src")
    return f"{short} with uncommitted changes" if changed else short


@contextmanager
def interruptible(prefix: str) -> Iterator[Path]:
    """Give a temporary folder; Ctrl-C and SIGTERM end the block once, remove the folder, and exit with 130."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield Path(folder)
    except KeyboardInterrupt:
        say("interrupted; everything is removed")
        sys.exit(130)


def say(step: str) -> None:
    """Tell the person who waits."""
    print(f"{datetime.now(UTC):%H:%M:%S} {step}", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Cleaning up is not to be interrupted by a second Ctrl-C, or by what passes on the first."""
    del number, frame
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _free_path(kind: str, machine: Mapping[str, Any]) -> Path:
    """Return the next name: day, kind, number, machine."""
    cpu = re.sub(r"\(\w+\)", "", "-".join(machine["cpu"].lower().split()[:2]))  # a name of a file, and of a link
    stem = f"{datetime.now(UTC):%Y-%m-%d}-{kind}"
    names = (FOLDER / f"{stem}-{number}-{cpu}-{machine['cores']}-cores.json" for number in range(1, 1_000))
    return next(path for path in names if not path.exists())


def _kind_of(path: Path) -> str:
    kind: str = json.loads(path.read_text(encoding="utf-8")).get("kind", "")
    return kind


def _order(path: Path) -> tuple[str, int]:
    """Return the day and the number of a file: `2026-11-29-peers-10-…` comes after `2026-11-29-peers-9-…`."""
    day, rest = path.name[:10], path.name[11:].removeprefix(f"{_kind_of(path)}-")
    return day, int(rest.split("-")[0])


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
