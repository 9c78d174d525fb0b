"""Search by meaning, joined with the live graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, Unpack

from slipstream.domain.errors import UnavailableError
from slipstream.domain.incidents import Incident
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space, SpaceScope
from slipstream.domain.positions import Position
from slipstream.domain.stamps import SearchFilter, Vector, VectorHit
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import LiveRecipe, ShowingRecipe
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.search.asking import QueryEmbedder, QueryVectors
from slipstream.search.hits import SearchHit, SearchResults, Unasked
from slipstream.search.joining import Joining
from slipstream.search.neighbours import with_neighbours
from slipstream.search.options import SearchArguments, SearchOptions, check_asked
from slipstream.search.warming import Warming
from slipstream.search.words import SearchedWords

_RRF_K = 60
"""Constant of reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009)."""
SEARCH = "slipstream.search"
"""The name of a search's span; the query itself is never in it."""
GRAPH = "graph"
"""Degraded so: the graph does not answer, and the index alone does."""
VECTOR = "vector"
"""Degraded so: no model answered; also the arm itself."""
KEYWORD = "keyword"
"""Degraded so: the words could not be searched; also the arm itself."""

Wait = Callable[[Position, float], bool]
_Query = tuple[Space, Vector, SearchFilter]
LiveNow = Callable[[str | None], LiveRecipe]
"""Returns what answers searches for a type (None: any); each search asks once, so that it sees one generation."""


class Patience(Protocol):
    """What a search need not wait for."""

    def behind(self, position: Position) -> Mapping[str, str]:
        """Return the models that alone keep the index behind a position, with the reason why they are down."""
        ...

    def wait_for_some(self, position: Position, models: Sequence[str], timeout_s: float) -> bool:
        """Wait until the index reflects a position, but for those of `models` that are down, if one of them is up."""
        ...


