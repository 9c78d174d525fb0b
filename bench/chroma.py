"""
Where Chroma's own processor time goes: by neighbours of a record, names in its metadata, changes between its files.

    python bench/chroma.py DUMP [--entities 5000] [--neighbours 8,16] [--construction 100]

DUMP is WordNet as `bench.wordnet.data` writes it; the vectors are the static model's. No engine takes part: that is
compared with Chroma by hand and with LangChain by `python -m bench.targets` and `python -m bench.peers`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

import chromadb
import numpy as np
import numpy.typing as npt
from chromadb.config import Settings

from slipstream.adapters.embedders.wordllama import WordLlamaEmbedder

Vectors = npt.NDArray[np.float32]

BATCH, OVERWRITES, LONE, QUERIES, K = 1_000, 500, 250, 300, 10
_WORDS = 8
"""A question is the beginning of a gloss."""
_STAMP = "x" * 400


def main() -> None:
    """Print one line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump", type=Path)
    parser.add_argument("--entities", type=int, default=5_000)
    parser.add_argument("--neighbours", default="4,6,8,12,16")
    parser.add_argument("--construction", default="50,100,200")
    parser.add_argument("--search", type=int, default=512)
    given = parser.parse_args()
    vectors, questions = _vectors(given.dump, given.entities)
    print("| neighbours | ef_construction | ef_search | insert µs | overwrite µs | recall@10 | query ms |")
    for neighbours, construction in itertools.product(_numbers(given.neighbours), _numbers(given.construction)):
        hnsw = {"max_neighbors": neighbours, "ef_construction": construction, "ef_search": given.search}
        found = " | ".join(_links(vectors, questions, hnsw))
        print(f"| {neighbours} | {construction} | {given.search} | {found} |", flush=True)
    print("| names in the metadata | insert µs | overwrite of all µs | overwrite of one µs |")
    for names in (0, 1, 3, 11):
        print(f"| {names} | {' | '.join(_rows(vectors, names))} |", flush=True)
    print("| sync_threshold | insert µs | a lone overwrite ms |")
    for changes in (50, 100, 250, 500, 1_000):
        print(f"| {changes} | {' | '.join(_files(vectors, changes))} |", flush=True)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _vectors(dump: Path, count: int) -> tuple[Vectors, Vectors]:
    with dump.open(encoding="utf-8") as file:
        nodes = [row["properties"] for row in map(json.loads, file) if row["type"] == "node"][:count]
    model = WordLlamaEmbedder()
    texts = [f"{node['name']}: {node['description']}" for node in nodes]
    asked = random.Random(14).sample(nodes, QUERIES)
    questions = model.embed([" ".join(node["description"].split()[:_WORDS]) for node in asked])
    pages = [model.embed(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
    return np.concatenate(pages), np.asarray(questions)


@contextmanager
def _collection(hnsw: dict[str, Any]) -> Iterator[Any]:
    settings = Settings.model_construct(anonymized_telemetry=False)
    with tempfile.TemporaryDirectory() as folder, closing(chromadb.PersistentClient(folder, settings)) as client:
        collection = client.create_collection(
            "bench", embedding_function=None, configuration={"hnsw": {"space": "ip", **hnsw}}
        )
        collection.count()  # else its log is applied twice (adapters/indexes/chroma/collections.py)
        yield collection


def _write(collection: Any, vectors: Vectors, rows: Sequence[int], metadata: dict[str, Any] | None = None) -> float:
    """Write some rows; return the processor time of each, in microseconds."""
    started_s = time.process_time()
    for at in range(0, len(rows), BATCH):
        page = rows[at : at + BATCH]
        metadatas = (
            None if not metadata else [{name: f"{value}{row}" for name, value in metadata.items()} for row in page]
        )
        collection.upsert(ids=[f"e:{row}" for row in page], embeddings=vectors[page], metadatas=metadatas)
    return (time.process_time() - started_s) / len(rows) * 1e6


def _links(vectors: Vectors, questions: Vectors, hnsw: dict[str, Any]) -> list[str]:
    with _collection(hnsw) as collection:
        inserted = _write(collection, vectors, range(len(vectors)))
        rows = random.Random(15).sample(range(len(vectors)), OVERWRITES)
        now = vectors.copy()
        now[rows] = np.roll(vectors[rows], 1, axis=0)
        overwritten = _write(collection, now, rows)
        started_s = time.process_time()
        found = collection.query(query_embeddings=questions, n_results=K, include=[])["ids"]
        query_ms = (time.process_time() - started_s) / len(questions) * 1e3
    nearest = np.argsort(-(questions @ now.T), axis=1)[:, :K]
    recall = mean(
        len({f"e:{row}" for row in right} & set(ids)) / K for right, ids in zip(nearest, found, strict=True)
    )
    return [f"{inserted:.0f}", f"{overwritten:.0f}", f"{recall:.4f}", f"{query_ms:.2f}"]


def _rows(vectors: Vectors, names: int) -> list[str]:
    rows = random.Random(15).sample(range(len(vectors)), OVERWRITES)
    metadata = {f"name{number}": _STAMP if number == 0 else "a value " for number in range(names)}
    with _collection({"max_neighbors": 4, "ef_construction": 8}) as collection:
        inserted = _write(collection, vectors, range(len(vectors)), metadata)
        overwritten = _write(collection, vectors, rows, metadata)
        one = _write(collection, vectors, rows, dict(itertools.islice(metadata.items(), 1)))
    return [f"{inserted:.0f}", f"{overwritten:.0f}", f"{one:.0f}"]


def _files(vectors: Vectors, changes: int) -> list[str]:
    hnsw = {"max_neighbors": 8, "ef_construction": 100, "sync_threshold": changes, "batch_size": min(changes, 100)}
    with _collection(hnsw) as collection:
        inserted = _write(collection, vectors, range(len(vectors)), {"stamp": _STAMP})
        lone = mean(_write(collection, vectors, [row], {"stamp": _STAMP}) for row in range(LONE))
    return [f"{inserted:.0f}", f"{lone / 1e3:.2f}"]


if __name__ == "__main__":
    main()
