"""Waiting for what another thread or process is to do: bounded, but far beyond what a busy machine needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LONG_S = 120.0


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until it holds; fails when it never does."""
    pause, deadline = threading.Event(), time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} never came to pass"
        pause.wait(0.01)
