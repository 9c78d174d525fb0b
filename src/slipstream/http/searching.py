"""What a search is asked for over HTTP, and how its hits and explanations are told."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import Field

from slipstream.domain.entities import Direction
from slipstream.domain.positions import Position
from slipstream.http.models import Answer, At, Body, Id, TypeName, example, told
from slipstream.http.waiting import WAIT_S_MAX
from slipstream.search.explanations import Arm, ArmShare, HitExplanation, Reason, SearchExplanation, WhyNot
from slipstream.search.hits import SearchHit
from slipstream.search.narrowing import HALF_LIFE_DAYS_MAX, Sort
from slipstream.search.options import HOPS_MAX, K_MAX, Mode, SearchArguments

TEXT_SIZE_MAX = 10_000
"""Characters of a text to search for."""
METADATA_MAX = 20
"""Conditions on metadata in one search."""
_MOMENT_SIZE_MAX = 64
_INTEGER_MAX = 2**63 - 1

MetadataValue = (
    Annotated[str, Field(max_length=TEXT_SIZE_MAX)]
    | bool
    | Annotated[int, Field(ge=-_INTEGER_MAX, le=_INTEGER_MAX)]
    | Annotated[float, Field(allow_inf_nan=False)]
)
Moment = Annotated[str, Field(min_length=1, max_length=_MOMENT_SIZE_MAX)]


class Narrowed(Body):
    """What to search for, and among what."""

    text: str = Field(min_length=1, max_length=TEXT_SIZE_MAX, description="What to look for, in words")
    k: int = Field(default=10, ge=1, le=K_MAX, description="How many hits at most")
    mode: Mode = Field(
        default="hybrid",
        description="By name, words and meaning together (`hybrid`), or by one of them: `vector`, `keyword`, `exact`",
    )
    entity_type: TypeName | None = Field(default=None, description="Only entities, or relationships, of this type")
    after: At | None = Field(
        default=None, description="A position that the answer must reflect: it is waited for, up to `timeout_s`"
    )
    min_schema_version: int | None = Field(
        default=None,
        ge=1,
        le=_INTEGER_MAX,
        description="Only what was embedded by this schema version or a newer one",
    )
    metadata: dict[TypeName, MetadataValue] | None = Field(
        default=None, max_length=METADATA_MAX, description="Values that the metadata of a hit must have"
    )
    since: Moment | None = Field(
        default=None, description="Only what was at this time or later: an ISO date (the whole day) or time"
    )
    until: Moment | None = Field(
        default=None, description="Only what was at this time or earlier: an ISO date (the whole day) or time"
    )
    time_property: TypeName | None = Field(
        default=None, description="The property that tells when a record was; else the usual ones"
    )
    min_confidence: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="The least `extraction_confidence`"
    )
    source: str | None = Field(
        default=None, min_length=1, max_length=TEXT_SIZE_MAX, description="Only from this document or named graph"
    )
    half_life_days: float | None = Field(
        default=None,
        gt=0,
        le=HALF_LIFE_DAYS_MAX,
        allow_inf_nan=False,
        description="After so many days a score counts half",
    )
    rerank: bool | None = Field(default=None, description="Whether a second model reads the best hits again")
    graph_arm: bool | None = Field(default=None, description="Whether what is near the best hits moves up")
    timeout_s: float = Field(
        default=10.0, ge=0, le=WAIT_S_MAX, allow_inf_nan=False, description="For how long to wait for `after`"
    )

    def arguments(self) -> SearchArguments:
        """Return what a facade's search is called with, besides text and k."""
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in type(self).model_fields.keys() & SearchArguments.__annotations__.keys()
        }
        given["after"] = None if self.after is None else Position(self.after)
        return cast("SearchArguments", given)


class Search(Narrowed):
    """What to search for, among what, and how to tell it."""

    model_config = example(text="who works on compilers", k=5, entity_type="Person")

    expand: int = Field(default=0, ge=0, le=HOPS_MAX, description="Add the neighbours within so many hops")
    sort: Sort = Field(default="score", description="Order the hits by how well they fit, or by their time")
    explain: bool = Field(default=False, description="Tell of each hit which arm found it, and by what")


class AskedWhyNot(Narrowed):
    """A search, and the record that is not among its hits."""

    model_config = example(text="who works on compilers", k=5, entity_id="ada")

    entity_id: Id = Field(description="The id of an entity or relationship")


class NeighbourOfHit(Answer):
    """An entity reached from a hit."""

    entity_id: str
    entity_type: str
    name: str
    relationship_type: str
    direction: Direction
    hops: int


