"""
Quality of the records of one generation: one pass over all of them, and a closer look at a sample.

All records: is the vector finite and of unit length, and how sure was the extraction? A sample: how near is the
nearest other record (near-duplicates), how often is a record among others' nearest (hubs), and does its own name find
it? Memory is bounded by the sample, and by `FINDINGS_MAX` findings of a kind. Figures of sampled records are kept, up
to `RECORDS_MAX` of them, so that a record has a trend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from slipstream.domain.entities import EntityState, RecordState
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp, Vector
from slipstream.ports.graph import GraphReader
from slipstream.quality.figures import RECORDS_MAX, RecordFigures
from slipstream.quality.metrics import mean_and_spread, quantiles, skewness
from slipstream.quality.sides import EmbedQuery, Sampler, Scoped

SCHEMA = "slipstream.quality/1"
FINDINGS_MAX = 1_000
"""Findings of a kind that are listed; more are only counted."""
_UNIT_TOLERANCE = 1e-3
_PAGE = 500
_DIGITS = 6
"""Decimals of a norm or a distance that is kept."""


class Weakness(StrEnum):
    """What can be wrong with a record."""

    INVALID = "invalid"
    NEAR_DUPLICATE = "near_duplicate"
    HUB = "hub"
    NOT_SELF_RETRIEVED = "not_self_retrieved"


class Weak(NamedTuple):
    """A record of low quality: `value` is its norm, distance, or count among others' neighbours; None without one."""

    kind: Weakness
    key: str
    entity_type: str
    value: float | None
    other: str | None = None
    """The record that a near-duplicate is near to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySettings:
    """How closely to look."""

    sample: int | None = 1_000
    """Records whose neighbours are asked for; None is all of them, which takes memory for the key of each."""
    self_sample: int | None = 200
    """Entities of the sample, at most, whose name is embedded and searched for; None is all of them."""
    k: int = 10
    near_duplicate_max: float = 0.02
    """Cosine distance up to which two records are near-duplicates."""
    hub_sigmas: float = 3.0
    """A hub is among others' neighbours more often than the mean plus this many standard deviations, and than `k`."""

    def __post_init__(self) -> None:
        for name, least, most in (("sample", 0, 1_000_000), ("self_sample", 0, 1_000_000), ("k", 1, 100)):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise InvalidInputError(f"must be in {least}..{most:,}", field=f"quality.{name}")
        if not 0 <= self.near_duplicate_max <= 2:
            raise InvalidInputError("must be within 0..2, a cosine distance", field="quality.near_duplicate_max")
        if not 0 < self.hub_sigmas < float("inf"):
            raise InvalidInputError("must be greater than 0", field="quality.hub_sigmas")


@dataclass(slots=True)
class _OfType:
    """What is gathered of one type, without keeping its records."""

    records: int = 0
    invalid: int = 0
    confidences: Counter[float] = field(default_factory=Counter)
    """Rounded to hundredths, so that any number of records fits."""
    distances: list[float] = field(default_factory=list)
    self_ranks: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "invalid": self.invalid,
            "confidence": _confidence_summary(self.confidences),
            "nearest_distance": quantiles(self.distances),
            "self_retrieval": _self_summary(self.self_ranks),
        }


@dataclass(frozen=True, slots=True)
class QualityRun:
    """One finished run: `report` is plain data, `findings` at most `FINDINGS_MAX` of a kind."""

    report: Mapping[str, Any]
    findings: tuple[Weak, ...]
    figures: tuple[RecordFigures, ...] = ()
    """Of at most `RECORDS_MAX` records of the sample, and the invalid ones that are listed."""


