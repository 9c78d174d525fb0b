"""
The folder of an embedded Chroma: the cure of its crash hole.

Chroma keeps the vectors of a collection in HNSW files that it rewrites in place every 1000 operations; after that it
purges its log. A kill in between leaves files that can not be read, or that end the process when they are. The cure:

- The log is never purged by Chroma (`prepare`), so that the files can always be made anew from it.
- After every write that changed the files, their sizes and times are sealed, once they are on disk. A kill before the
  seal leaves files that do not match it: they are not read at all but removed, and Chroma replays its log.
- Opening cuts from the log what a newer entry of the same record makes superfluous.

The folder's database is only touched here while no client of Chroma has it open: two copies of SQLite in one process
can lose each other's locks.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from slipstream.adapters.indexes.chroma.client import embedded_client
from slipstream.adapters.indexes.chroma.codec import PREFIX
from slipstream.adapters.indexes.chroma.lockfile import FileLock
from slipstream.domain.errors import CorruptionError, UnavailableError

DATABASE = "chroma.sqlite3"
LOCK = "slipstream.lock"
SEAL = "slipstream-seal.json"

_NO_PURGE = '{"automatically_purge":false,"_type":"EmbeddingsQueueConfigurationInternal"}'
_DELETE = 3
_LOG_SPARE_ROWS = 1000

Snapshot = dict[str, dict[str, list[int]]]
"""Of each segment folder: each file's size and time of change."""


class Segment(NamedTuple):
    """Where one of our collections keeps its vectors and its metadata."""

    vectors: str
    metadata: str
    collection: str
    name: str


def lock(path: Path) -> FileLock:
    """Lock the folder, made when it is not there; raises `UnavailableError` when another index has it open."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = FileLock(path / LOCK)
        held.acquire(f"{path} is open in another index or process; close that one first, or use a Chroma server")
    except OSError as error:
        raise UnavailableError(f"{path} can not be used ({error}); check its permissions") from error
    return held


def prepare(path: Path) -> None:
    """
    Make the folder safe against kills: for a server, call this before it is started, each time.

    Raises `UnavailableError` when an embedded index has the folder open. That a server has it open can not be seen.
    """
    held = lock(path)
    try:
        prepare_locked(path)
    finally:
        held.release()


def prepare_locked(path: Path) -> None:
    """Do what `prepare` does, in a folder that is locked already."""
    if not (path / DATABASE).exists():
        embedded_client(path).close()  # makes the tables; nothing can be purged while there is nothing
    with _database(path) as connection, connection:
        connection.execute(
            "INSERT INTO embeddings_queue_config (id, config_json_str) VALUES (1, ?) "
            "ON CONFLICT (id) DO UPDATE SET config_json_str = excluded.config_json_str",
            (_NO_PURGE,),
        )
    sealed = _read_seal(path)
    found = snapshot(path)
    for segment in segments(path):
        if segment.vectors in found and found[segment.vectors] != sealed.get(segment.vectors):
            rebuild(path, segment)
        _trim_log(path, segment)


def segments(path: Path) -> list[Segment]:
    """Return where our collections keep their data."""
    with _database(path) as connection:
        rows = connection.execute(
            """
            SELECT v.id, m.id, c.id, c.name FROM collections c
            JOIN segments v ON v.collection = c.id AND v.scope = 'VECTOR'
            JOIN segments m ON m.collection = c.id AND m.scope = 'METADATA'
            ORDER BY c.name
            """
        )
        return [Segment(*row) for row in rows if row[3].startswith(PREFIX)]


def rebuild(path: Path, segment: Segment) -> None:
    """Remove the vector files of a collection, so that Chroma replays its log; there must be no client."""
    with _database(path) as connection:
        (lost,) = connection.execute(
            """
            SELECT count(*) FROM embeddings WHERE segment_id = ? AND embedding_id NOT IN
            (SELECT id FROM embeddings_queue WHERE topic LIKE ? AND vector IS NOT NULL)
            """,
            (segment.metadata, f"%/{segment.collection}"),
        ).fetchone()
    if lost:
        raise CorruptionError(
            f"collection {segment.name} in {path} is damaged, and its log lacks {lost} vectors (it was purged from "
            "outside); delete the folder and backfill from the graph"
        )
    shutil.rmtree(path / segment.vectors, ignore_errors=False)


def snapshot(path: Path) -> Snapshot:
    """Return sizes and times of all vector files."""
    found: Snapshot = {}
    with os.scandir(path) as entries:
        folders = [entry.path for entry in entries if entry.is_dir()]
    for folder in folders:
        with os.scandir(folder) as files:
            stats = {file.name: file.stat() for file in files if file.is_file()}
        found[Path(folder).name] = {name: [stat.st_size, stat.st_mtime_ns] for name, stat in sorted(stats.items())}
    return found


def seal(path: Path, found: Snapshot) -> None:
    """Bring the vector files to disk and say that they are whole."""
    for folder, files in found.items():
        for name in files:
            _flush(path / folder / name)
        _flush(path / folder)
    new = path / f"{SEAL}.new"
    new.write_text(json.dumps(found))
    _flush(new)
    new.replace(path / SEAL)
    _flush(path)


def _read_seal(path: Path) -> Snapshot:
    try:
        sealed: Snapshot = json.loads((path / SEAL).read_text())
    except (FileNotFoundError, ValueError):
        return {}  # no word on any file: all of them are made anew
    return sealed


def _trim_log(path: Path, segment: Segment) -> None:
    """
    Cut log entries that a newer full upsert or a delete of the same record makes superfluous.

    What is left still says everything: our upserts write every key. The newest entry always stays, because SQLite
    would give its number out again.
    """
    topic = f"%/{segment.collection}"
    with _database(path) as connection, connection:
        (logged,) = connection.execute(
            "SELECT count(*) FROM embeddings_queue WHERE topic LIKE ?", (topic,)
        ).fetchone()
        (live,) = connection.execute(
            "SELECT count(*) FROM embeddings WHERE segment_id = ?", (segment.metadata,)
        ).fetchone()
        if logged <= 2 * live + _LOG_SPARE_ROWS:
            return
        connection.execute(
            """
            WITH newest AS (
                SELECT id, max(seq_id) AS number FROM embeddings_queue
                WHERE topic LIKE :topic AND (vector IS NOT NULL OR operation = :delete) GROUP BY id
            )
            DELETE FROM embeddings_queue WHERE seq_id IN (
                SELECT q.seq_id FROM embeddings_queue q JOIN newest n ON n.id = q.id
                WHERE q.topic LIKE :topic AND q.seq_id < n.number
            )
            """,
            {"topic": topic, "delete": _DELETE},
        )


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path / DATABASE)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise UnavailableError(f"{path / DATABASE}: {error}; is a Chroma server running on it?") from error
    except sqlite3.DatabaseError as error:
        raise CorruptionError(f"{path / DATABASE} is damaged ({error}); delete the folder and backfill") from error


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows can not open a folder
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