class ArmSaid(Answer):
    """What one arm says of a hit."""

    arm: Arm
    rank: int = Field(description="From 1, among what the arm found")
    score: float = Field(description="As the arm tells it: a cosine, a bm25, edits")
    share: float = Field(description="What it adds to the score of the hit")
    model_id: str | None = Field(default=None, description="The model of a vector")


class HitExplained(Answer):
    """Why a hit is one."""

    arms: list[ArmSaid]
    name_kind: str | None = Field(description="What the text is to it: its `id`, a `key`, its `name`, an `alias`")
    matched: list[str] = Field(description="The words of it that the text has")
    snippet: str = Field(description="A stretch of its text around them")


class SearchExplained(Answer):
    """What the arms were asked, and how their answers were put together."""

    mode: str
    arms: dict[str, int] = Field(description="How many hits each arm had to give")
    words: list[str] = Field(description="The words that were looked for")
    corrected: str | None = Field(description="The text as it is spelled right, where a word was unknown")
    filters: dict[str, str]
    fusion: str


class Hit(Answer):
    """A live entity or relationship."""

    entity_id: str
    entity_type: str
    score: float = Field(
        description="What hits are ordered by: of the arms together, or the cosine in mode `vector`; scores of "
        "different models or modes do not compare, the order does"
    )
    name: str
    text: str = Field(description="What stands for it, and was embedded")
    model_id: str
    position: int = Field(description="The position of the graph at which its text was read")
    properties: dict[str, Any]
    neighbours: list[NeighbourOfHit]
    explanation: HitExplained | None = Field(default=None, description="Why it is a hit, where that was asked for")


class UnaskedModel(Answer):
    """A model that was not asked: what it embeds is found by its words alone."""

    model_id: str
    types: list[str] = Field(description="The types that it embeds; empty for all that was asked for")
    reason: str


class Found(Answer):
    """Hits, best first, and how fresh they are."""

    hits: list[Hit]
    frontier: int = Field(description="The position of the graph that the answer reflects at least")
    frontiers: dict[str, int] = Field(description="The same of each arm that answered: `vector`, `keyword`")
    lag_s: float = Field(description="The age of the oldest change that is not searchable yet, in seconds")
    degraded: list[str] = Field(
        description="What the answer lacks: `graph` (hits are not joined with it), `vector` (no model answered), "
        "`vector:MODEL`, `keyword`, `engine`, `outage`"
    )
    unasked: list[UnaskedModel]
    explanation: SearchExplained | None = Field(default=None, description="Where it was asked for")


class WhyNotFound(Answer):
    """Why a record is not among the hits of a search."""

    entity_id: str
    reason: Reason
    line: str = Field(description="The same in a sentence, with what to do about it")
    rank: int | None = Field(description="Its rank, from 1, over all arms and live records; null where it has none")
    arms: list[ArmSaid]


def hit_told(hit: SearchHit) -> Hit:
    """Return a hit as JSON tells it."""
    return Hit.model_construct(  # it comes from our own search: checking it again costs more than sending it
        entity_id=hit.entity_id,
        entity_type=hit.entity_type,
        score=hit.score,
        name=hit.name,
        text=hit.text,
        model_id=hit.model_id,
        position=hit.position,
        properties=told(hit.properties),
        neighbours=[
            NeighbourOfHit.model_construct(
                entity_id=near.entity_id,
                entity_type=near.entity_type,
                name=near.name,
                relationship_type=near.relationship_type,
                direction=near.direction,
                hops=near.hops,
            )
            for near in hit.neighbours
        ],
        explanation=None if hit.explanation is None else _hit_explained(hit.explanation),
    )


def search_explained(explanation: SearchExplanation | None) -> SearchExplained | None:
    """Return what was asked of the arms, as JSON tells it."""
    if explanation is None:
        return None
    return SearchExplained(
        mode=explanation.mode,
        arms=dict(explanation.arms),
        words=list(explanation.words),
        corrected=explanation.corrected,
        filters=dict(explanation.filters),
        fusion=explanation.fusion,
    )


def why_not_told(found: WhyNot) -> WhyNotFound:
    """Return why a record is no hit, as JSON tells it."""
    return WhyNotFound(
        entity_id=found.entity_id, reason=found.reason, line=found.line, rank=found.rank, arms=_arms(found.arms)
    )


def _hit_explained(explanation: HitExplanation) -> HitExplained:
    return HitExplained(
        arms=_arms(explanation.arms),
        name_kind=explanation.name_kind,
        matched=list(explanation.matched),
        snippet=explanation.snippet,
    )


def _arms(shares: tuple[ArmShare, ...]) -> list[ArmSaid]:
    return [
        ArmSaid(arm=each.arm, rank=each.rank, score=each.score, share=each.share, model_id=each.model_id)
        for each in shares
    ]
