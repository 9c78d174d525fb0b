"""Chapter 1: the environment is read into the graph with the engine off; then all of it is embedded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from slipstream.app.slipstream import Slipstream
from slipstream.demo.corpus.python_environment import read_environment
from slipstream.demo.corpus.report import CorpusReport
from slipstream.domain.entities import Entity, Relationship

BATCH = 500

Update = Callable[[int, int | None], None]
"""Told how much is done, and of how much (None: not known)."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What came into the graph."""

    entities: int
    relationships: int
    entities_by_type: Mapping[str, int]
    relationships_by_type: Mapping[str, int]
    skipped: Mapping[str, int]
    seconds: float
    rows_per_s: float


@dataclass(frozen=True, slots=True)
class Backfill:
    """What the engine made of it: an event's time and causes are texts of their own beside its content."""

    embedded: int
    texts: int
    seconds: float
    per_s: float
    consistency: float


def capture(slip: Slipstream, entities_max: int, update: Update) -> Capture:
    """Read the environment into the graph."""
    report = CorpusReport()
    started = time.perf_counter()
    done = 0
    for batch in _batched(read_environment(entities_max=entities_max, report=report), BATCH):
        _commit(slip, batch)
        done += len(batch)
        update(done, None)
    seconds = time.perf_counter() - started
    return Capture(
        entities=report.entity_count,
        relationships=report.relationship_count,
        entities_by_type=dict(report.entities.most_common()),
        relationships_by_type=dict(report.relationships.most_common()),
        skipped=dict(report.skipped.most_common()),
        seconds=seconds,
        rows_per_s=done / seconds,
    )


def _commit(slip: Slipstream, batch: Iterable[Entity | Relationship]) -> None:
    with slip.pkg.transaction() as tx:
        for item in batch:
            if isinstance(item, Entity):
                tx.upsert_entity(item.type, item.id, item.properties)
            else:
                tx.relate(
                    item.ref.source_id,
                    item.ref.type,
                    item.ref.target_id,
                    item.properties,
                    discriminator=item.ref.discriminator,
                    replace=True,
                )


def _batched(items: Iterable[Entity | Relationship], size: int) -> Iterator[list[Entity | Relationship]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def backfill(slip: Slipstream, entities: int, update: Update) -> Backfill:
    """Start the engine on everything that has been captured, and wait until all of it is in the index."""
    started = time.perf_counter()
    slip.sync.start()
    slip.sync.drain(on_progress=lambda status: update(min(_written(status.counters), entities), entities))
    seconds = time.perf_counter() - started
    embedded = _written(slip.status().counters)
    return Backfill(
        embedded=embedded,
        texts=slip.embedding.stats.computed,
        seconds=seconds,
        per_s=embedded / seconds,
        consistency=slip.verify().consistency or 0.0,
    )


def _written(counters: Mapping[str, int]) -> int:
    return counters.get("embedded", 0) + counters.get("cached", 0)
