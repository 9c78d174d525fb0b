"""Search by name, words and meaning, joined with the live graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Unpack

from slipstream.domain.errors import UnavailableError, UnsupportedError
from slipstream.domain.incidents import Incident
from slipstream.domain.models import SpaceScope
from slipstream.domain.positions import Position
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters
from slipstream.ports.recipe import LiveRecipe
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.search.absence import Absence
from slipstream.search.arms import GRAPH, KEYWORD, VECTOR, Arms, Asking, VectorArm, VectorQuery, WordArms
from slipstream.search.asking import QueryEmbedder, QueryVectors
from slipstream.search.explaining import Shares, excerpts_of, told
from slipstream.search.explanations import WhyNot
from slipstream.search.fusing import Fused, alone, fuse
from slipstream.search.hits import SearchHit, SearchResults, Unasked
from slipstream.search.joining import Joined, Joining
from slipstream.search.keyword import KeywordArm
from slipstream.search.neighbours import with_neighbours
from slipstream.search.options import Mode, SearchArguments, SearchOptions, check_asked
from slipstream.search.ranking import Candidate
from slipstream.search.reordering import Reorderings, depth_of, reordered
from slipstream.search.waiting import Patience, Wait, Waiting
from slipstream.search.warming import Warming
from slipstream.search.weights import FusionWeights
from slipstream.search.words import SearchedWords

SEARCH = "slipstream.search"
"""The name of a search's span; the query itself is never in it."""

