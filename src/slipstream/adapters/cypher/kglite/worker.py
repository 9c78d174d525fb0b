"""The child process for its parent: started, asked, killed when it takes too long; the caller replaces it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, BinaryIO

from slipstream.adapters.cypher.kglite.frames import encoded, read_frame
from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    InvalidInputError,
    QueryLimitError,
    SlipstreamError,
    UnavailableError,
    UnsupportedError,
)

QUESTION_BYTES_MAX = 64 * 1024 * 1024
PROGRESS_TIMEOUT_S = 120.0
"""Longest silence while the child fills the mirror: it reports every few thousand elements."""
_GRACE_S = 1.0
"""kglite keeps the time limit itself where it can; so much later the process is killed."""
_CLOSE_TIMEOUT_S = 10.0
# As in `multiprocessing`: the child finds its modules where this process does, and nowhere else.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from slipstream.adapters.cypher.kglite.child import main; main()"
)
_ERRORS: dict[str, type[SlipstreamError]] = {
    kind.__name__: kind
    for kind in (ConfigError, CorruptionError, QueryLimitError, UnavailableError, UnsupportedError)
}


class ChildDiedError(Exception):
    """The child has ended without an answer."""

    def __init__(self, code: int | None, *, was_running: bool) -> None:
        super().__init__(f"exit code {code}")
        self.code = code
        self.was_running = was_running
        """Whether it had begun with the statement, so that the mirror stood."""


class Worker:
    """One child process. Not thread-safe; not usable after any error but a `SlipstreamError`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        if find_spec("kglite") is None:
            raise ConfigError("Cypher needs an extra: pip install 'slipstream-pkg[cypher]'")
        self._owner = os.getpid()
        self.answered = 0
        self._process = _started()
        self._frames: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdout is not None  # noqa: S101
        reader = threading.Thread(
            target=_pump, args=(self._process.stdout, self._frames.put), name="cypher-answers", daemon=True
        )
        reader.start()
        with suppress(ChildDiedError):  # then the first question finds out
            self._send(settings)

    @property
    def is_usable(self) -> bool:
        """Whether the process runs, and belongs to this process: after a fork it belongs to the parent."""
        return self._owner == os.getpid() and self._process.poll() is None

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101
        data = encoded(message)
        if len(data) > QUESTION_BYTES_MAX:
            raise InvalidInputError(f"have {len(data)} bytes, at most {QUESTION_BYTES_MAX}", field="parameters")
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError as error:
            raise ChildDiedError(self._ended(), was_running=False) from error

    def ask(self, message: dict[str, Any], timeout_s: float) -> tuple[list[Any], dict[str, Any]]:
        """
        Return the rows and the last message of the answer.

        Raises the error that the child answered with, `QueryLimitError` when it took too long and was killed, and
        `ChildDiedError` when it ended.
        """
        self._send(message)
        rows: list[Any] = []
        limit_s, was_running = PROGRESS_TIMEOUT_S, False
        while True:
            try:
                frame = self._frames.get(timeout=limit_s)
            except queue.Empty:
                self.kill()
                raise _too_slow(timeout_s, was_running=was_running) from None
            if frame is None:
                raise ChildDiedError(self._ended(), was_running=was_running)
            if "running" in frame:
                limit_s, was_running = timeout_s + _GRACE_S, True
            elif "rows" in frame:
                rows.extend(frame["rows"])
            elif "error" in frame:
                self.answered += 1
                raise _error(frame)
            elif "done" in frame:
                self.answered += 1
                return rows, frame

    def _ended(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=_CLOSE_TIMEOUT_S)
        self.kill()
        return None

    def interrupt(self) -> None:
        """End the process at once, from another thread than the one that asks it, which gets an error."""
        if self._owner == os.getpid():
            self._process.kill()

    def kill(self) -> None:
        """End the process at once."""
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            self._release()

    def close(self) -> None:
        """Let the process end by itself, so that it can save what it has; kill it when that takes too long."""
        if self._owner != os.getpid():
            return
        assert self._process.stdin is not None  # noqa: S101
        with suppress(OSError):
            self._process.stdin.close()
        self._ended()
        self._release()

    def _release(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _started() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter, and arguments of ours
            [sys.executable, "-I", "-c", _BOOT, json.dumps([entry or os.getcwd() for entry in sys.path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends it
        )
    except OSError as error:
        raise UnavailableError(f"the Cypher process can not be started ({error}); try again") from error


def _pump(stream: BinaryIO, put: Callable[[dict[str, Any] | None], None]) -> None:
    with suppress(OSError, ValueError):
        while (frame := read_frame(stream)) is not None:
            put(frame)
    put(None)


def too_slow(timeout_s: float) -> str:
    """Return the message for a statement that took longer than `timeout_s`."""
    return f"took more than {timeout_s:g} s and was ended: ask for less, or raise the limit"


def _too_slow(timeout_s: float, *, was_running: bool) -> SlipstreamError:
    if was_running:
        return QueryLimitError(too_slow(timeout_s))
    return UnavailableError(f"reading the graph made no progress for {PROGRESS_TIMEOUT_S:g} s; try again")


def _error(frame: dict[str, Any]) -> SlipstreamError:
    if frame["error"] == InvalidInputError.__name__:
        return InvalidInputError(frame["message"], field=frame["field"])
    return _ERRORS.get(frame["error"], UnavailableError)(frame["message"])