class Searcher:
    """Embeds the query with every model in use, asks each live space, and joins the hits with the graph."""

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
    ) -> None:
        self._graph, self._index, self._vectors = graph, index, QueryVectors(service)
        self._warming = Warming(index)
        self._words = words
        self._patience = patience
        self._on_search = on_search
        """Called when a search begins and when it ends, so that work in the background can stand back."""
        self._live, self._frontier, self._wait = live, frontier, wait
        self._incident = incident
        self._tracer, self._system = tracer, index.capabilities.system

    def search(
        self,
        text: str,
        k: int = 10,
        **asked: Unpack[SearchArguments],
    ) -> SearchResults:
        """
        Return the `k` live records nearest in meaning to the text, best first.

        With `after`, the answer reflects at least that position, or `UnavailableError` is raised after
        `timeout_s` seconds. `expand` adds the neighbours within that many hops. A record whose entity is gone
        from the graph is never returned, however far the index lags.

        In an incident the index answers alone, and the results say so: a hit that the graph does not have, or can not
        tell, holds what its stamp says. With `after` it raises `IncidentError`: that position is never reached.

        A model that is down costs the hits of what it embeds, which `unasked` names; only when no model answers its
        error is raised.
        """
        check_asked(text, k)
        options = SearchOptions.of(asked)
        entity_type = options.entity_type
        where = SearchFilter(
            entity_types=None if entity_type is None else frozenset((entity_type,)),
            schema_version_min=options.min_schema_version,
            metadata=options.metadata,
        )
        self._announce()
        with self._tracer.span(SEARCH, {"db.system.name": self._system, "db.operation.name": "search"}) as span:
            behind = {} if options.after is None else self._wait_for(options.after, options.timeout_s, entity_type)
            frontier = self._frontier()
            joining = Joining(self._graph, where, self._incident)
            in_force = self._live(entity_type)
            self._warming.begin(scope.space for scope in in_force.scopes)
            queries, unasked = self._queries(text, where, in_force.scopes, behind)
            hits = self._live_hits(k, queries, joining, in_force.recipe)
            if options.expand and joining.can_ask:
                hits = with_neighbours(self._graph, hits, options.expand)
            span.set("db.response.returned_rows", len(hits))
        self._announce()
        lacks = (*((GRAPH,) if joining.incident else ()), *(f"{VECTOR}:{model.model_id}" for model in unasked))
        return SearchResults(tuple(hits), frontier, joining.incident, unasked, lacks, {VECTOR: frontier})

    def _announce(self) -> None:
        if self._on_search is not None:
            self._on_search()

    def _wait_for(self, after: Position, timeout_s: float, entity_type: str | None) -> Mapping[str, str]:
        """Wait, but not for models that are down while another one is up; returns these, with the reason."""
        if self._patience is None:
            has_come = self._wait(after, timeout_s)
        else:
            models = sorted({scope.space.model_id for scope in self._live(entity_type).scopes})
            has_come = self._patience.wait_for_some(after, models, timeout_s)
        if not has_come:
            raise UnavailableError(
                f"the index did not reach position {after} within {timeout_s:g} s (it is at {self._frontier()}); "
                "raise timeout_s, or look at `slipstream status` for an outage"
            )
        return {} if self._patience is None else self._patience.behind(after)

    def _live_hits(
        self, k: int, queries: Sequence[_Query], joining: Joining, recipe: ShowingRecipe
    ) -> list[SearchHit]:
        """Ask for `k`, then for ever more, until `k` of them are alive or there are no more."""
        wanted = k
        while True:
            rankings = [self._index.search(space, vector, wanted, narrowed) for space, vector, narrowed in queries]
            live = joining.first(k, fuse(rankings), recipe)
            if len(live) >= k or all(len(ranking) < wanted for ranking in rankings):
                return live
            wanted *= 4

    def _queries(
        self, text: str, where: SearchFilter, scopes: Sequence[SpaceScope], behind: Mapping[str, str]
    ) -> tuple[list[_Query], tuple[Unasked, ...]]:
        """Return a query for each live space, embedded by its model, and the models that could not be asked."""
        models = dict.fromkeys(scope.space.model_id for scope in scopes)
        asked = [model_id for model_id in models if model_id not in behind]
        vectors, failed = self._vectors.of(text, asked) if asked else ({}, {})
        reasons = {**behind, **{model_id: str(error) for model_id, error in failed.items()}}
        if models and not vectors:
            raise UnavailableError("; ".join(reasons.values()))
        queries = [
            (
                scope.space,
                vectors[scope.space.model_id],
                where if scope.types is None or where.entity_types else replace(where, entity_types=scope.types),
            )
            for scope in scopes
            if scope.space.model_id in vectors
        ]
        return queries, tuple(
            Unasked(model_id, _types(model_id, scopes), reasons[model_id])
            for model_id in models
            if model_id in reasons
        )


def fuse(rankings: Sequence[Sequence[VectorHit]]) -> list[VectorHit]:
    """
    Join rankings, each key once: those of one model by score, those of several models by reciprocal rank.

    Scores of different models are not comparable; those of one model are, in whichever generation.
    """
    by_model: dict[tuple[str, str], list[Sequence[VectorHit]]] = {}
    for ranking in rankings:
        if ranking:
            space = ranking[0].stamp.space
            by_model.setdefault((space.model_id, space.model_version), []).append(ranking)
    filled = [_merged(of_model) for of_model in by_model.values()]
    if len(filled) == 1:
        return list(filled[0])
    weights: dict[RecordKey, float] = {}
    best: dict[RecordKey, VectorHit] = {}
    for ranking in filled:
        for rank, hit in enumerate(ranking):
            weights[hit.stamp.key] = weights.get(hit.stamp.key, 0.0) + 1.0 / (_RRF_K + rank)
            best.setdefault(hit.stamp.key, hit)
    return [best[key] for key in sorted(best, key=lambda key: (-weights[key], key.encode()))]


def _merged(rankings: Sequence[Sequence[VectorHit]]) -> Sequence[VectorHit]:
    if len(rankings) == 1:
        return rankings[0]
    best: dict[RecordKey, VectorHit] = {}
    for hit in sorted((hit for ranking in rankings for hit in ranking), key=lambda hit: -hit.score):
        best.setdefault(hit.stamp.key, hit)
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.stamp.key.encode()))


def _types(model_id: str, scopes: Sequence[SpaceScope]) -> tuple[str, ...]:
    return tuple(sorted({name for scope in scopes if scope.space.model_id == model_id for name in scope.homed}))
