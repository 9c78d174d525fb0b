"""Connections to one SQLite file: one writer under a lock, any number of readers, each on its own snapshot."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from slipstream.adapters.sqlite.errors import mapped, mapped_errors
from slipstream.adapters.sqlite.fencing import Fence
from slipstream.adapters.sqlite.queueing import WriterQueue
from slipstream.domain.errors import ConfigError, SlipstreamError, UnavailableError

SQLITE_OLDEST = (3, 37, 0)  # STRICT tables, RETURNING
_WAL_SIZE_KEPT_BYTES = 64 * 1024 * 1024
_READERS_IDLE_MAX = 8
_SWITCH_PAUSE_S = 0.005
_CACHE_KIB = 32 * 1024  # overwrites are spread over the file: 1.5 times as fast as with the default

Prepare = Callable[[sqlite3.Connection, Path], None]
"""Makes or checks the tables of a file, in a transaction of its own."""
IsPrepared = Callable[[sqlite3.Connection, Path], bool]
"""Returns whether the tables need nothing, without writing."""
OnReplaced = Callable[[Path], SlipstreamError]
"""Returns the error for a file that was removed or replaced while it was open."""


class Database:
    """
    The file and its connections.

    A write transaction belongs to one thread. Other threads that write wait at the lock, other processes at `queue`,
    if there is one, else at SQLite's own lock. Readers never wait.
    """

    def __init__(
        self,
        path: Path,
        prepare: Prepare,
        *,
        is_prepared: IsPrepared | None = None,
        busy_timeout_s: float = 5.0,
        wal_pages_max: int = 1000,
        queue: WriterQueue | None = None,
        fence: Fence | None = None,
        reads_own_writes: bool = True,
        on_replaced: OnReplaced | None = None,
    ) -> None:
        check_sqlite()
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._queue, self._fence, self._reads_own_writes = queue, fence, reads_own_writes
        self._on_replaced = on_replaced
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0
        self._has_passed = False
        """Whether the open transaction has passed the fence."""
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        make_private(path)
        # Before opening, so that a file put in its place meanwhile (by a restore) counts as another.
        self._identity = _identity(path)
        with mapped_errors(path), ExitStack() as stack:
            self._writer = self.connect()
            stack.callback(self._writer.close)
            if self._journal_mode() != "wal":
                raise ConfigError(f"{path} can not have a write-ahead log there: choose a directory on a local disk")
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute(f"PRAGMA wal_autocheckpoint = {wal_pages_max}")
            self._writer.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_KEPT_BYTES}")
            if is_prepared is None or not is_prepared(self._writer, path):  # else no waiting for writers
                with self._turn():
                    prepare(self._writer, path)
            stack.pop_all()

    def _journal_mode(self) -> str:
        """Switch the file to a write-ahead log; try again while others do so, for SQLite does not wait for them."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return str(self._writer.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(_SWITCH_PAUSE_S)

    def connect(self) -> sqlite3.Connection:
        """Return a connection of the caller's own."""
        connection = sqlite3.connect(
            self.path,
            timeout=self._busy_timeout_s,
            isolation_level=None,  # transactions are begun and ended here, by name
            check_same_thread=False,  # a connection is used by one thread at a time: by the lock, or by the pool
        )
        try:
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        except BaseException:
            connection.close()  # a file that is none of SQLite's is told by the first statement
            raise
        return connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold this process's turn among the writers."""
        if self._queue is None:
            yield
            return
        try:
            self._queue.acquire()  # inside the try: Ctrl-C right after it must not leave others waiting
            yield
        finally:
            self._queue.release()

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a write transaction open."""
        return self._owner == threading.get_ident()

    @property
    def admits_writes(self) -> bool:
        """Whether a guarded write would pass the fence, as far as this process knows."""
        return self._fence is None or self._fence.admits

    @contextmanager
    def transaction(self, *, guarded: bool = True, is_single: bool = False) -> Iterator[sqlite3.Connection]:
        """
        Make the block one atomic, durable step; an exception takes back everything in it.

        A nested block of the same thread is atomic in itself, and commits with the outer one; a block of one
        statement (`is_single`) needs no savepoint for that. A `guarded` block passes the fence first, if there is
        one, or raises `LeaseLostError`.
        """
        with self._lock:
            self._require_open()
            if self._depth == 0:
                yield from self._outermost(guarded=guarded)
            elif is_single:
                self._require_transaction()
                self._pass_fence(guarded=guarded)
                yield self._writer
            else:
                yield from self._nested(guarded=guarded)

    def _pass_fence(self, *, guarded: bool) -> None:
        """Check the fence inside the transaction, so that nobody can take over before it ends."""
        if guarded and self._fence is not None and not self._has_passed:
            with mapped_errors(self.path):
                self._fence.check(self._writer)
            self._has_passed = True

    def _outermost(self, *, guarded: bool) -> Iterator[sqlite3.Connection]:
        with self._turn():
            self._require_same_file()
            try:
                with mapped_errors(self.path):
                    self._writer.execute("BEGIN IMMEDIATE")
                self._owner, self._depth = threading.get_ident(), 1
                self._pass_fence(guarded=guarded)
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
                self._owner, self._depth, self._has_passed = None, 0, False

    def _require_same_file(self) -> None:
        """Raise when the file was removed or replaced: what is committed to it would be lost."""
        if _identity(self.path) != self._identity:
            if self._on_replaced is not None:
                raise self._on_replaced(self.path)
            raise UnavailableError(
                f"{self.path} was removed or replaced while it was open; nothing was written. Put it back, or close "
                "and open it anew"
            )

    def _nested(self, *, guarded: bool) -> Iterator[sqlite3.Connection]:
        self._require_transaction()
        self._pass_fence(guarded=guarded)
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
        # SQLite rolls back by itself when the disk is full or fails; going on would commit only the rest.
        if not self._writer.in_transaction:
            raise UnavailableError(
                f"{self.path}: SQLite rolled the transaction back after an error; repeat all of it"
            )

    @contextmanager
    def writing(self, *, guarded: bool = True, is_single: bool = False) -> Iterator[sqlite3.Connection]:
        """Yield the writer's connection inside a transaction, with errors mapped."""
        with mapped_errors(self.path), self.transaction(guarded=guarded, is_single=is_single) as connection:
            yield connection

    def reading(self) -> _Reading:
        """
        Return a context with a connection on one snapshot, taken by its first statement.

        Inside a transaction of this thread it sees that, if the file `reads_own_writes`; else what is committed. With
        `on_replaced`, reading a file that was removed or replaced raises that error.
        """
        return _Reading(self)

    def _begin_reading(self) -> sqlite3.Connection:
        self._require_open()
        if self._reads_own_writes and self.in_transaction:
            return self._writer
        if self._on_replaced is not None:
            self._require_same_file()
        connection = self._take_reader()
        try:
            connection.execute("BEGIN")
        except BaseException:
            self._give_back(connection)
            raise
        return connection

    def _end_reading(self, connection: sqlite3.Connection) -> None:
        if connection is not self._writer:
            self._give_back(connection)

    def _take_reader(self) -> sqlite3.Connection:
        with self._readers_lock:
            self._require_open()
            if self._readers:
                return self._readers.pop()
        return self.connect()

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
            if self._queue is not None:
                self._queue.close()


class _Reading:
    """What `Database.reading` returns."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection = self._database._begin_reading()  # noqa: SLF001  (same module)
        except sqlite3.Error as error:
            raise mapped(error, self._database.path) from error
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with mapped_errors(self._database.path):
            self._database._end_reading(self._connection)  # noqa: SLF001  (same module)
        if isinstance(error, sqlite3.Error | OverflowError | UnicodeEncodeError):
            raise mapped(error, self._database.path) from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def check_sqlite() -> None:
    """Raise `ConfigError` when this Python's SQLite is too old."""
    if sqlite3.sqlite_version_info < SQLITE_OLDEST:
        oldest = ".".join(map(str, SQLITE_OLDEST))
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old, {oldest} is needed: use a newer Python")


def make_private(path: Path) -> None:
    """
    Create a missing file, for its owner alone; raises `ConfigError` when the file can not be used.

    An existing file is not opened: closing it again would drop the locks that this process holds on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise ConfigError(f"{path} is not a file: move it away, or choose another directory") from None
    except OSError as error:
        raise ConfigError(f"{path} can not be created ({error.strerror}): choose another directory") from error
    if not os.access(path, os.R_OK | os.W_OK):
        raise ConfigError(f"{path} may not be read and written by this user: change its permissions")