LiveNow = Callable[[str | None], LiveRecipe]
"""Returns what answers searches for a type (None: any); each search asks once, so that it sees one generation."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Searcher:
    """Asks names, words and every live space, puts together what they found, and joins the hits with the graph."""

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        service: QueryEmbedder,
        live: LiveNow,
        *,
        frontier: Callable[[], Position],
        wait: Wait,
        words: SearchedWords | None = None,
        patience: Patience | None = None,
        on_search: Callable[[], object] | None = None,
        incident: Incident | None = None,
        tracer: Tracer = NO_TRACER,
        weights: FusionWeights | None = None,
        reorderings: Reorderings | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._graph, self._index, self._vectors = graph, index, QueryVectors(service)
        self._warming = Warming(index)
        self._words, self._keyword = words, None if words is None else KeywordArm(words)
        self._weights, self._now = weights or FusionWeights(), now
        self._reorderings = reorderings or Reorderings()
        self._patience = patience
        self._on_search = on_search
        """Called when a search begins and when it ends, so that work in the background can stand back."""
        self._live, self._frontier, self._wait = live, frontier, wait
        self._incident = incident
        self._tracer, self._system = tracer, index.capabilities.system

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that can be asked here: without words, the vectors alone."""
        return ("vector",) if self._words is None else ("vector", "keyword", "exact", "hybrid")

    def search(self, text: str, k: int = 10, **asked: Unpack[SearchArguments]) -> SearchResults:
        """
        Return the `k` live records that fit the text best, best first; `SearchOptions` tells of the other arguments.

        With `after`, the answer reflects at least that position, or `UnavailableError` is raised after
        `timeout_s` seconds. `expand` adds the neighbours within that many hops. A record whose entity is gone
        from the graph is never returned, however far the index lags.

        In an incident the index answers alone, and the results say so: a hit that the graph does not have, or can not
        tell, holds what its stamp says. With `after` it raises `IncidentError`: that position is never reached.

        A model that is down costs the hits of what it embeds, which `unasked` names. When no model answers, names and
        words do, and `degraded` says so; with `mode="vector"`, and where there are no words, its error is raised.
        """
        check_asked(text, k)
        asking = self._asking(text, k, SearchOptions.of(asked))
        self._announce()
        with self._tracer.span(SEARCH, {"db.system.name": self._system, "db.operation.name": "search"}) as span:
            found = self._answered(asking)
            span.set("db.response.returned_rows", len(found.hits))
        self._announce()
        return found

    def why_not(
        self,
        text: str,
        entity_id: str,
        k: int = 10,
        letters: DeadLetters | None = None,
        **asked: Unpack[SearchArguments],
    ) -> WhyNot:
        """
        Return why a record is not among the hits of the same search, or its rank; changes nothing.

        It searches as `search` does, and then looks for the record further behind, among the first `DEPTH_MAX` hits
        of each arm. Raises what `search` raises; `IncidentError` when the graph can not tell.
        """
        check_asked(text, k)
        asking = self._asking(text, k, SearchOptions.of(asked))
        arms = self._arms(asking, self._wait_for(asking))
        joining = self._joining(asking, arms.live)
        joined, fused = self._found(asking, arms, joining, k)
        absence = Absence(
            asking=asking,
            arms=arms,
            joining=joining,
            graph=self._graph,
            index=self._index,
            words=self._words,
            letters=letters,
            fused=lambda depth: self._fused(asking, arms, depth),
            shares=lambda fused: self._shares(asking, fused),
        )
        return absence.reason(entity_id, joined, fused, self._depth(asking, k))

    def _asking(self, text: str, k: int, options: SearchOptions) -> Asking:
        if self._words is None:
            if options.mode in ("keyword", "exact"):
                raise UnsupportedError(f"words are not indexed here: mode {options.mode!r} has nothing to search")
            options = replace(options, mode="vector")
        return Asking.of(text, k, options)

    def _announce(self) -> None:
        if self._on_search is not None:
            self._on_search()

    def _answered(self, asking: Asking) -> SearchResults:
        chosen = self._reorderings.chosen(asking.options)
        behind = self._wait_for(asking)
        frontiers = self._frontiers(asking)
        arms = self._arms(asking, behind)
        joining = self._joining(asking, arms.live)
        joined, fused = self._found(asking, arms, joining, depth_of(chosen, asking.k))
        hits = [joining.hit(each) for each in joined]
        if asking.options.explain:
            hits = self._explained(asking, arms, joined, hits, fused)
        if chosen:
            is_named = sum(1 for each in joined if each.candidate.front)
            hits, failed = reordered(chosen, asking.text, hits, fixed=is_named)
            arms.degraded = (*arms.degraded, *failed)
        hits = asking.narrowing.ordered(hits[: asking.k])
        if asking.options.expand and joining.can_ask:
            hits = with_neighbours(self._graph, hits, asking.options.expand)
        return self._results(asking, hits, arms, joining, frontiers, fused)

    def _results(
        self,
        asking: Asking,
        hits: Sequence[SearchHit],
        arms: Arms,
        joining: Joining,
        frontiers: Mapping[str, Position],
        fused: Fused,
    ) -> SearchResults:
        answered = {name: at for name, at in frontiers.items() if name not in arms.degraded}
        return SearchResults(
            hits=tuple(hits),
            frontier=min(answered.values()),
            incident=joining.incident,
            unasked=arms.unasked,
            degraded=(*((GRAPH,) if joining.incident else ()), *arms.degraded),
            frontiers=answered,
            explanation=told(asking, arms, fused) if asking.options.explain else None,
        )

    # ------------------------------------------------------------------ freshness

    def _wait_for(self, asking: Asking) -> Mapping[str, str]:
        """Wait, but not for models that are down while something else answers; returns these, with the reason."""
        options = asking.options
        waiting = Waiting(options.after, options.timeout_s)
        if asking.by_words and self._words is not None:
            waiting.for_words(self._words.wait, self._words.frontier)
        if not asking.by_vectors:
            return {}

        def models() -> Sequence[str]:
            if asking.by_words:
                return ()
            return sorted({scope.space.model_id for scope in self._live(options.entity_type).scopes})

        return waiting.for_vectors(self._wait, self._patience, models, self._frontier)

    def _frontiers(self, asking: Asking) -> dict[str, Position]:
        found = {VECTOR: self._frontier()} if asking.by_vectors else {}
        if asking.by_words and self._words is not None:
            found[KEYWORD] = self._words.frontier()
        return found

    # ------------------------------------------------------------------ arms

    def _arms(self, asking: Asking, behind: Mapping[str, str]) -> Arms:
        live = self._live(asking.options.entity_type)
        arms = Arms(live)
        if asking.by_words and self._words is not None and self._keyword is not None:
            arms.words = WordArms(self._words.index, self._keyword, asking)
            arms.prepare()
        if asking.by_vectors:
            arms.begin(self._depth(asking, asking.k))
            self._warming.begin(scope.space for scope in live.scopes)
            queries = self._queries(asking, arms, behind)
            arms.vectors = VectorArm(self._index, queries)
        return arms

    def _queries(self, asking: Asking, arms: Arms, behind: Mapping[str, str]) -> list[VectorQuery]:
        """Return a query for each live space, embedded by its model; tells the arms which could not be asked."""
        scopes, where = arms.live.scopes, asking.where
        models = dict.fromkeys(scope.space.model_id for scope in scopes)
        asked = [model_id for model_id in models if model_id not in behind]
        must_answer = arms.words is None
        vectors, failed = self._vectors.of(arms.text(asking), asked, must_answer=must_answer) if asked else ({}, {})
        reasons = {**behind, **{model_id: str(error) for model_id, error in failed.items()}}
        if models and not vectors and must_answer:
            raise UnavailableError("; ".join(reasons.values()))
        arms.lack([Unasked(name, _types(name, scopes), reasons[name]) for name in models if name in reasons], vectors)
        return [
            VectorQuery(
                scope.space,
                vectors[scope.space.model_id],
                where if scope.types is None or where.entity_types else replace(where, entity_types=scope.types),
            )
            for scope in scopes
            if scope.space.model_id in vectors
        ]

    # ------------------------------------------------------------------ hits

    def _joining(self, asking: Asking, live: LiveRecipe) -> Joining:
        return Joining(self._graph, asking.where, asking.narrowing, live.recipe, self._incident, self._now)

    def _found(self, asking: Asking, arms: Arms, joining: Joining, k: int) -> tuple[list[Joined], Fused]:
        """Ask for `k`, then for ever more, until `k` of them are alive or there are no more."""
        depth = self._depth(asking, k)
        while True:
            fused = self._fused(asking, arms, depth)
            joined = joining.first(k, fused.candidates)
            if len(joined) >= k or fused.is_exhausted:
                return joined, fused
            depth *= 4

    def _depth(self, asking: Asking, k: int) -> int:
        """Return how many hits each arm is asked for at first."""
        is_pooled = asking.by_words or asking.narrowing.half_life_days is not None
        return max(k, self._weights.depth) if is_pooled else k

    def _fused(self, asking: Asking, arms: Arms, depth: int) -> Fused:
        rankings = arms.rankings(depth)
        fused = fuse(rankings, self._weights, asking.k) if asking.options.mode == "hybrid" else alone(rankings)
        return fused._replace(candidates=self._of_version(asking, arms, fused.candidates))

    def _of_version(self, asking: Asking, arms: Arms, candidates: list[Candidate]) -> list[Candidate]:
        """Leave out what was found by words, and was embedded at an older version of the schema than is asked for."""
        least = asking.where.schema_version_min
        bare = [each.key for each in candidates if each.stamp is None] if least is not None else []
        if not bare or least is None:
            return candidates
        spaces, held = {scope.space for scope in arms.live.scopes}, self._index.stamps(bare)
        for each in candidates:
            if each.stamp is None and (stamps := held.get(each.key)) is not None:
                each.stamp = next(
                    (it for it in stamps.records if it.space in spaces and it.schema_version >= least), None
                )
        return [each for each in candidates if each.stamp is not None]

    def _explained(
        self, asking: Asking, arms: Arms, joined: Sequence[Joined], hits: Sequence[SearchHit], fused: Fused
    ) -> list[SearchHit]:
        shares = self._shares(asking, fused)
        excerpts = excerpts_of(self._words, arms, joined, hits)
        return [
            replace(hit, explanation=shares.explanation(each.candidate.key, excerpt))
            for each, hit, excerpt in zip(joined, hits, excerpts, strict=True)
        ]

    def _shares(self, asking: Asking, fused: Fused) -> Shares:
        return Shares(fused, self._weights, asking.k, is_hybrid=asking.options.mode == "hybrid")


def _types(model_id: str, scopes: Sequence[SpaceScope]) -> tuple[str, ...]:
    return tuple(sorted({name for scope in scopes if scope.space.model_id == model_id for name in scope.homed}))
