"""A lone edit until it is searchable, beside the same by hand: a commit, an embedding, a write into the index."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.targets.parts import entity_keys, timed
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.composition import DATA_FOLDER
from slipstream.app.composition.factories import model_for_new
from slipstream.bench.subject import BenchmarkError, Subject, batches, moved, opened
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import VectorRecord, vector_checksum
from slipstream.events.importing import Importer

WARM, LONE_EDITS = 10, 150
_PAUSE_S = 0.02
"""Neither side profits from what the other one has just done."""

Found = dict[str, Any]


def lone_sqlite(directory: Path, dump: Path) -> Found:
    """A lone edit until it is searchable, over SQLite, beside the same by hand."""
    return _lone(directory, dump, "sqlite", _SqliteParts)


def lone_chroma(directory: Path, dump: Path) -> Found:
    """The same over embedded Chroma, beside Chroma's own client."""
    return _lone(directory, dump, "chroma", _ChromaParts)


def _lone(directory: Path, dump: Path, index: str, parts: type[_SqliteParts | _ChromaParts]) -> Found:
    directory.mkdir(parents=True)
    model = model_for_new()
    config = f'[models]\ndefault = "{model}"\n\n[index]\nadapter = "{index}"\n'
    (directory / "slipstream.toml").write_text(config, encoding="utf-8")
    engine_ms, raw_ms = list[float](), list[float]()
    with opened(directory, model) as subject, ExitStack() as stack:
        pkg = subject.pkg
        Importer(pkg.pkg, pkg.journal, pkg.dead_letters, pkg.clock).run(dump)
        pkg.sync.start()
        pkg.sync.drain()
        keys = entity_keys(pkg)
        raw = stack.enter_context(closing(parts(directory / "raw", subject, keys)))
        copied = _copied(directory / DATA_FOLDER / "graph.db", directory / "raw" / "graph.db")
        graph = stack.enter_context(closing(SqliteGraph(copied, clock=SystemClock())))
        for number, key in enumerate(random.Random(14).sample(keys, WARM + LONE_EDITS)):
            change = {"description": f"lone edit {number} of {key.id}"}
            time.sleep(_PAUSE_S)
            with timed() as engine_s:
                reached = pkg.sync.wait(pkg.pkg.update_entity(key.id, change), timeout_s=60)
            if not reached:
                raise BenchmarkError("a lone edit was not searchable within a minute")
            (text,) = subject.texts([key])
            time.sleep(_PAUSE_S)
            with timed() as raw_s:
                with graph.transaction() as tx:
                    tx.update_entity(key.id, change)
                raw.write(key, subject.model.embed([text])[0])
            if number >= WARM:
                engine_ms.append(engine_s() * 1_000)
                raw_ms.append(raw_s() * 1_000)
        pkg.sync.stop()
    ratio = median(engine_ms) / median(raw_ms)
    return {"model": model, "ratio": ratio, "engine_ms": _spread(engine_ms), "raw_ms": _spread(raw_ms)}


def _copied(source: Path, target: Path) -> Path:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
    return target


def _spread(samples_ms: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(samples_ms, n=100)
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


class _SqliteParts:
    """An index of the same size, without an engine."""

    def __init__(self, directory: Path, subject: Subject, keys: Sequence[RecordKey]) -> None:
        directory.mkdir(parents=True)
        self._records = {record.stamp.key: record for record in subject.records(keys)}
        self._store = SqliteStore(directory / "index.db")
        self._store.index.upsert(moved(list(self._records.values()), 1))
        self._position = 1

    def write(self, key: RecordKey, vector: npt.NDArray[np.float32]) -> None:
        """Write one complete record, durably."""
        self._position += 1
        stamp = self._records[key].stamp._replace(checksum=vector_checksum(vector))
        if self._store.index.upsert(moved([VectorRecord(stamp, vector)], self._position)):
            raise BenchmarkError("the raw index refused a record")

    def close(self) -> None:
        """Close the file."""
        self._store.close()


class _ChromaParts:
    """A collection of the same size, by Chroma's own client."""

    def __init__(self, directory: Path, subject: Subject, keys: Sequence[RecordKey]) -> None:
        import chromadb
        from chromadb.config import Settings

        directory.mkdir(parents=True)
        client = chromadb.PersistentClient(str(directory / "chroma"), settings=Settings(anonymized_telemetry=False))
        self._client = client
        self._collection = client.create_collection(
            "raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        for page in batches(subject.records(keys), 1_000):
            self._collection.upsert(
                ids=[record.stamp.key.encode() for record in page],
                embeddings=[record.vector for record in page],
                metadatas=[{"fingerprint": record.stamp.fingerprint, "position": 1} for record in page],
            )

    def write(self, key: RecordKey, vector: npt.NDArray[np.float32]) -> None:
        """Upsert one record."""
        self._collection.upsert(ids=[key.encode()], embeddings=[vector], metadatas=[{"position": 2}])

    def close(self) -> None:
        """Close the client."""
        self._client.close()
