"""
Throughput: how fast the engine drains a backlog, beside what the raw parts do on the very same texts and records.

A round commits its changes while the engine is stopped, and measures: the raw part, the engine from its start until
the last change is searchable, the raw part again. So a machine that slows down or speeds up hits both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from slipstream.bench.documents import Documents, Edits, mean_size
from slipstream.bench.subject import BenchmarkError, RawParts, Subject, moved, timed_s
from slipstream.domain.entities import Entity


@dataclass(slots=True)
class Throughput:
    """Sums over all rounds. Raw work is done twice a round, before and after the engine."""

    updates: int = 0
    engine_s: float = 0.0
    embed_s: float = 0.0
    index_s: float = 0.0
    characters: int = 0
    """Mean size of the texts."""

    @property
    def engine_per_s(self) -> float:
        """Updates a second, from a stopped engine to searchable."""
        return self.updates / self.engine_s

    @property
    def embed_per_s(self) -> float:
        """Texts a second, by the model alone."""
        return 2 * self.updates / self.embed_s

    @property
    def index_per_s(self) -> float:
        """Records a second, by the index alone."""
        return 2 * self.updates / self.index_s


def measure_model(subject: Subject, documents: Documents, edits: Edits, updates: int, rounds: int) -> Throughput:
    """Measure the engine beside the model alone."""
    found = Throughput()
    for number in range(rounds):
        changed = _turn(documents.entities, updates, number)
        texts = _commit_backlog(subject, changed, edits)
        found.embed_s += timed_s(partial(subject.model.embed, texts))
        found.engine_s += _drain(subject, len(texts))
        found.embed_s += timed_s(partial(subject.model.embed, texts))
        found.updates += len(texts)
        found.characters = mean_size(texts)
    return found


def measure_static(
    subject: Subject, raw: RawParts, documents: Documents, edits: Edits, updates: int, rounds: int
) -> Throughput:
    """Measure the engine beside the model alone and the index alone, both of which could be the slower part."""
    found = Throughput()
    keys = [entity.key for entity in documents.entities]
    raw.upsert(moved(subject.records(keys), 1))
    for number in range(rounds):
        changed = _turn(documents.entities, updates, number)
        texts = _commit_backlog(subject, changed, edits)
        records = subject.records([entity.key for entity in changed])
        before, after = moved(records, 2 * number + 2), moved(records, 2 * number + 3)
        found.embed_s += timed_s(partial(subject.model.embed, texts))
        found.index_s += timed_s(partial(raw.upsert, before))
        found.engine_s += _drain(subject, len(texts))
        found.index_s += timed_s(partial(raw.upsert, after))
        found.embed_s += timed_s(partial(subject.model.embed, texts))
        found.updates += len(texts)
        found.characters = mean_size(texts)
    return found


def measure_irrelevant(subject: Subject, documents: Documents, edits: Edits, updates: int) -> float:
    """Return how many changes a second pass that no view reads; raises when one of them computes an embedding."""
    entities = documents.entities
    before, events = subject.computed, subject.events
    for number in range(0, updates, len(entities)):  # each entity once a transaction, or edits would coalesce
        changed = entities[: updates - number]
        subject.commit([(entity.id, edits.touch()) for entity in changed])
    elapsed_s = subject.drained_s(subject.pkg.pkg.feed.head())
    if subject.computed != before:
        raise BenchmarkError(f"{subject.computed - before} embeddings were computed for changes that no view reads")
    if subject.events - events != updates:
        raise BenchmarkError(f"{subject.events - events} events passed for {updates} changes")
    return updates / elapsed_s


def _turn(entities: Sequence[Entity], updates: int, number: int) -> list[Entity]:
    """Return distinct entities for a round; the next round begins where it ends."""
    count = min(updates, len(entities))
    return [entities[(number * count + place) % len(entities)] for place in range(count)]


def _commit_backlog(subject: Subject, changed: Sequence[Entity], edits: Edits) -> list[str]:
    """Commit a new text for each entity, and return the texts as the engine will embed them."""
    subject.commit([(entity.id, edits.reword(entity)) for entity in changed])
    return subject.texts([entity.key for entity in changed])


def _drain(subject: Subject, texts: int) -> float:
    before = subject.computed
    elapsed_s = subject.drained_s(subject.pkg.pkg.feed.head())
    if subject.computed - before != texts:
        raise BenchmarkError(f"{subject.computed - before} embeddings were computed for {texts} new texts")
    return elapsed_s