class QualityTracker:
    """Measures the records of one generation."""

    def __init__(
        self,
        scoped: Scoped,
        graph: GraphReader,
        embed_query: EmbedQuery,
        name_of: Callable[[RecordState], str],
        settings: QualitySettings,
    ) -> None:
        self._scoped, self._graph, self._embed_query = scoped, graph, embed_query
        self._name_of, self._settings = name_of, settings
        self._types: dict[str, _OfType] = {}
        self._spaces: Counter[Space] = Counter()
        self._found: dict[Weakness, list[Weak]] = {kind: [] for kind in Weakness}
        self._counts: Counter[Weakness] = Counter()
        self._kept: set[RecordKey] = set()
        self._figures: dict[RecordKey, RecordFigures] = {}
        self._sampled = self._looked_at = 0

    def run(self, at: datetime, position: Position, on_progress: Callable[[int], None] | None = None) -> QualityRun:
        """Look at all records, then at the sample; raises `TransientError` when a store or a model is down."""
        size, self_size = self._settings.sample, self._settings.self_sample
        sampler = Sampler(max(RECORDS_MAX, self_size or 0) if size is None else size)
        for page in self._told(self._scoped.pages(), on_progress):
            for stamp in self._valid_of(page):
                sampler.add(stamp)
        stamps = sampler.stamps
        self._kept = {stamp.key for stamp in stamps[:RECORDS_MAX]}
        skew = self._neighbourhoods(self._told(self._scoped.pages() if size is None else _pages(stamps), on_progress))
        entities = [stamp for stamp in stamps if stamp.key.kind is KeyKind.ENTITY][:self_size]
        self._self_retrieval(self._scoped.pages() if size is None and self_size is None else _pages(entities))
        return QualityRun(
            self._report(at, position, self._sampled, skew), self._findings(), tuple(self._figures.values())
        )

    def _told(
        self, pages: Iterable[Sequence[Stamp]], on_progress: Callable[[int], None] | None
    ) -> Iterator[Sequence[Stamp]]:
        """Pass pages on, and tell how many looks at records that makes: one of the sample is looked at twice."""
        for page in pages:
            yield page
            self._looked_at += len(page)
            if on_progress is not None:
                on_progress(self._looked_at)

    # ------------------------------------------------------------------ every record

    def _valid_of(self, page: Sequence[Stamp]) -> list[Stamp]:
        valid: list[Stamp] = []
        vectors = self._vectors(page)
        for stamp in page:
            of_type = self._of(stamp)
            of_type.records += 1
            self._spaces[stamp.space] += 1
            if stamp.extraction_confidence is not None:
                of_type.confidences[round(stamp.extraction_confidence, 2)] += 1
            norm = _norm(vectors.get((stamp.space, stamp.key)), stamp.space)
            if _is_unit(norm):
                valid.append(stamp)
            else:
                of_type.invalid += 1
                if self._counts[Weakness.INVALID] < FINDINGS_MAX:
                    self._figures[stamp.key] = _figures(stamp, norm)
                self._note(Weak(Weakness.INVALID, stamp.key.encode(), stamp.entity_type, norm))
        return valid

    def _of(self, stamp: Stamp) -> _OfType:
        return self._types.setdefault(stamp.entity_type, _OfType())

    def _vectors(self, stamps: Sequence[Stamp]) -> dict[tuple[Space, RecordKey], Vector]:
        keys_of: dict[Space, list[RecordKey]] = {}
        for stamp in stamps:
            keys_of.setdefault(stamp.space, []).append(stamp.key)
        return {
            (space, key): vector
            for space, keys in keys_of.items()
            for key, vector in self._scoped.index.vectors(keys, space).items()
        }

    # ------------------------------------------------------------------ the sample

    def _neighbourhoods(self, pages: Iterable[Sequence[Stamp]]) -> dict[str, float]:
        """Ask for the nearest of each sampled record; returns the skewness of N_k by space."""
        occurrences: dict[Space, Counter[RecordKey]] = {}
        types: dict[RecordKey, str] = {}
        for page in pages:
            vectors = self._vectors(page)
            for stamp in page:
                vector = vectors.get((stamp.space, stamp.key))
                norm = _norm(vector, stamp.space)
                if vector is None or not _is_unit(norm):
                    continue
                self._sampled += 1
                if stamp.key in self._kept:
                    self._figures[stamp.key] = _figures(stamp, norm)
                hits = self._scoped.near(stamp, vector, self._settings.k)
                if hits:
                    self._note_nearest(stamp, hits[0].stamp, max(0.0, 1.0 - hits[0].score))
                counted = occurrences.setdefault(stamp.space, Counter())
                for hit in hits:
                    counted[hit.stamp.key] += 1
                    types[hit.stamp.key] = hit.stamp.entity_type
        return {_space_name(space): self._hubs(space, counted, types) for space, counted in occurrences.items()}

    def _note_nearest(self, stamp: Stamp, nearest: Stamp, distance: float) -> None:
        self._of(stamp).distances.append(distance)
        figures = self._figures.get(stamp.key)
        if figures is not None:
            figures.nearest_distance, figures.nearest = round(distance, _DIGITS), nearest.key.encode()
        if distance <= self._settings.near_duplicate_max:
            other = nearest.key.encode()
            self._note(Weak(Weakness.NEAR_DUPLICATE, stamp.key.encode(), stamp.entity_type, distance, other))

    def _hubs(self, space: Space, counted: Counter[RecordKey], types: Mapping[RecordKey, str]) -> float:
        for known in self._figures.keys() & counted.keys():
            self._figures[known].neighbour_of = counted[known]
        values = list(counted.values())
        zeros = max(0, self._spaces[space] - len(values))
        mean, spread = mean_and_spread(values, zeros)
        bound = max(mean + self._settings.hub_sigmas * spread, self._settings.k)
        for key, times in counted.most_common():
            if times <= bound:
                break
            self._note(Weak(Weakness.HUB, key.encode(), types[key], float(times)))
        return skewness(values, zeros)

    def _self_retrieval(self, pages: Iterable[Sequence[Stamp]]) -> None:
        for page in pages:
            states = self._graph.read([stamp.key for stamp in page], {}).states
            for stamp in page:
                state = states.get(stamp.key)
                if isinstance(state, EntityState):
                    self._search_for(stamp, self._name_of(state))

    def _search_for(self, stamp: Stamp, name: str) -> None:
        vector = self._embed_query(name, stamp.space.model_id)
        where = self._scoped.filter_of(stamp)
        if where is None:
            return
        hits = self._scoped.index.search(stamp.space, vector, self._settings.k, where)
        rank = next((rank for rank, hit in enumerate(hits, start=1) if hit.stamp.key == stamp.key), 0)
        self._of(stamp).self_ranks.append(rank)
        if stamp.key in self._figures:
            self._figures[stamp.key].self_rank = rank
        if not rank:
            self._note(Weak(Weakness.NOT_SELF_RETRIEVED, stamp.key.encode(), stamp.entity_type, None))

    # ------------------------------------------------------------------ what is said of it

    def _note(self, weak: Weak) -> None:
        self._counts[weak.kind] += 1
        if len(self._found[weak.kind]) < FINDINGS_MAX:
            self._found[weak.kind].append(weak)

    def _findings(self) -> tuple[Weak, ...]:
        return tuple(weak for kind in Weakness for weak in self._found[kind])

    def _report(self, at: datetime, position: Position, sampled: int, skew: Mapping[str, float]) -> dict[str, Any]:
        types = self._types.values()
        ranks = [rank for of_type in types for rank in of_type.self_ranks]
        confidences: Counter[float] = sum((of_type.confidences for of_type in types), Counter())
        records = sum(of_type.records for of_type in types)
        return {
            "schema": SCHEMA,
            "at": at.isoformat(),
            "position": position,
            "records": records,
            "sampled": sampled,
            "self_sampled": len(ranks),
            "k": self._settings.k,
            "near_duplicate_max": self._settings.near_duplicate_max,
            "counts": {kind.value: self._counts[kind] for kind in Weakness},
            "confidence": _confidence_summary(confidences),
            "nearest_distance": quantiles([value for of_type in types for value in of_type.distances]),
            "hubness_skewness": dict(skew),
            "self_retrieval": _self_summary(ranks),
            "types": {name: of_type.summary() for name, of_type in sorted(self._types.items())},
            "notes": self._notes(records, sampled, len(ranks)),
        }

    def _notes(self, records: int, sampled: int, self_sampled: int) -> list[str]:
        notes = []
        if sampled < records:
            notes.append(
                f"neighbours were asked for {sampled:,} of {records:,} records: near-duplicates and hubs are those "
                "that these show"
            )
        if self_sampled < records:
            notes.append(f"the names of {self_sampled:,} of {records:,} records were searched for")
        notes += [
            f"{count:,} records are {kind.value}, {FINDINGS_MAX:,} of them are listed"
            for kind, count in self._counts.items()
            if count > FINDINGS_MAX
        ]
        return notes


