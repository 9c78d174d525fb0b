"""
The database file: opening and locking it, sessions on it, and the one place where ladybug's errors are translated.

A failing statement ends the transaction that it ran in: whoever gets an error here rolls back and starts over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from slipstream.adapters.graphs.ladybug.lockfile import FileLock
from slipstream.adapters.graphs.ladybug.signature import leave_signature, take_signature
from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    InvalidInputError,
    SlipstreamError,
    UnavailableError,
)

_IDLE_SESSIONS_MAX = 4
_STATEMENTS_PER_SESSION_MAX = 5000
_DRAIN_TIMEOUT_S = 10.0
_CHECKPOINT_PATIENCE_S = 0.25
Row = list[Any]


class Session:
    """One connection, used by one thread at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements = 0

    def run(self, cypher: str, **params: Any) -> list[Row]:
        """Run one of our own statements and return its rows."""
        try:
            return self._rows(cypher, params)[1]
        except RuntimeError as error:
            raise translated(error, f"running {cypher[:200]!r}") from error

    def run_foreign(self, cypher: str, params: Mapping[str, Any], timeout_s: float) -> tuple[list[str], list[Row]]:
        """Run a caller's statement and return column names and rows; what it does wrong is invalid input."""
        self._connection.set_query_timeout(int(timeout_s * 1000))
        try:
            return self._rows(cypher, params)
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise _foreign(error) from error
        finally:
            self._connection.set_query_timeout(0)

    def _rows(self, cypher: str, params: Mapping[str, Any]) -> tuple[list[str], list[Row]]:
        self.statements += 1
        result = self._connection.execute(cypher, dict(params))
        if isinstance(result, list):
            raise InvalidInputError("holds several statements: send one at a time", field="cypher")
        try:
            return result.get_column_names(), result.get_all()
        finally:
            result.close()

    def rollback(self) -> None:
        """End the open transaction without effect; harmless when a failure has ended it already."""
        with suppress(RuntimeError):  # "No active transaction": the failure itself has rolled back
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Release the connection, interrupting what still runs on it."""
        self._connection.close()


class Store:
    """An open database with a small pool of sessions. Safe to share between threads."""

    def __init__(self, path: Path, buffer_pool_size_bytes: int) -> None:
        self.path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        _acquire(path, self._lock)
        self.was_clean = take_signature(path)
        self._database = _open(path, buffer_pool_size_bytes, self._lock)
        self._idle: list[Session] = []
        self._busy: set[Session] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._draining = False

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session; one that was in use when an error passed is not lent again."""
        session = self._take()
        healthy = False
        try:
            yield session
            healthy = session.statements < _STATEMENTS_PER_SESSION_MAX  # the driver caches plans without a bound
        finally:
            self._give_back(session, healthy=healthy)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Lend a session inside a read-only transaction."""
        with self.session() as session:
            session.run("BEGIN TRANSACTION READ ONLY")
            try:
                yield session
            finally:
                session.rollback()

    def checkpoint(self, session: Session) -> bool:
        """
        Write the log into the main file, through a session of the caller's; False when others would not pause for it.

        The database lets readers run beside a checkpoint, and then breaks them: they find its file damaged, which
        it is not. So nobody else may hold a session meanwhile. A long query is not waited for: try again later.
        """
        with self._changed:
            self._draining = True
            is_alone = self._changed.wait_for(lambda: self._busy <= {session}, _CHECKPOINT_PATIENCE_S)
        try:
            if is_alone:
                session.run("CHECKPOINT")
            return is_alone
        finally:
            with self._changed:
                self._draining = False
                self._changed.notify_all()

    @property
    def log_size_bytes(self) -> int:
        """How much has been written since the last checkpoint."""
        try:
            return self.path.with_name(f"{self.path.name}.wal").stat().st_size
        except FileNotFoundError:
            return 0

    def close(self, *, clean: bool = True) -> None:
        """Wait for borrowed sessions, interrupt those that do not end, and close the database."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.wait_for(lambda: not self._busy, _DRAIN_TIMEOUT_S)
            sessions = [*self._idle, *self._busy]
            self._idle.clear()
        try:
            for session in sessions:
                session.close()
            self._database.close()
            if clean:
                leave_signature(self.path)
        except RuntimeError as error:
            raise translated(error, f"closing {self.path}") from error
        finally:
            self._lock.release()

    def _take(self) -> Session:
        import ladybug

        with self._changed:
            self._changed.wait_for(lambda: not self._draining or self._closed)
            if self._closed:
                raise UnavailableError(f"the graph {self.path} is closed: open it again")
            session = self._idle.pop() if self._idle else Session(ladybug.Connection(self._database, num_threads=1))
            self._busy.add(session)
            return session

    def _give_back(self, session: Session, *, healthy: bool) -> None:
        with self._changed:
            if healthy and not self._closed and len(self._idle) < _IDLE_SESSIONS_MAX:
                self._busy.discard(session)
                self._idle.append(session)
                self._changed.notify_all()
                return
        try:
            session.rollback()
            session.close()
        finally:
            # Only now: the database must not be closed, and its files signed, while a session still ends.
            with self._changed:
                self._busy.discard(session)
                self._changed.notify_all()


def _acquire(path: Path, lock: FileLock) -> None:
    if not path.parent.is_dir():
        raise ConfigError(f"the directory {path.parent} of the graph does not exist: create it")
    if path.is_dir():
        raise ConfigError(f"the graph {path} is a directory: give the path of a file in it")
    lock.acquire(f"the graph {path} is open already, here or in another process: close it there")


def _open(path: Path, buffer_pool_size_bytes: int, lock: FileLock) -> Any:
    import ladybug

    try:
        # Checkpoints are ours to make: see `Store.checkpoint`.
        return ladybug.Database(str(path), buffer_pool_size=buffer_pool_size_bytes, auto_checkpoint=False)
    except RuntimeError as error:
        lock.release()
        raise translated(error, f"opening the graph {path}") from error


def translated(error: RuntimeError, doing: str) -> SlipstreamError:
    """Return the error of the house for one of ladybug's."""
    message = str(error)
    if "Could not set lock" in message:
        return UnavailableError(f"{doing}: another process holds the graph, close it there ({message})")
    if "not a valid" in message or "orrupt" in message or "hecksum" in message:
        return CorruptionError(f"{doing}: the file is damaged or no ladybug database, restore a backup ({message})")
    return UnavailableError(f"{doing} failed, nothing of it was kept: {message}")


def _foreign(error: Exception) -> SlipstreamError:
    message = str(error)
    if "read-only transaction" in message:
        return ReadOnlyViolationError("would write: use execute for that", field="cypher")
    if "Interrupted" in message:
        return InvalidInputError("ran longer than the time limit: ask for less", field="cypher")
    if "is closed" in message:
        return UnavailableError("the graph was closed while the statement ran: open it again")
    return InvalidInputError(message, field="cypher")


class ReadOnlyViolationError(InvalidInputError):
    """A statement that writes was run inside a read-only transaction."""
