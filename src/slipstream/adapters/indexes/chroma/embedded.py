"""
Opens an embedded directory: its lock, the log that is never purged, and the repair of broken segments.

Chroma writes every change to its log (a table of `chroma.sqlite3`) in one durable transaction. Now and then
it rewrites the files of a vector segment in place, the pickle last, and then purges the log; killed in between, it
can neither read the files nor replay the log. So the purge is switched off before the first use, and a segment with
torn files is removed when the directory is opened: Chroma then builds it anew from the log. This module touches the
database only while no client has it open: two copies of SQLite in one process can lose each other's locks.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import UUID

from slipstream.adapters.indexes.chroma.errors import mapped_errors
from slipstream.domain.errors import UnavailableError

logger = logging.getLogger(__name__)

DATABASE = "chroma.sqlite3"
_LOCK = "slipstream.lock"
_LEFT = "slipstream.left"
"""Holds the state in which the directory was left; exists only while it is closed, and not after a kill."""
_TABLES = frozenset(("embeddings_queue", "embeddings_queue_config", "embeddings", "segments", "max_seq_id"))
"""The tables that this module reads or writes itself."""
_PICKLE = "index_metadata.pickle"
_NO_PURGE = json.dumps({"automatically_purge": False, "_type": "EmbeddingsQueueConfigurationInternal"})
_BUSY_TIMEOUT_S = 10.0
_HEADER = struct.Struct("<iQQQQ")
"""What `header.bin` begins with: version, an offset, room for records, how many there are, bytes for each."""
_HEADER_VERSION = 1
_LENGTH_SIZE = 4


def open_embedded(path: Path, resources: ExitStack) -> Any:
    """
    Return a client of the directory, healthy and locked; closing `resources` releases both.

    Raises `UnavailableError` when another process, or another index in this one, holds the directory.
    """
    _lock(path, resources)
    with mapped_errors(f"Chroma in {path}"):
        if not _has_tables(path):
            _connected(path).close()  # makes the tables; an empty log can not be purged
        _keep_log(path)
        _remove_torn_segments(path)
        client = _connected(path)
        with ExitStack() as failed:
            failed.callback(client.close)  # else chromadb gives the next open in this process the same client
            broken = _broken_collections(client)
            if not broken:
                failed.pop_all()
        if broken:
            for identity in broken:
                remove_segment(path, identity)
            client = _connected(path)
    wipe_unused(path)
    resources.callback(client.close)
    return client


def leave(path: Path) -> None:
    """Note the state of the closed directory, for `was_changed`; on a full disk it counts as changed."""
    try:
        wipe_unused(path)
        (path / _LEFT).write_text(_state(path), encoding="ascii")
    except OSError as error:
        logger.warning("%s: how it was left could not be noted: %s", path, error.strerror)


def was_changed(path: Path) -> bool:
    """Whether the directory has changed since it was left; forgets that state, so ask once, before opening."""
    left = path / _LEFT
    if not left.exists():
        return False  # new, or its process was killed: unknown
    try:
        return left.read_text(encoding="ascii") != _state(path)
    finally:
        left.unlink()


def _state(path: Path) -> str:
    """Return a digest of the names, sizes and times of all files."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name not in (_LEFT, _LOCK))
    rows = [(str(file.relative_to(path)), (found := file.stat()).st_size, found.st_mtime_ns) for file in files]
    return hashlib.blake2b(json.dumps(rows).encode(), digest_size=16).hexdigest()


