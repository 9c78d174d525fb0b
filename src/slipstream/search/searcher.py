"""Search by meaning, joined with the live graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from slipstream.domain.entities import Direction, Entity, EntityState, RecordState, RelationshipState
from slipstream.domain.errors import InvalidInputError, PoisonEventError, UnavailableError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.models import Space, SpaceScope
from slipstream.domain.positions import Position
from slipstream.domain.stamps import MetadataValue, SearchFilter, Vector, VectorHit
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import LiveRecipe, Recipe
from slipstream.ports.telemetry import NO_TRACER, Tracer

K_MAX = 1_000
HOPS_MAX = 3
_NEIGHBOURS_MAX = 100
_RRF_K = 60
"""Constant of reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009)."""
_ROUNDS_MAX = 4
SEARCH = "slipstream.search"
"""The name of a search's span; the query itself is never in it."""

Wait = Callable[[Position, float], bool]
LiveNow = Callable[[str | None], LiveRecipe]
"""Returns what is live, for a type (None: for every type): a search asks once, so that it sees one generation."""


class QueryEmbedder(Protocol):
    """What search needs of the embedding service."""

    def embed_query(self, text: str, model_id: str) -> Vector:
        """Embed a query with one model."""
        ...


@dataclass(frozen=True, slots=True)
class NeighbourHit:
    """An entity reached from a hit: over which relationship, and how many hops away."""

    entity_id: str
    entity_type: str
    name: str
    relationship_type: str
    direction: Direction
    hops: int


