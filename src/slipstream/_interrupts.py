"""
Ctrl-C, from the first moment of a command to its last.

While modules load, while options are read, and behind the command itself, there is nothing to be ended in order: the
process says so and ends at once. In between Ctrl-C is Python's own `KeyboardInterrupt`. Where somebody else has
decided what Ctrl-C does (a shell that ignores it for what runs in the background, a program that calls the command),
it stays so.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130
INTERRUPTED = "interrupted: nothing is lost, run the same command again to go on"


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End the process, without a traceback of whatever is being loaded."""
    del number, frame
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(EXIT_INTERRUPTED)


def begin() -> None:
    """Have Ctrl-C end the process at once from now on."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)


@contextmanager
def in_order() -> Iterator[None]:
    """Have Ctrl-C raise `KeyboardInterrupt` while the block runs."""
    if signal.getsignal(signal.SIGINT) is not end_at_once:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, end_at_once)
