"""Other processes of a PKG: one that runs the engine, as the command or as a program of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from slipstream.app.composition import initialise
from slipstream.app.composition.factories import model_for_new
from tests import warm

ROOT = Path(__file__).parents[2]
LONG_S = 120.0
STATIC = "wordllama-l2"
KINDS = ("run", "python")

PROGRAM = """
import sys
import slipstream
with slipstream.open(sys.argv[1]) as pkg:
    print("running" if pkg.runs_engine else "standing by", file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


class Process:
    """One process; what it says on standard error is read as it comes."""

    def __init__(self, *command: str) -> None:
        self.process = warm.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.said: list[str] = []
        self._lines: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text: str) -> str:
        """Return the next line that has this text in it."""
        while (line := self._lines.get(timeout=LONG_S)) is not None:
            self.said.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} was never said, but: {''.join(self.said)}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to say anything."""
        self.process.kill()
        self.process.wait(LONG_S)

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(LONG_S)
        self._reader.join(LONG_S)
        while (line := self._lines.get()) is not None:
            self.said.append(line)
        self._lines.put(None)
        return code

    def output(self) -> str:
        """Return what it has written to standard output, once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def close(self) -> None:
        """Kill it if it still lives, and close the pipes."""
        self.kill()
        self._reader.join(LONG_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def command(directory: Path, *arguments: str) -> Process:
    """Start a command."""
    return Process("-m", "slipstream", "--dir", str(directory), *arguments)


def owner(directory: Path, kind: str) -> Process:
    """Start what runs the engine, and wait until it does."""
    process = command(directory, "run") if kind == "run" else Process("-c", PROGRAM, str(directory))
    try:
        process.wait_for("running")
    except BaseException:
        process.close()
        raise
    return process


@contextmanager
def owned(directory: Path, kind: str = "run") -> Iterator[Process]:
    """Have another process run the engine, and end it behind the block."""
    process = owner(directory, kind)
    try:
        yield process
    finally:
        process.close()


def made(directory: Path, *more: str) -> Path:
    """Create a PKG with a model that costs next to nothing; `more` are pairs of old and new text of its settings."""
    initialise(directory)
    path = directory / "slipstream.toml"
    text = path.read_text()
    for old, new in [(f'default = "{model_for_new()}"', f'default = "{STATIC}"'), *_pairs(more)]:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return directory


def _pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(texts[::2], texts[1::2], strict=True))
