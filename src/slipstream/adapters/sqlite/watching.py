"""Waiting for commits to a file, by whichever process."""

from __future__ import annotations

import threading
import time

from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.errors import mapped_errors

_SHORTEST_S = 0.002
_LONGEST_S = 0.02
_GROWTH = 1.25
"""Factor between pauses: the longest one is reached within 0.1 s, so a wait is short or costs next to nothing."""


class SqliteCommitWatch:
    """A `CommitWatch` that asks the file for its data version, on a connection that never writes."""

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self._interrupted = threading.Event()
        with mapped_errors(self._path):
            self._connection = database.connect()
        self._seen = self._version()

    def _version(self) -> int:
        with mapped_errors(self._path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a commit, checking ever less often; returns whether there was one."""
        deadline, pause_s = time.monotonic() + timeout_s, _SHORTEST_S
        while (version := self._version()) == self._seen:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self._interrupted.wait(min(pause_s, remaining)):
                return False
            pause_s = min(_LONGEST_S, pause_s * _GROWTH)
        self._seen = version
        return True

    def interrupt(self) -> None:
        """End the present wait, and every later one, at once."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        self._connection.close()
