"""Quality of an open PKG: runs and their trend, what is weak and embedding it anew, and the gate of a migration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from slipstream.domain.entities import RecordState
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.models import SpaceScope
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.quality.comparison import QualityComparison, QualityGate, Query, compare_generations
from slipstream.quality.expected import check_ids, keys_of
from slipstream.quality.figures import confidence_change
from slipstream.quality.kept_runs import KeptRuns
from slipstream.quality.search_runs import SearchParts, SearchRuns
from slipstream.quality.sides import EmbedQuery, Fuse, Sampler, Scoped, side_of
from slipstream.quality.tracking import QualitySettings, QualityTracker, Weak, Weakness
from slipstream.recipes.in_force import RecipePair, Recipes
from slipstream.recipes.view_recipe import ViewRecipe

SAMPLE = 200
"""Records whose neighbours a comparison of two generations asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityParts:
    """What quality is measured with; a composition root puts it together."""

    store: SchemaVersionedEmbeddingStore
    graph: GraphReader
    journal: Journal
    clock: Clock
    recipes: Recipes
    types: Callable[[ViewRecipe], Sequence[str]]
    """Returns every type that may have records by a recipe."""
    embed_query: EmbedQuery
    fuse: Fuse
    name_of: Callable[[RecordState], str]
    frontier: Callable[[], Position]
    gate: QualityGate
    searching: SearchParts


