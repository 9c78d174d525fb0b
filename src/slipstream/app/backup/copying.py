"""Copies pinned files in parallel, within a rate limit; each is synced to the disk before it counts as copied."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from slipstream.app.backup.folders import sync_path
from slipstream.app.backup.parts import OnStep, Step
from slipstream.ports.backup import Pinned
from slipstream.ports.clock import Clock

_LOOK_S = 0.05


class _EndedError(Exception):
    """Ends a copy whose result nobody wants any more."""


class Copying:
    """One thread a file: copying by pages costs a processor more than the disk."""

    def __init__(self, folder: Path, files: Mapping[str, Pinned], clock: Clock, rate_mb_s: float | None) -> None:
        self._folder, self._files = folder, files
        self._done = dict.fromkeys(files, 0)
        self._total = sum(file.size_bytes for file in files.values())
        self._ended = threading.Event()
        self._clock, self._began = clock, clock.monotonic()
        self._bytes_per_s = None if rate_mb_s is None else rate_mb_s * 1_000_000

    def run(self, on_step: OnStep) -> None:
        """Copy all files; `on_step` is called in the caller's thread, and ends all copies when it raises."""
        with ThreadPoolExecutor(len(self._files)) as pool:
            try:
                copies = [pool.submit(self._copy, name) for name in self._files]
                is_over = False
                while not is_over:
                    over, going_on = wait(copies, _LOOK_S, FIRST_EXCEPTION)
                    is_over = not going_on
                    for copy in over:
                        copy.result()  # raises what has ended it
                    on_step(Step("copying", "bytes", self._done_bytes, self._total))
            finally:
                self._ended.set()

    @property
    def _done_bytes(self) -> int:
        return sum(self._done.values())

    def _copy(self, name: str) -> None:
        path = self._folder / name
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

        def told(size: int) -> None:
            self._done[name] = size
            self._hold()

        self._files[name].copy_into(path, told)
        sync_path(path)

    def _hold(self) -> None:
        """Wait until the rate limit allows as many bytes as have been copied."""
        if self._ended.is_set():
            raise _EndedError
        if self._bytes_per_s is not None:
            ahead_s = self._done_bytes / self._bytes_per_s - (self._clock.monotonic() - self._began)
            if ahead_s > 0 and self._ended.wait(ahead_s):
                raise _EndedError