def _norm(vector: Vector | None, space: Space) -> float | None:
    """Return the length of a vector, None where it is gone, misshapen or not finite."""
    if vector is None or vector.shape != (space.dimension,):
        return None
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    return norm if np.isfinite(norm) else None


def _is_unit(norm: float | None) -> bool:
    return norm is not None and abs(norm - 1.0) <= _UNIT_TOLERANCE


def _figures(stamp: Stamp, norm: float | None) -> RecordFigures:
    return RecordFigures(
        stamp.key.encode(),
        stamp.entity_type,
        None if norm is None else round(norm, _DIGITS),
        stamp.extraction_confidence,
        valid=_is_unit(norm),
    )


def _pages(stamps: Sequence[Stamp]) -> Iterator[Sequence[Stamp]]:
    for start in range(0, len(stamps), _PAGE):
        yield stamps[start : start + _PAGE]


def _confidence_summary(counted: Counter[float]) -> dict[str, float]:
    """Return mean and quantiles of confidences in hundredths; empty when none is known."""
    total = sum(counted.values())
    if not total:
        return {}
    found: dict[str, float] = {
        "known": float(total),
        "mean": sum(value * count for value, count in counted.items()) / total,
    }
    for name, share in (("min", 0.0), ("p10", 0.1), ("median", 0.5), ("p90", 0.9), ("max", 1.0)):
        seen = 0
        for value in sorted(counted):
            seen += counted[value]
            if seen >= share * total:
                found[name] = value
                break
    return found


def _self_summary(ranks: Sequence[int]) -> dict[str, float]:
    """Return how often a name finds its record: first, at all, and the mean reciprocal rank."""
    if not ranks:
        return {}
    return {
        "first": sum(rank == 1 for rank in ranks) / len(ranks),
        "found": sum(rank > 0 for rank in ranks) / len(ranks),
        "mrr": sum(1.0 / rank for rank in ranks if rank) / len(ranks),
    }


def _space_name(space: Space) -> str:
    return f"{space.model_id} generation {space.generation}"
