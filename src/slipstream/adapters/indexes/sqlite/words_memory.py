"""The word index in memory: the same tables and statements in a private database that no file belongs to."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipstream.adapters.indexes.sqlite.words import SqliteWords
from slipstream.adapters.indexes.sqlite.words_schema import WORDS_STEP, require_fts5
from slipstream.adapters.sqlite.connections import check_sqlite
from slipstream.adapters.sqlite.errors import mapped_errors


class MemoryWords(SqliteWords):
    """A `WordIndex` that lives as long as its object; for tests and simulations. Any thread may call it."""

    def __init__(self) -> None:
        self._memory = _Memory()
        super().__init__(self._memory)

    def close(self) -> None:
        """Free the memory, and refuse further calls; closing twice is harmless."""
        super().close()
        self._memory.close()


class _Memory:
    """One connection, lent to one thread at a time."""

    def __init__(self) -> None:
        check_sqlite()
        self.path = Path(":memory:")
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._connection.close)  # newer Pythons complain of one that is left open
        require_fts5(self._connection)
        for statement in WORDS_STEP.split(";"):
            self._connection.execute(statement)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection: nobody else writes meanwhile."""
        with self._lock, mapped_errors(self.path):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside a transaction, which an exception takes back."""
        with self._lock, mapped_errors(self.path):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._connection.close()
