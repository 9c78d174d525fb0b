"""Writes batches and their checkpoint, each pair in one transaction, until it is killed; tells what is durable."""

from __future__ import annotations

import sys
from pathlib import Path

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.testkit.records import make_record

BATCH_SIZE = 40
KEYS = 400


def batch_keys(number: int) -> list[str]:
    """Return the ids that a batch writes: every batch overwrites records of an earlier one."""
    return [f"n{(number * BATCH_SIZE + i) % KEYS:04}" for i in range(BATCH_SIZE)]


def deleted_key(number: int) -> str:
    """Return the id that a batch deletes."""
    return f"gone-{number % 7}"


def run(path: Path) -> None:
    """Go on behind the checkpoint for ever."""
    store = SqliteStore(path)
    number = int(store.journal.get("checkpoint") or 0)
    while True:
        number += 1
        with store.journal.transaction():
            store.index.upsert([make_record(identity, number) for identity in batch_keys(number)])
            store.index.delete([Deletion(entity_key(deleted_key(number)), Position(number))])
            store.journal.set("checkpoint", str(number))
        print(number, flush=True)  # noqa: T201  (the acknowledgement)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
