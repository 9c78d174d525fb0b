"""Lines for `apply`, from a file or a live pipe, in batches that do not wait for lines to come."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from slipstream.domain.errors import ConfigError
from slipstream.events.applying import BATCH, EVENTS_FORM
from slipstream.events.lines import CHUNK_BYTES, Line, bounded_lines, checked_chunks

_PIPE_PAUSE_S = 0.02
"""A live pipe's events are committed together until it pauses for this long."""


@contextmanager
def opened_lines(file: str) -> Iterator[Iterable[Line]]:
    """Yield batches of lines of a file, or of standard input for `-`; raises `ConfigError` for a wrong file."""
    if file == "-":
        yield _standard_input()
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open("rb"))
            chunks = checked_chunks(iter(partial(stream.read, CHUNK_BYTES), b""), file, EVENTS_FORM)
            first = next(chunks, b"")  # read here, so that a wrong file is refused before the PKG is opened
        except OSError as error:
            raise ConfigError(f"{file} can not be read: {error.strerror}") from error
        yield _lines_in(chain([first], chunks))


def _standard_input() -> Iterable[Line]:
    if sys.stdin is None:
        raise ConfigError("standard input is closed: name a file, or pipe the events in")
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):  # standard input was replaced by something that is not a file
        return sys.stdin
    # Not through `sys.stdin`: a thread that waits in it holds its lock, so that an interrupted process could not end.
    chunks = iter(partial(os.read, descriptor, CHUNK_BYTES), b"")
    return _lines_in(checked_chunks(chunks, "standard input", EVENTS_FORM, is_stream=True))


def _lines_in(chunks: Iterable[bytes]) -> Iterator[Line]:
    return (line for line, _ in bounded_lines(chunks))


class _Reading:
    """A thread that reads ahead; what it raises is raised by `next`."""

    def __init__(self, stream: Iterable[Line]) -> None:
        self._stream = stream
        self._lines: queue.Queue[Line | None] = queue.Queue(maxsize=4 * BATCH)
        self._failure: Exception | None = None
        threading.Thread(target=self._read, name="slipstream-stdin", daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self._stream:
                self._lines.put(line)
        except Exception as error:  # noqa: BLE001  (raised again by `next`)
            self._failure = error
        self._lines.put(None)

    def next(self, timeout_s: float | None = None) -> Line | None:
        """Return the next line, None at the end; raises `queue.Empty` when none comes in time."""
        line = self._lines.get(timeout=timeout_s)
        if line is None and self._failure is not None:
            self._lines.put(None)
            raise self._failure
        return line


def batches(stream: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield lines in batches while they come quickly, and at once when the stream pauses."""
    reading = _Reading(stream)
    ended = False
    while not ended:
        batch: list[Line] = []
        line = reading.next()
        while line is not None:
            batch.append(line)
            if len(batch) >= BATCH:
                break
            try:
                line = reading.next(_PIPE_PAUSE_S)
            except queue.Empty:
                break
        ended = line is None
        if batch:
            yield batch
