"""How a command ends its process."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from slipstream._interrupts import EXIT_INTERRUPTED, INTERRUPTED
from slipstream.cli.codes import EXIT_ERROR
from slipstream.domain.texts import printable

_OURS = "slipstream-"


def ended(run: Callable[[], object]) -> NoReturn:
    """Run a command and exit with its code, even when a thread of ours hangs in a model."""
    code: object = 0
    _make_usable()
    try:
        run()
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt:
        sys.stderr.write(f"{INTERRUPTED}\n")
        code = EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  (a fault of ours; its text may hold data, so it is not left to Python)
        sys.stderr.write(printable("".join(traceback.format_exception(error))))
        code = EXIT_ERROR
    if not _is_answered(has_failed=code == EXIT_ERROR):
        code = EXIT_ERROR
    if any(thread.name.startswith(_OURS) for thread in threading.enumerate()):
        _leave(code if isinstance(code, int) else int(code is not None))
    sys.exit(code if isinstance(code, int | str) else None)


def _make_usable() -> None:
    """Open streams that were closed (`>&-`), and let none fail on a character that its encoding lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (until the process ends)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_answered(*, has_failed: bool) -> bool:
    """Flush standard output; if that fails, return False, and say why unless the command failed or nobody reads."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if not (has_failed or isinstance(error, BrokenPipeError)):  # as in `| head`
            with suppress(OSError):
                sys.stderr.write(f"standard output: {error.strerror}: not all of the answer was written\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would report the same again
        return False
    return True


def _leave(code: int) -> NoReturn:
    """Exit at once, without waiting for threads left behind, whose native code must not meet Python's shutdown."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader has gone
            stream.flush()
    os._exit(code)


@contextmanager
def terminated(ending: threading.Event) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM set an event: a stop by a service manager is not a failure."""

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        ending.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