@dataclass(frozen=True, slots=True)
class SearchHit:
    """
    One live entity or relationship, best first.

    `score` is the cosine similarity, or, where several models answer, comparable only by rank.
    """

    entity_id: str
    entity_type: str
    score: float
    name: str
    text: str
    model_id: str
    properties: Mapping[str, object] = field(default_factory=dict)
    neighbours: tuple[NeighbourHit, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResults:
    """Hits and the frontier that they were answered at."""

    hits: tuple[SearchHit, ...]
    frontier: Position

    def __iter__(self) -> Iterator[SearchHit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: int) -> SearchHit:
        return self.hits[index]


class Searcher:
    """Embeds the query with every model in use, asks each live space, and joins the hits with the graph."""

    def __init__(
        self,
        graph: Graph,
        index: VectorIndex,
        service: QueryEmbedder,
        live: LiveNow,
        *,
        frontier: Callable[[], Position],
        wait: Wait,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._graph, self._index, self._service = graph, index, service
        self._live, self._frontier, self._wait = live, frontier, wait
        self._tracer, self._system = tracer, index.capabilities.system

    def search(
        self,
        text: str,
        k: int = 10,
        *,
        entity_type: str | None = None,
        after: Position | None = None,
        min_schema_version: int | None = None,
        expand: int = 0,
        metadata: Mapping[str, MetadataValue] | None = None,
        timeout_s: float = 10.0,
    ) -> SearchResults:
        """
        Return the `k` live records nearest in meaning to the text, best first.

        With `after`, the answer reflects at least that position, or `UnavailableError` is raised after
        `timeout_s` seconds. `expand` adds the neighbours within that many hops. A record whose entity is gone
        from the graph is never returned, however far the index lags.
        """
        _check(text, k, expand)
        where = SearchFilter(
            entity_types=None if entity_type is None else frozenset((entity_type,)),
            schema_version_min=min_schema_version,
            metadata=metadata or {},
        )
        with self._tracer.span(SEARCH, {"db.system.name": self._system, "db.operation.name": "search"}) as span:
            if after is not None:
                self._wait_for(after, timeout_s)
            frontier = self._frontier()
            hits = self._live_hits(text, k, where)
            if expand:
                hits = [_with_neighbours(hit, self._neighbours(hit.entity_id, expand)) for hit in hits]
            span.set("db.response.returned_rows", len(hits))
        return SearchResults(tuple(hits), frontier)

    def _wait_for(self, after: Position, timeout_s: float) -> None:
        if not self._wait(after, timeout_s):
            raise UnavailableError(
                f"the index did not reach position {after} within {timeout_s:g} s (it is at {self._frontier()}); "
                "raise timeout_s, or look at `slipstream status` for an outage"
            )

    def _live_hits(self, text: str, k: int, where: SearchFilter) -> list[SearchHit]:
        """Ask for more than `k` until `k` of them are alive, or there are no more."""
        in_force = self._live(next(iter(where.entity_types)) if where.entity_types else None)
        queries = self._queries(text, where, in_force.scopes)
        wanted = k
        for _ in range(_ROUNDS_MAX):
            rankings = [self._index.search(space, vector, wanted, narrowed) for space, vector, narrowed in queries]
            exhausted = all(len(ranking) < wanted for ranking in rankings)
            live = self._join(fuse(rankings), in_force.recipe)
            if len(live) >= k or exhausted:
                return live[:k]
            wanted *= 4
        return live[:k]

    def _queries(
        self, text: str, where: SearchFilter, scopes: Sequence[SpaceScope]
    ) -> list[tuple[Space, Vector, SearchFilter]]:
        """Return what to ask each live space: a query embedded by one model never meets vectors of another."""
        models = dict.fromkeys(scope.space.model_id for scope in scopes)
        vectors = {model_id: self._service.embed_query(text, model_id) for model_id in models}
        return [
            (
                scope.space,
                vectors[scope.space.model_id],
                where if scope.types is None or where.entity_types else replace(where, entity_types=scope.types),
            )
            for scope in scopes
        ]

    def _join(self, hits: Sequence[VectorHit], recipe: Recipe) -> list[SearchHit]:
        snapshot = self._graph.read([hit.stamp.key for hit in hits], recipe.hops())
        joined: list[SearchHit] = []
        for hit in hits:
            state = snapshot.states.get(hit.stamp.key)
            if state is not None:
                joined.append(_hit(hit, state, recipe))
        return joined

    def _neighbours(self, entity_id: str, hops: int) -> tuple[NeighbourHit, ...]:
        found: dict[str, tuple[str, Direction, int]] = {}
        edge = [entity_id]
        for hop in range(1, hops + 1):
            rows = self._graph.adjacent(edge, None, None, _NEIGHBOURS_MAX) if edge else ()
            edge = []
            for row in rows:
                if row.neighbour_id != entity_id and row.neighbour_id not in found:
                    found[row.neighbour_id] = (row.ref.type, row.direction, hop)
                    edge.append(row.neighbour_id)
        chosen = list(found)[:_NEIGHBOURS_MAX]
        states = self._graph.read([entity_key(neighbour) for neighbour in chosen], {}).states
        return tuple(
            NeighbourHit(neighbour, state.entity.type, entity_name(state.entity), *found[neighbour])
            for neighbour in chosen
            if isinstance(state := states.get(entity_key(neighbour)), EntityState)
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


def entity_name(entity: Entity) -> str:
    """Return what a person would call an entity."""
    for candidate in ("name", "title", "label"):
        value = entity.properties.get(candidate)
        if isinstance(value, str) and value:
            return value
    return entity.id


def record_name(state: RecordState) -> str:
    """Return what a person would call an entity, or a relationship with both of its ends."""
    if isinstance(state, RelationshipState):
        ref = state.relationship.ref
        return f"{entity_name(state.source)} -[{ref.type}]-> {entity_name(state.target)}"
    return entity_name(state.entity)


def _hit(hit: VectorHit, state: RecordState, recipe: Recipe) -> SearchHit:
    properties = (state.entity if isinstance(state, EntityState) else state.relationship).properties
    return SearchHit(
        entity_id=hit.stamp.key.id,
        entity_type=_type(state),
        score=hit.score,
        name=record_name(state),
        text=_text(state, recipe),
        model_id=hit.stamp.space.model_id,
        properties=dict(properties),
    )


def _text(state: RecordState, recipe: Recipe) -> str:
    try:
        target = recipe.target(state)
    except PoisonEventError:
        return record_name(state)  # it was rendered once; its present state can not be, and is a dead letter
    return record_name(state) if target is None else target.request.content


def _type(state: RecordState) -> str:
    return state.relationship.ref.type if isinstance(state, RelationshipState) else state.entity.type


def _with_neighbours(hit: SearchHit, neighbours: tuple[NeighbourHit, ...]) -> SearchHit:
    return SearchHit(
        hit.entity_id, hit.entity_type, hit.score, hit.name, hit.text, hit.model_id, hit.properties, neighbours
    )


def _check(text: str, k: int, expand: int) -> None:
    if not text.strip():
        raise InvalidInputError("is empty: say what to look for", field="text")
    if not 1 <= k <= K_MAX:
        raise InvalidInputError(f"must be in 1..{K_MAX}, not {k}", field="k")
    if not 0 <= expand <= HOPS_MAX:
        raise InvalidInputError(f"must be in 0..{HOPS_MAX}, not {expand}", field="expand")