def _lock(path: Path, resources: ExitStack) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = resources.enter_context((path / _LOCK).open("a"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released with the process, however it ends
    except BlockingIOError as error:
        raise UnavailableError(
            f"{path} is in use by another process or index (two clients lose writes); close that one, then try again"
        ) from error
    except OSError as error:
        raise UnavailableError(f"{path} can not be opened ({error}); check that it may be written") from error


def _connected(path: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    # Not `Settings(…)`, which would read the environment and a `.env` file.
    settings = Settings.model_construct(anonymized_telemetry=False)
    try:
        return chromadb.PersistentClient(str(path), settings=settings)
    except AttributeError as error:  # raised by chromadb while it cleans up after a client that could not be opened
        raise UnavailableError(
            f"Chroma in {path} was not opened ({error.__context__ or error}): look after the disk, then try again"
        ) from error


def _database(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path / DATABASE, timeout=_BUSY_TIMEOUT_S)


def _has_tables(path: Path) -> bool:
    """Whether the database is complete: Chroma makes a new one in many steps, and completes it after a kill."""
    if not (path / DATABASE).exists():
        return False
    with closing(_database(path)) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return found >= _TABLES


def _keep_log(path: Path) -> None:
    with closing(_database(path)) as connection, connection:
        connection.execute(
            "INSERT INTO embeddings_queue_config (id, config_json_str) VALUES (1, ?) "
            "ON CONFLICT (id) DO UPDATE SET config_json_str = excluded.config_json_str",
            (_NO_PURGE,),
        )


def vector_segments(path: Path) -> Iterator[tuple[Path, str]]:
    """Return each collection's directory of vectors, with the collection's id."""
    with closing(_database(path)) as connection:
        rows = connection.execute(
            "SELECT id, collection FROM segments WHERE scope = 'VECTOR' AND id IS NOT NULL"
        ).fetchall()
    return ((path / segment, collection) for segment, collection in rows)


def _remove_torn_segments(path: Path) -> None:
    """
    Remove the segments whose rewriting was cut short, and the directories of collections that no longer exist.

    The pickle is written last, so a file newer than the pickle belongs to a rewriting that did not end. Chroma
    would read such a mixture without complaint, and mistake one record's vector for another's.
    """
    kept = dict(vector_segments(path))
    for directory in [entry for entry in path.iterdir() if entry.is_dir() and _is_id(entry.name)]:
        if directory not in kept:
            shutil.rmtree(directory)
        elif _torn(directory):
            remove_segment(path, kept[directory])


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def wipe_unused(path: Path) -> None:
    """
    Overwrite the room for vectors to come in all files.

    Chroma writes it as it has found it in memory, with whatever texts lay there before, and never reads it.
    """
    for segment in path.iterdir():
        if segment.is_dir() and _is_id(segment.name):
            _wipe_segment(segment)


def _wipe_segment(segment: Path) -> None:
    header = segment / "header.bin"
    if not header.exists():
        return
    version, _, _, count, size = _HEADER.unpack_from(header.read_bytes())
    if version != _HEADER_VERSION:
        return
    for name, used in (("data_level0.bin", count * size), ("length.bin", count * _LENGTH_SIZE)):
        path = segment / name
        times = path.stat()
        if times.st_size <= used:
            continue
        with path.open("r+b") as file:
            file.seek(used)
            file.write(bytes(times.st_size - used))
            file.flush()
            os.fsync(file.fileno())
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a file newer than the pickle counts as torn


def _torn(directory: Path) -> bool:
    times = {file.name: file.stat().st_mtime_ns for file in directory.iterdir()}
    pickle = times.pop(_PICKLE, None)
    return any(pickle is None or time > pickle for time in times.values())


def remove_segment(path: Path, collection: str) -> None:
    """Remove a collection's directory of vectors and its place in the log, which is then replayed from its start."""
    _count_unlogged(path, collection)
    for directory, owner in list(vector_segments(path)):
        if owner == collection:
            if directory.exists():
                shutil.rmtree(directory)
            with closing(_database(path)) as connection, connection:
                connection.execute("DELETE FROM max_seq_id WHERE segment_id = ?", (directory.name,))


def _count_unlogged(path: Path, collection: str) -> None:
    """Warn of records whose vectors the log lacks: it was purged before we kept it, or by somebody else."""
    with closing(_database(path)) as connection:
        (lost,) = connection.execute(
            """
            SELECT count(*) FROM embeddings
            WHERE segment_id IN (SELECT id FROM segments WHERE scope = 'METADATA' AND collection = :collection)
            AND embedding_id NOT IN (
                SELECT id FROM embeddings_queue WHERE topic LIKE '%/' || :collection AND vector IS NOT NULL
            )
            """,
            {"collection": collection},
        ).fetchone()
    if lost:
        logger.warning(
            "%s: the vector files of collection %s are damaged, and its log lacks %d of its vectors (somebody else "
            "has purged it): audit and repair, or delete the directory to have all of it filled again",
            path,
            collection,
            lost,
        )


def _broken_collections(client: Any) -> list[str]:
    """Return the ids of the collections that can not be read."""
    from chromadb.errors import InternalError

    broken = []
    for collection in client.list_collections():
        try:
            collection.count()  # loads the files and replays the log behind them
        except InternalError:
            broken.append(str(collection.id))
    return broken
