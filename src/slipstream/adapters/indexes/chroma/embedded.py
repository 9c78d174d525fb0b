"""
Opening an embedded directory: the lock, the log that is never purged, and the cure of broken segments.

Chroma writes every change to its log (a table of `chroma.sqlite3`) in one durable transaction. Each thousand changes it
rewrites the files of a vector segment in place, the pickle last, and then purges the log: killed in between, it can
neither read the files nor replay. So the purge is switched off before the first use, and a segment whose files are
torn is removed when the directory is opened: Chroma then builds it anew from the log.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import UUID

from slipstream.adapters.indexes.chroma.errors import mapped_errors
from slipstream.domain.errors import CorruptionError, UnavailableError

_DATABASE = "chroma.sqlite3"
_LOCK = "slipstream.lock"
_PICKLE = "index_metadata.pickle"
_NO_PURGE = json.dumps({"automatically_purge": False, "_type": "EmbeddingsQueueConfigurationInternal"})
_BUSY_TIMEOUT_S = 10.0
_PAGE = 5000


def open_embedded(path: Path, resources: ExitStack) -> Any:
    """
    Return a client of the directory, healthy and locked; closing `resources` releases both.

    Raises `UnavailableError` when another process, or another index in this one, holds the directory.
    """
    _lock(path, resources)
    with mapped_errors(f"Chroma in {path}"):
        if _configured(path):
            _remove_torn_segments(path)
        else:
            _connected(path).close()  # makes the tables, and nothing that a purge could take away yet
            _keep_log(path)
        client = _connected(path)
        broken = _broken_collections(client)
        if broken:
            client.close()
            for identity in broken:
                _remove_segment(path, identity)
            client = _connected(path)
            for identity in broken:
                _require_whole(path, client, identity)
    resources.callback(client.close)
    return client


def _lock(path: Path, resources: ExitStack) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = resources.enter_context((path / _LOCK).open("a"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # goes with the process, however it ends
    except BlockingIOError as error:
        raise UnavailableError(
            f"{path} is in use by another process or index (two clients lose writes); close that one, then try again"
        ) from error
    except OSError as error:
        raise UnavailableError(f"{path} can not be opened ({error}); check that it may be written") from error


def _connected(path: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(path), settings=Settings(anonymized_telemetry=False))


def _database(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path / _DATABASE, timeout=_BUSY_TIMEOUT_S)


def _configured(path: Path) -> bool:
    if not (path / _DATABASE).exists():
        return False
    with closing(_database(path)) as connection:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'embeddings_queue_config'").fetchone()
        row = connection.execute("SELECT config_json_str FROM embeddings_queue_config").fetchone() if known else None
    return row is not None and json.loads(row[0]).get("automatically_purge") is False


def _keep_log(path: Path) -> None:
    with closing(_database(path)) as connection, connection:
        connection.execute(
            "INSERT INTO embeddings_queue_config (id, config_json_str) VALUES (1, ?) "
            "ON CONFLICT (id) DO UPDATE SET config_json_str = excluded.config_json_str",
            (_NO_PURGE,),
        )


def _vector_segments(path: Path) -> Iterator[tuple[Path, str]]:
    """Return each collection's directory of vectors, with the collection's id."""
    with closing(_database(path)) as connection:
        rows = connection.execute("SELECT id, collection FROM segments WHERE scope = 'VECTOR'").fetchall()
    return ((path / segment, collection) for segment, collection in rows)


def _remove_torn_segments(path: Path) -> None:
    """
    Remove the segments whose rewriting was cut short, and the directories of collections that are no more.

    The pickle is written last, so a file that is newer than it belongs to a rewriting that did not end. Chroma
    would read such a mixture without complaint and mistake one record's vector for another's.
    """
    kept = {directory: collection for directory, collection in _vector_segments(path)}
    for directory in [entry for entry in path.iterdir() if entry.is_dir() and _is_id(entry.name)]:
        if directory not in kept:
            shutil.rmtree(directory)
        elif _torn(directory):
            _remove_segment(path, kept[directory])


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _torn(directory: Path) -> bool:
    times = {file.name: file.stat().st_mtime_ns for file in directory.iterdir()}
    pickle = times.pop(_PICKLE, None)
    return any(pickle is None or time > pickle for time in times.values())


def _remove_segment(path: Path, collection: str) -> None:
    """Remove a collection's directory of vectors and how far it was, so that the log is replayed from its start."""
    for directory, owner in list(_vector_segments(path)):
        if owner == collection:
            shutil.rmtree(directory, ignore_errors=not directory.exists())
            with closing(_database(path)) as connection, connection:
                connection.execute("DELETE FROM max_seq_id WHERE segment_id = ?", (directory.name,))


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


def _require_whole(path: Path, client: Any, identity: str) -> None:
    """Check that a rebuilt collection has a vector for every record it knows."""
    collection = client.get_collection_by_id(identity) if hasattr(client, "get_collection_by_id") else None
    if collection is None:
        return
    expected, found = collection.count(), 0
    while page := collection.get(include=["embeddings"], limit=_PAGE, offset=found)["ids"]:
        found += len(page)
    if found != expected:
        raise CorruptionError(
            f"{path}: {expected - found} of {expected} vectors of {collection.name!r} are lost and not in Chroma's log "
            "(it was purged before Slipstream kept it); delete the directory and backfill from the graph"
        )
