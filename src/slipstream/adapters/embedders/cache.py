"""A cache of vectors in one SQLite file."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from slipstream.adapters.sqlite.connections import make_private
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.stamps import Vector

_LOG = logging.getLogger(__name__)
_APPLICATION_ID = 0x534C4543  # "SLEC": tells this file from any other SQLite file
_KEYS_PER_QUERY_MAX = 500
_TOUCHED_MAX = 1_000
_KEPT_SHARE = 0.98
"""The share of the limit that eviction leaves: it evicts a little at a time, so that no write takes long."""
_BUSY_TIMEOUT_MS = 2_000
_SIZE_LIMIT_BYTES_MIN = 1 << 20
_LOG_BYTES_KEPT = 16 << 20
"""The size to which the write-ahead log shrinks after a large write."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_SCHEMA = (
    "CREATE TABLE vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL, checksum BLOB NOT NULL, used INT NOT NULL)",
    "CREATE INDEX vectors_by_use ON vectors (used)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)


class SqliteEmbeddingCache:
    """
    Keeps vectors in a SQLite file of at most about `size_limit_bytes`. Safe for threads and processes.

    It is only a cache: commits are not flushed one by one (WAL, `synchronous=NORMAL`), so a power cut can lose
    the newest entries but not damage the file; a damaged entry counts as absent; a damaged file is put aside,
    with a warning, and a new one begun; a write that fails is left out, with a warning.

    Eviction is by last use, counted in writes: each `put` is one tick, and marks the entries that were read since the
    last `put` as used now. So reads write nothing, and the order is exact to one `put`.
    """

    def __init__(
        self,
        path: Path | str,
        size_limit_bytes: int = 512 << 20,
        *,
        busy_timeout_ms: int = _BUSY_TIMEOUT_MS,
    ) -> None:
        if size_limit_bytes < _SIZE_LIMIT_BYTES_MIN:
            raise ConfigError(f"size_limit_bytes {size_limit_bytes} is below the least, {_SIZE_LIMIT_BYTES_MIN}")
        self._path = Path(path)
        self._size_limit_bytes = size_limit_bytes
        self._busy_timeout_ms = busy_timeout_ms
        self._lock = threading.Lock()
        self._touched: dict[str, None] = {}
        self._closed = False
        self._connection = self._opened_or_rebuilt()

    def get(self, keys: Sequence[str]) -> Mapping[str, Vector]:
        """Return the cached vectors among the keys; a damaged entry counts as absent."""
        with self._lock:
            self._check_open()
            try:
                found = self._read(list(dict.fromkeys(keys)))
            except sqlite3.DatabaseError as error:
                self._recover(error, "reading")
                return {}
            if len(self._touched) < _TOUCHED_MAX:
                self._touched.update(dict.fromkeys(found))
            return found

    def put(self, vectors: Mapping[str, Vector]) -> None:
        """Keep vectors, evicting the least recently used past the size limit."""
        with self._lock:
            self._check_open()
            try:
                self._write(vectors)
            except sqlite3.DatabaseError as error:
                self._recover(error, f"keeping {len(vectors)} vectors in")

    def forget(self) -> int:
        """Remove all vectors, and give the file's space back; raises `UnavailableError` when that is not possible."""
        with self._lock:
            self._check_open()
            try:
                (count,) = self._connection.execute("SELECT count(*) FROM vectors").fetchone()
                self._connection.execute("DELETE FROM vectors")
                self._connection.executescript("PRAGMA incremental_vacuum")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.DatabaseError as error:
                raise UnavailableError(f"the embedding cache {self._path} can not be emptied now: {error}") from error
            self._touched.clear()
            return int(count)

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()

    def _read(self, keys: Sequence[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY_MAX):
            some = keys[start : start + _KEYS_PER_QUERY_MAX]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})"  # noqa: S608 - only "?" marks
            for key, blob, checksum in self._connection.execute(query, some):
                if isinstance(blob, bytes) and _checksum(key, blob) == checksum:
                    found[key] = np.frombuffer(blob, dtype="<f4")
        return found

    def _write(self, vectors: Mapping[str, Vector]) -> None:
        blobs = {key: np.asarray(vector, dtype="<f4").tobytes() for key, vector in vectors.items()}
        touched = self._touched.keys() - blobs.keys()
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            (tick,) = connection.execute("SELECT coalesce(max(used), 0) + 1 FROM vectors").fetchone()
            connection.executemany("UPDATE vectors SET used = ? WHERE key = ?", [(tick, key) for key in touched])
            connection.executemany(
                "INSERT OR REPLACE INTO vectors (key, vector, checksum, used) VALUES (?, ?, ?, ?)",
                [(key, blob, _checksum(key, blob), tick) for key, blob in blobs.items()],
            )
            self._evict(connection)
        self._touched.clear()

    def _evict(self, connection: sqlite3.Connection) -> None:
        used_bytes = _page_bytes(connection, "page_count") - _page_bytes(connection, "freelist_count")
        if used_bytes <= self._size_limit_bytes:
            return
        (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
        surplus = 1 + int(count * (1 - _KEPT_SHARE * self._size_limit_bytes / used_bytes))
        connection.execute(
            "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors ORDER BY used LIMIT ?)", (surplus,)
        )

    def _recover(self, error: sqlite3.DatabaseError, doing: str) -> None:
        """Go on without the failed call; begin a new file when the old one is damaged."""
        if not _is_damage(error):  # locked, disk full: the file itself is sound
            _LOG.warning("%s the embedding cache %s failed, going on without: %s", doing, self._path, error)
            return
        self._connection.close()
        self._put_aside(error)
        self._connection = self._opened_or_rebuilt()

    def _opened_or_rebuilt(self) -> sqlite3.Connection:
        try:
            try:
                return self._opened()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._put_aside(error)
                return self._opened()
        except (sqlite3.DatabaseError, OSError) as error:
            raise UnavailableError(
                f"the embedding cache {self._path} can not be opened ({error}): check the path and its permissions"
            ) from error

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        make_private(self._path)  # vectors reveal their texts
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_KEPT}")
            with connection:
                connection.execute("BEGIN IMMEDIATE")  # check and create in one step: another process may do so too
                self._create(connection)
                self._evict(connection)
            if _page_bytes(connection, "page_count") > self._size_limit_bytes:  # the limit was lowered
                connection.executescript("PRAGMA incremental_vacuum")  # `execute` frees one page and stops
        except (sqlite3.DatabaseError, ConfigError):
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        if application_id == _APPLICATION_ID:
            return
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            raise ConfigError(f"{self._path} is a SQLite file of something else: give the cache a path of its own")
        for statement in _SCHEMA:
            connection.execute(statement)

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        _LOG.warning("the embedding cache %s is damaged (%s): moved to %s, beginning anew", self._path, error, aside)
        if self._path.exists():  # another process may have moved it already
            self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def _check_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the embedding cache {self._path} is closed: open a new one")


def _page_bytes(connection: sqlite3.Connection, what: str) -> int:
    (pages,) = connection.execute(f"PRAGMA {what}").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # The extended code holds the primary one in its lowest byte.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _checksum(key: str, blob: bytes) -> bytes:
    # The checksum covers the key too: a vector under a wrong key is as bad as a wrong vector.
    return hashlib.blake2b(blob, digest_size=8, key=key.encode()[:64]).digest()