class Quality(SearchRuns):
    """How good the vectors are, and what searches find."""

    def __init__(self, parts: QualityParts) -> None:
        super().__init__(parts.searching)
        self._parts = parts
        self._kept = KeptRuns(parts.journal)

    @property
    def gate(self) -> QualityGate:
        """The thresholds that the configuration sets for a cut-over."""
        return self._parts.gate

    # ------------------------------------------------------------------ tracking

    def run(
        self, settings: QualitySettings | None = None, on_progress: Callable[[int], None] | None = None
    ) -> dict[str, Any]:
        """Measure the live generation, and return the report as it is kept; see `QualitySettings`."""
        parts = self._parts
        tracker = QualityTracker(
            self._live(), parts.graph, parts.embed_query, parts.name_of, settings or QualitySettings()
        )
        return self._kept.keep(tracker.run(parts.clock.now(), parts.frontier(), on_progress))

    def trend(self) -> list[dict[str, Any]]:
        """Return the reports of past runs, oldest first."""
        return self._kept.runs()

    def record(self, identity: str) -> dict[str, Any]:
        """
        Return what is known of one record, by its id or key: its confidence now, and its figures in the kept runs.

        Raises `InvalidInputError` for one that neither the live generation nor a kept run has.
        """
        printed = [RecordKey.decode(identity)] if identity[:2] in ("e:", "r:") else []
        for key in [*printed, *keys_of(identity)]:
            runs, stamp = self._kept.record(key.encode()), self._live_stamp(key)
            if stamp is not None or runs:
                return {
                    "key": key.encode(),
                    "type": runs[-1]["entity_type"] if stamp is None else stamp.entity_type,
                    "confidence": None if stamp is None else stamp.extraction_confidence,
                    "embedded_confidence": None if stamp is None else stamp.embedded_confidence,
                    "confidence_change": confidence_change(runs),
                    "runs": runs,
                }
        raise InvalidInputError(f"{identity!r} is neither in the index nor in a run that is kept", field="id")

    def _live_stamp(self, key: RecordKey) -> Stamp | None:
        live, held = self._live(), self._parts.store.index.stamps([key]).get(key)
        records = held.records if held is not None else ()
        return next((stamp for stamp in records if live.filter_of(stamp) is not None), None)

    def weak(self, kinds: Sequence[Weakness] = tuple(Weakness)) -> list[Weak]:
        """Return what the last run found of these kinds; raises `ConfigError` when there was no run."""
        if not self._kept.runs():
            raise ConfigError("nothing has been measured yet: run `slipstream quality run` first")
        return [weak for weak in self._kept.findings() if weak.kind in kinds]

    def confidence_below(self, bound: float, limit: int | None = None) -> list[tuple[RecordKey, str, float]]:
        """Return live records, by key, whose extraction confidence is below a bound: key, type and confidence."""
        if not 0 <= bound <= 1:
            raise InvalidInputError(f"must be within 0..1, not {bound:g}", field="confidence_below")
        return list(islice(self._unsure(bound), limit))

    def reembed(self, keys: Sequence[RecordKey], reason: str) -> int:
        """Mark records to be embedded anew past the cache, durably, in the repair lane; returns how many."""
        chosen = list(dict.fromkeys(keys))
        entities = [key.id for key in chosen if key.kind is KeyKind.ENTITY]
        relationships = [key for key in chosen if key.kind is not KeyKind.ENTITY]
        if entities:
            self._parts.store.mark_for_reembedding(entities, reason=reason)
        if relationships:
            self._parts.store.mark_dirty(relationships, reason, force=True)
        return len(chosen)

    def _unsure(self, bound: float) -> Iterator[tuple[RecordKey, str, float]]:
        for page in self._live().pages():
            for stamp in page:
                if stamp.extraction_confidence is not None and stamp.extraction_confidence < bound:
                    yield stamp.key, stamp.entity_type, stamp.extraction_confidence

    # ------------------------------------------------------------------ the gate of a migration

    def compare(self, queries: Sequence[Query] = (), *, sample: int = SAMPLE, k: int = 10) -> QualityComparison:
        """
        Compare the two generations, on sampled records of the types that differ and on queries.

        The live one comes first: before a cut-over that is the old one, after it the new one.
        Raises `ConfigError` when there is no generation beside the live one that is kept up to date, and
        `InvalidInputError` for a query that expects what the graph does not have.
        """
        if sample < 0:
            raise InvalidInputError(f"must be at least 0, not {sample}", field="sample")
        pair = self._parts.recipes.pair
        if pair.other is None:
            raise ConfigError("there is no generation to compare with: `slipstream migrate start` builds one")
        self.check(queries)
        # The types of both: a view of a relationship may be in one of them only.
        types = list(dict.fromkeys([*self._parts.types(pair.live), *self._parts.types(pair.other)]))
        differing = {name for name in types if pair.live.space_of(name) != pair.other.space_of(name)}
        flipped = RecipePair(pair.other, pair.live)
        live, other = self._scoped(pair.scopes(types)), self._scoped(flipped.scopes(types))
        sampler = Sampler(sample)
        for page in live.pages():
            for stamp in page:
                if stamp.entity_type in differing:
                    sampler.add(stamp)
        return compare_generations(
            side_of("live", live, self._parts.embed_query, self._parts.fuse),
            side_of("next", other, self._parts.embed_query, self._parts.fuse),
            [stamp.key for stamp in sampler.stamps],
            queries,
            k,
        )

    def check(self, queries: Sequence[Query]) -> None:
        """Raise `InvalidInputError` when queries expect ids that the graph does not have: nothing can find those."""
        check_ids(
            self._parts.graph, (each for query in queries for each in query.expected), field="queries: expected"
        )

    def objections(self, queries: Sequence[Query] = (), *, sample: int = SAMPLE, k: int = 10) -> tuple[str, ...]:
        """
        Return what the configured gate has against the next generation: the veto of a cut-over.

        A gate that asks for nothing compares nothing. Raises what `compare` raises.
        """
        return () if self.gate.is_open else self.gate.reasons(self.compare(queries, sample=sample, k=k))

    def gate_with(self, **thresholds: float | None) -> QualityGate:
        """Return the configured gate with some thresholds replaced; None keeps the configured one."""
        return replace(self.gate, **{name: value for name, value in thresholds.items() if value is not None})

    def _live(self) -> Scoped:
        pair = self._parts.recipes.pair
        return self._scoped(pair.scopes(self._parts.types(pair.live)))

    def _scoped(self, scopes: Sequence[SpaceScope]) -> Scoped:
        return Scoped(self._parts.store.index, tuple(scopes))
