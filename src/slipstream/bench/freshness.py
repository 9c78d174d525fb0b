"""
Freshness: from the moment before a commit until it is searchable, beside the same work done by hand.

Commits come at a steady pace. In the middle of the pause behind each, the same steps run by hand on the raw
parts: one durable commit, one embedding of the very same text, one durable upsert of one complete record. Both
begin after an idle wait, so that neither profits from warm caches, and a noisy machine hits both alike.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

import numpy as np

from slipstream.bench.documents import Documents, Edits
from slipstream.bench.sizes import COMMITS_PER_S, Sizes
from slipstream.bench.subject import BenchmarkError, RawParts, Subject
from slipstream.domain.entities import Entity, Properties
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp, VectorRecord, vector_checksum

_INTERVAL_S = 1.0 / COMMITS_PER_S
_LATE_S = 0.005
_TIMEOUT_S = 60.0
_WARM_UP = 10

_POINTS = (
    ("notice", "graph.read.before"),
    ("read", "graph.read.after"),
    ("compare", "embed.before"),
    ("embed", "embed.after"),
    ("write", "journal.commit.before"),
    ("make durable", "journal.commit.after"),
)
"""Stages of an update between commit and wake-up, and the point that ends each."""


@dataclass(slots=True)
class Freshness:
    """Samples of both sides, in seconds; `stages_s` says where the engine's time went."""

    engine_s: list[float] = field(default_factory=list)
    raw_s: list[float] = field(default_factory=list)
    stages_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    raw_stages_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: int = 0
    """Commits that could not be made at their time, because the one before took too long."""

    def figures(self) -> dict[str, object]:
        """Return the percentiles, the ratio and the stages, in milliseconds."""
        figures: dict[str, object] = {}
        for name, samples in (("freshness", self.engine_s), ("freshness_raw", self.raw_s)):
            for percent in (50, 95, 99):
                figures[f"{name}_p{percent}_ms"] = _ms(float(np.percentile(samples, percent)))
        p95, raw_p95 = np.percentile(self.engine_s, 95), np.percentile(self.raw_s, 95)
        figures["freshness_ratio_p95"] = round(float(p95 / raw_p95), 3)
        figures["freshness_samples"] = len(self.engine_s)
        figures["freshness_late"] = self.late
        figures["freshness_stages_ms"] = _means_ms(self.stages_s)
        figures["freshness_raw_stages_ms"] = _means_ms(self.raw_stages_s)
        return figures


def _means_ms(stages_s: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: _ms(float(np.mean(samples))) for name, samples in stages_s.items()}


def _ms(seconds: float) -> float:
    return round(seconds * 1_000.0, 3)


def measure_freshness(subject: Subject, raw: RawParts, documents: Documents, edits: Edits, sizes: Sizes) -> Freshness:
    """Measure both sides, commit by commit; the engine must be stopped, and is stopped afterwards."""
    subject.pkg.sync.start()
    try:
        for entity in islice(_spread(documents.entities), _WARM_UP):
            _sample(subject, raw, entity, edits, Freshness(), time.perf_counter())
        found = Freshness()
        started = time.perf_counter() + _INTERVAL_S
        for number, entity in enumerate(islice(_spread(documents.entities), sizes.samples)):
            slot = started + number * _INTERVAL_S
            found.late += time.perf_counter() > slot + _LATE_S
            _sample(subject, raw, entity, edits, found, slot)
        return found
    finally:
        subject.pkg.sync.stop()


def _spread(entities: Sequence[Entity]) -> Iterator[Entity]:
    """Yield entities from all over the graph, endlessly: every type and length of text has its turn."""
    stride = max(1, int(len(entities) * 0.618))
    while np.gcd(stride, len(entities)) != 1:
        stride += 1
    return (entities[number * stride % len(entities)] for number in cycle(range(len(entities))))


def _sample(subject: Subject, raw: RawParts, entity: Entity, edits: Edits, found: Freshness, slot: float) -> None:
    properties = edits.reword(entity)
    subject.probe.taken()
    _sleep_until(slot)
    _engine_sample(subject, entity, properties, found)
    text = subject.texts([entity.key])[0]
    stamp = subject.pkg.store.index.stamps([entity.key])[entity.key].records[0]
    _sleep_until(slot + _INTERVAL_S / 2)
    _raw_sample(subject, raw, entity, properties, text, stamp, found)


def _engine_sample(subject: Subject, entity: Entity, properties: Properties, found: Freshness) -> None:
    graph = subject.pkg.pkg
    started = time.perf_counter()
    with graph.transaction() as tx:
        tx.update_entity(entity.id, properties)
    position = graph.feed.head()
    committed = time.perf_counter()
    reached = subject.pkg.sync.wait(position, timeout_s=_TIMEOUT_S)
    ended = time.perf_counter()
    if not reached:
        raise BenchmarkError(f"position {position} was not searchable after {_TIMEOUT_S:g} s")
    found.engine_s.append(ended - started)
    _note_stages(found, started, committed, ended, subject.probe.taken())


def _note_stages(
    found: Freshness, started: float, committed: float, ended: float, passed: Mapping[str, float]
) -> None:
    if any(point not in passed for _, point in _POINTS):
        return  # the write came in a batch that the idle engine had begun before
    # The engine may notice a commit before the call that made it has returned.
    last = min(committed, passed[_POINTS[0][1]])
    found.stages_s["commit"].append(last - started)
    for stage, point in _POINTS:
        found.stages_s[stage].append(passed[point] - last)
        last = passed[point]
    found.stages_s["wake up"].append(ended - last)


def _raw_sample(
    subject: Subject, raw: RawParts, entity: Entity, properties: Properties, text: str, stamp: Stamp, found: Freshness
) -> None:
    started = time.perf_counter()
    with raw.graph.transaction() as tx:
        tx.update_entity(entity.id, properties)
    committed = time.perf_counter()
    vector = subject.model.embed([text])[0]
    embedded = time.perf_counter()
    position = Position(raw.graph.feed.head())
    raw.store.index.upsert(
        [VectorRecord(stamp._replace(position=position, checksum=vector_checksum(vector)), vector)]
    )
    ended = time.perf_counter()
    found.raw_s.append(ended - started)
    for stage, duration in (
        ("commit", committed - started),
        ("embed", embedded - committed),
        ("upsert", ended - embedded),
    ):
        found.raw_stages_s[stage].append(duration)


def _sleep_until(moment: float) -> None:
    remaining = moment - time.perf_counter()
    if remaining > 0:
        time.sleep(remaining)
