"""Upserts and deletes in an embedded Chroma until it is killed; tells what was acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.testkit.records import make_record

BATCH_SIZE = 90
KEYS = 700


def batch_keys(number: int) -> list[str]:
    """Return the ids that a batch upserts; batches overlap and come round again, over keys that were deleted too."""
    return [f"n{(number * BATCH_SIZE + i) % KEYS:04}" for i in range(BATCH_SIZE)]


def deleted_keys(number: int) -> list[str]:
    """Return the ids that a batch deletes once it has upserted: some of its own, some of the batch before."""
    return [*batch_keys(number)[::9], *batch_keys(number - 1)[1::9]]


def run(path: Path, number: int) -> None:
    """Go on behind a batch for ever: two lines a batch, one after the upsert and one after the delete."""
    index = ChromaIndex.embedded(path)
    while True:
        number += 1
        index.upsert([make_record(identity, number) for identity in batch_keys(number)])
        print(f"upsert {number}", flush=True)  # noqa: T201  (the acknowledgement)
        index.delete([Deletion(entity_key(identity), Position(number)) for identity in deleted_keys(number)])
        print(f"delete {number}", flush=True)  # noqa: T201


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
