"""The process that is killed: commits, imports and syncs until a failpoint (or a signal) ends it."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from slipstream.adapters.wrappers.faults import (
    FaultyEmbedder,
    FaultyGraph,
    FaultyIndex,
    FaultyJournal,
    FaultySyncView,
    FaultyWords,
    kill_at,
)
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.models import ModelSpec
from slipstream.engine.settings import SyncSettings
from slipstream.events.importing import Importer
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.embedders import HashEmbedder

BATCH_MAX = 16
ENTITIES = 60


class LoggingEmbedder:
    """Appends every text that was embedded to a file, so that work done twice can be counted over two processes."""

    def __init__(self, path: Path) -> None:
        self._inner = HashEmbedder(dimension=16)
        self._path = path

    @property
    def spec(self) -> ModelSpec:
        return self._inner.spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = self._inner.embed(texts)
        line = "".join(json.dumps(text) + "\n" for text in texts)
        with self._path.open("a") as file:
            file.write(line)
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return self._inner.count_tokens(texts)

    def close(self) -> None:
        self._inner.close()


def open_for_test(
    root: Path, adapter: str, hook: Callable[[str], None] | None = None, *, adopt: bool = False
) -> Slipstream:
    """Open the PKG with small batches and, in the process to be killed, with failpoints everywhere."""
    wrapping = Wrapping()
    if hook is not None:
        wrapping = Wrapping(
            graph=lambda graph: FaultyGraph(graph, hook),
            index=lambda index: FaultyIndex(index, hook),
            journal=lambda journal: FaultyJournal(journal, hook),
            embedder=lambda embedder: FaultyEmbedder(embedder, hook),
            sync_view=lambda states: FaultySyncView(states, hook),
            words=lambda words: FaultyWords(words, hook),
        )
    options = Options(
        embedders=(LoggingEmbedder(root / "embedded.log"),),
        settings=SyncSettings(batch_min=4, batch_max=BATCH_MAX, idle_wait_s=0.02),
        wrapping=wrapping,
    )
    config = Config(index=IndexConfig.model_validate({"adapter": adapter}))
    return open_pkg(root, config=config, options=options, adopt=adopt)


def mutate(tx: GraphTransaction, rng: random.Random, serial: int, alive: set[str]) -> None:
    """Do one random mutation; every text is new, so that work done twice shows."""
    choice = rng.random()
    if choice < 0.45 or len(alive) < 5:
        name = f"p{rng.randrange(ENTITIES)}"
        tx.upsert_entity("Person", name, {"name": f"name {serial}", "description": f"text {serial}"})
        alive.add(name)
    elif choice < 0.75:
        tx.update_entity(rng.choice(sorted(alive)), {"description": f"changed {serial}"})
    elif choice < 0.9:
        gone = rng.choice(sorted(alive))
        tx.delete_entity(gone)
        alive.discard(gone)
    else:
        tx.relate(rng.choice(sorted(alive)), "KNOWS", rng.choice(sorted(alive)), replace=True)


def work(slipstream: Slipstream, hook: Callable[[str], None], seed: int, commits: int) -> None:
    """Commit and acknowledge on standard output, a line each."""
    rng = random.Random(seed)
    alive = {row.key.id for row in slipstream.pkg.scan(None, 100_000) if row.key.kind.value == "e"}
    for serial in range(commits):
        with slipstream.pkg.transaction() as tx:
            for part in range(rng.choice([1, 1, 3])):
                mutate(tx, rng, seed * 1_000_000 + serial * 10 + part, alive)
        hook("graph.commit.after")
        os.write(1, f"ack {tx.position}\n".encode())


def work_on_view(slipstream: Slipstream) -> None:
    """Give the write-back new rows, then changed ones, and rows to remove."""
    people = [f"p{number}" for number in range(ENTITIES * 3)]
    with slipstream.pkg.transaction() as tx:
        for name in people:
            tx.upsert_entity("Person", name, {"name": f"first of {name}"})
    slipstream.sync.drain(timeout_s=30)
    slipstream.sync.write_back(timeout_s=30)
    with slipstream.pkg.transaction() as tx:
        for name in people[::2]:
            tx.delete_entity(name)
        for name in people[1::2]:
            tx.upsert_entity("Person", name, {"name": f"second of {name}"})
    slipstream.sync.drain(timeout_s=30)
    slipstream.sync.write_back(timeout_s=30)


def write_dump(path: Path, entities: int) -> None:
    """Write a small dump with as many relationships as entities."""
    rows = [
        {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": str(n), "name": f"dump {n}"}}
        for n in range(entities)
    ]
    rows += [
        {
            "type": "relationship",
            "id": str(n),
            "label": "KNOWS",
            "properties": {},
            "start": {"id": str(n), "labels": ["Person"]},
            "end": {"id": str((n + 1) % entities), "labels": ["Person"]},
        }
        for n in range(entities)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    root, adapter, failpoint, count, seed = Path(sys.argv[1]), *sys.argv[2:6]
    hook = kill_at(failpoint, int(count))
    slipstream = open_for_test(root, adapter, hook, adopt="adopt" in sys.argv[6:])
    if failpoint.startswith("import."):
        importer = Importer(slipstream.pkg, slipstream.journal, slipstream.dead_letters, slipstream.clock)
        importer.run(root / "dump.jsonl", batch=20)
    elif failpoint.startswith(("states.", "write_back.")):
        work_on_view(slipstream)
    else:
        work(slipstream, hook, int(seed), commits=10_000 if failpoint == "signal" else 300)
    slipstream.sync.drain(timeout_s=30)
    os.write(1, b"done\n")
    slipstream.close()


if __name__ == "__main__":
    main()
