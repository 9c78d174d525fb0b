"""Connections to the store's file: one writer under a lock, any number of readers, each on its own snapshot."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from slipstream.adapters.indexes.sqlite.errors import mapped_errors
from slipstream.adapters.indexes.sqlite.schema import check_sqlite, prepare_file
from slipstream.domain.errors import ConfigError, UnavailableError

_WAL_PAGES_MAX = 4000  # a checkpoint into the main file every 16 MB: rarely, yet soon done
_WAL_SIZE_KEPT_BYTES = 64 * 1024 * 1024
_READERS_IDLE_MAX = 8
_WRITER_CACHE_KIB = 32 * 1024  # overwrites land all over the file: half as fast again as with the default


class Database:
    """
    The file and its connections.

    A write transaction belongs to one thread; writers of other threads queue at the lock, writers of other
    processes at SQLite's own. Readers wait for nobody.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        check_sqlite()
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        with mapped_errors(path), ExitStack() as stack:
            self._writer = self._connect()
            stack.callback(self._writer.close)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            self._writer.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES_MAX}")
            self._writer.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_KEPT_BYTES}")
            prepare_file(self._writer, path)
            stack.pop_all()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path,
            timeout=self._busy_timeout_s,
            isolation_level=None,  # transactions are begun and ended here, by name
            check_same_thread=False,  # a connection is used by one thread at a time: by the lock, or by the pool
        )

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a write transaction open."""
        return self._owner == threading.get_ident()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Make the block one atomic, durable step; an exception takes back everything in it.

        A block inside another one of the same thread is atomic in itself, and commits with the outer one.
        """
        with self._lock:
            self._require_open()
            if self._depth == 0:
                yield from self._outermost()
            else:
                yield from self._nested()

    def _outermost(self) -> Iterator[sqlite3.Connection]:
        with mapped_errors(self.path):
            self._writer.execute("BEGIN IMMEDIATE")
        self._owner, self._depth = threading.get_ident(), 1
        try:
            yield self._writer
            self._require_transaction()
            with mapped_errors(self.path):
                self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                with mapped_errors(self.path):
                    self._writer.execute("ROLLBACK")
            raise
        finally:
            self._owner, self._depth = None, 0

    def _nested(self) -> Iterator[sqlite3.Connection]:
        self._require_transaction()
        self._depth += 1
        name = f"level_{self._depth}"
        try:
            with mapped_errors(self.path):
                self._writer.execute(f"SAVEPOINT {name}")
            yield self._writer
            self._require_transaction()
            with mapped_errors(self.path):
                self._writer.execute(f"RELEASE {name}")
        except BaseException:
            if self._writer.in_transaction:
                with mapped_errors(self.path):
                    self._writer.execute(f"ROLLBACK TO {name}")
                    self._writer.execute(f"RELEASE {name}")
            raise
        finally:
            self._depth -= 1

    def _require_transaction(self) -> None:
        # SQLite rolls back by itself when the disk is full or fails; going on would commit the rest alone.
        if not self._writer.in_transaction:
            raise UnavailableError(
                f"{self.path}: SQLite rolled the transaction back after an error; repeat all of it"
            )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the writer's connection inside a transaction, with errors mapped."""
        with mapped_errors(self.path), self.transaction() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection on one snapshot, taken by its first statement; inside a transaction, on that one."""
        if self.in_transaction:
            self._require_open()
            with mapped_errors(self.path):
                yield self._writer
            return
        with mapped_errors(self.path):
            connection = self._take_reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._give_back(connection)

    def _take_reader(self) -> sqlite3.Connection:
        with self._readers_lock:
            self._require_open()
            if self._readers:
                return self._readers.pop()
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._readers_lock:
            if not self._closed and len(self._readers) < _READERS_IDLE_MAX:
                self._readers.append(connection)
                return
        connection.close()

    def _require_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"{self.path} is closed; open the store anew")

    def close(self) -> None:
        """
        Close every connection; readers in use close when they are given back. Closing twice is harmless.

        Waits for another thread's transaction; raises `ConfigError` inside one of this thread.
        """
        if self.in_transaction:
            raise ConfigError(f"{self.path}: close was called inside a transaction; leave its block first")
        with self._lock, self._readers_lock, mapped_errors(self.path):
            self._closed = True
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()
