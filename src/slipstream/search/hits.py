"""What a search returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from slipstream.domain.entities import Direction, Entity, EntityState, Properties, RecordState, RelationshipState
from slipstream.domain.incidents import Incident
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.requests import Shown
from slipstream.search.explanations import HitExplanation, SearchExplanation
from slipstream.search.ranking import Candidate


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

    `score` is what hits are ordered by: the cosine similarity, or what several arms say together. Scores of different
    searches are not comparable, nor are those of different `model_id`s: only the order of hits is.
    """

    entity_id: str
    entity_type: str
    score: float
    name: str
    text: str
    model_id: str
    """The model of its vector; empty where it was found by its name or words alone."""
    properties: Properties = field(default_factory=dict)
    neighbours: tuple[NeighbourHit, ...] = ()
    position: Position = ORIGIN
    """The position of the graph at which its text was read; of a hit without a vector, that of the search itself."""
    explanation: HitExplanation | None = None
    """Why it is a hit; only of a search with `explain`."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """A model that a search could not ask, or whose newest changes it could not wait for."""

    model_id: str
    types: tuple[str, ...]
    """The types that it embeds, none of which is among the hits; empty for all that was asked for."""
    reason: str

    @property
    def line(self) -> str:
        """One sentence for people."""
        return f"not searched: {', '.join(self.types) or 'everything'} (model {self.model_id}): {self.reason}"


@dataclass(frozen=True, slots=True)
class SearchResults:
    """Hits and the frontier that they were answered at: all arms reflect the graph that far at least."""

    hits: tuple[SearchHit, ...]
    frontier: Position
    incident: Incident | None = None
    """Why the hits were not joined with the graph; None when they were."""
    unasked: tuple[Unasked, ...] = ()
    """The models that were not asked: what they embed is not among the hits by meaning."""
    degraded: tuple[str, ...] = ()
    """
    What the answer lacks: `graph` (hits may be of records that the graph does not have, and lack properties),
    `vector` (no model answered), `vector:MODEL` (one of several did not), `keyword` (words could not be searched).
    """
    frontiers: Mapping[str, Position] = field(default_factory=dict)
    """How far each arm that answered reflects the graph; `frontier` is the least of them."""
    explanation: SearchExplanation | None = None
    """What each arm was asked; only of a search with `explain`."""

    def __iter__(self) -> Iterator[SearchHit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: int) -> SearchHit:
        return self.hits[index]


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


def live_hit(candidate: Candidate, state: RecordState, shown: Shown | None, read_at: Position) -> SearchHit:
    """Return the hit with what the graph says of the record now, and the text that its recipe makes of that."""
    properties = (state.entity if isinstance(state, EntityState) else state.relationship).properties
    stamp = candidate.stamp
    return SearchHit(
        entity_id=candidate.key.id,
        entity_type=type_of(state),
        score=candidate.total,
        name=record_name(state),
        text=record_name(state) if shown is None else shown.text,
        model_id="" if stamp is None else stamp.space.model_id,
        properties=dict(properties),
        position=read_at if stamp is None else stamp.position,
    )


def stamped_hit(candidate: Candidate) -> SearchHit:
    """Return the hit with what its stamp says, without the graph."""
    stamp = candidate.stamp
    return SearchHit(
        entity_id=candidate.key.id,
        entity_type=candidate.entity_type if stamp is None else stamp.entity_type,
        score=candidate.total,
        name=candidate.key.id,
        text="",
        model_id="" if stamp is None else stamp.space.model_id,
        position=ORIGIN if stamp is None else stamp.position,
    )


def type_of(state: RecordState) -> str:
    """Return the type of an entity or a relationship."""
    return state.relationship.ref.type if isinstance(state, RelationshipState) else state.entity.type
