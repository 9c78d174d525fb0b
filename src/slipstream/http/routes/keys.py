"""The life of one key: its text, what each generation holds of it, why, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from slipstream.app.explaining import Explanation
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import RecordState
from slipstream.domain.errors import ConfigError, PoisonEventError
from slipstream.domain.keys import ID_SIZE_MAX, RecordKey
from slipstream.domain.models import Space
from slipstream.domain.stamps import Stamp
from slipstream.http.models import Answer
from slipstream.http.served import Pkg
from slipstream.recipes.view_recipe import ViewRecipe

KEY_SIZE_MAX = 2 + 8 * ID_SIZE_MAX
_ROLES: tuple[Literal["live", "beside"], ...] = ("live", "beside")


class StampAnswer(Answer):
    """Everything that the index knows of a record but its vector."""

    embedding_id: str
    entity_type: str
    position: int = Field(description="The position of the graph at which its text was read")
    fingerprint: str = Field(description="Digest of all that decides the vector")
    model_id: str
    model_version: str
    dimension: int
    generation: int
    schema_version: int
    schema_hash: str
    checksum: str
    created_at: datetime
    extraction_template_version: str
    extraction_confidence: float | None
    embedding_quality_score: float | None
    source_document_id: str | None
    last_validated: datetime | None
    needs_reembedding: bool
    reembedding_reason: str | None
    metadata: dict[str, Any]


class GenerationAnswer(Answer):
    """What one generation is to hold of a key, and what it holds."""

    role: Literal["live", "beside", "stray"] = Field(
        description="`live` answers searches, `beside` is built or retired, `stray` belongs to neither"
    )
    generation: int | None
    model_id: str | None
    text: str | None = Field(description="What stands for it by this generation's views; null when nothing does")
    fault: str | None = Field(description="Why there is no text, where it can not be made")
    fingerprint: str | None = Field(description="What the fingerprint of its vector has to be")
    stored: StampAnswer | None
    vector: list[float] | None = Field(description="As it is stored; null unless `vectors=true`")


class HappeningAnswer(Answer):
    """One entry of the log that concerns a key."""

    position: int
    event: str
    about: str
    changed: list[str] | None = Field(description="The properties that changed; null where the log does not say")
    committed_at: datetime | None
    outcome: str = Field(description="What came of it")


class KeyAnswer(Answer):
    """Everything that decides a record, and how it stands."""

    key: str
    entity_type: str
    text: str | None
    template: str | None = Field(description="Null for the default text")
    dependencies: dict[str, Any] | None = Field(description="What the text depends on")
    neighbours: dict[str, list[str]] = Field(description="The keys that the text can show, by the template's name")
    temporal_context: dict[str, Any] | None
    model: str | None
    fingerprint: str | None
    stored: StampAnswer | None
    embedded_for: str | None = Field(description="What the stored vector was made for, as far as that is known")
    verdict: str = Field(
        description="`fresh`, `stale`, `missing`, `pending`, `unrenderable`, `dead letter`, `no record`"
    )
    reasons: list[str]
    happenings: list[HappeningAnswer] = Field(description="The newest ones first")
    looked_back_to: int = Field(description="How far back the log was looked through")
    generations: list[GenerationAnswer]


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["keys"])

    @routes.get("/keys")
    def explain_key(
        slipstream: Pkg,
        key: Annotated[
            str,
            Query(min_length=3, max_length=KEY_SIZE_MAX, description="`e:ENTITY_ID` or `r:RELATIONSHIP_ID`"),
        ],
        vectors: Annotated[bool, Query(description="Whether to send the stored vectors too")] = False,
    ) -> KeyAnswer:
        """Tell the life of one key; 404 when neither graph, index nor log has heard of it."""
        record = RecordKey.decode(key)
        return _answer(slipstream, slipstream.explain(record), record, vectors=vectors)

    return routes


def _answer(slipstream: Slipstream, found: Explanation, key: RecordKey, *, vectors: bool) -> KeyAnswer:
    return KeyAnswer(
        key=found.key,
        entity_type=found.entity_type,
        text=found.text,
        template=found.template,
        dependencies=None if found.dependencies is None else asdict(found.dependencies),
        neighbours={name: list(keys) for name, keys in found.neighbours.items()},
        temporal_context=None if found.temporal_context is None else dict(found.temporal_context),
        model=found.model,
        fingerprint=found.fingerprint,
        stored=_stamp(found.stored),
        embedded_for=found.embedded_for,
        verdict=found.verdict,
        reasons=list(found.reasons),
        happenings=[HappeningAnswer(**asdict(happening)) for happening in found.happenings],
        looked_back_to=found.looked_back_to,
        generations=list(_generations(slipstream, key, found.entity_type, vectors=vectors)),
    )


def _generations(
    slipstream: Slipstream, key: RecordKey, entity_type: str, *, vectors: bool
) -> Iterator[GenerationAnswer]:
    pair, index = slipstream.recipes.pair, slipstream.store.index
    state = slipstream.pkg.read([key], pair.hops).states.get(key) if slipstream.incident is None else None
    held = index.stamps([key]).get(key)
    stored = {stamp.space: stamp for stamp in (held.records if held else ())}

    def vector(space: Space) -> list[float] | None:
        found = index.vectors([key], space).get(key) if vectors else None
        return None if found is None else [float(number) for number in found]

    for role, recipe in zip(_ROLES, (pair.live, pair.beside), strict=True):
        if recipe is None or not entity_type:
            continue
        space, text, fingerprint, fault = _wanted(recipe, entity_type, state)
        stamp = None if space is None else stored.pop(space, None)
        yield GenerationAnswer(
            role=role,
            generation=None if space is None else space.generation,
            model_id=None if space is None else space.model_id,
            text=text,
            fault=fault,
            fingerprint=fingerprint,
            stored=_stamp(stamp),
            vector=None if space is None else vector(space),
        )
    for space, stamp in stored.items():
        yield GenerationAnswer(
            role="stray",
            generation=space.generation,
            model_id=space.model_id,
            text=None,
            fault=None,
            fingerprint=None,
            stored=_stamp(stamp),
            vector=vector(space),
        )


def _wanted(
    recipe: ViewRecipe, entity_type: str, state: RecordState | None
) -> tuple[Space | None, str | None, str | None, str | None]:
    """Return where a record of a type belongs, its text and fingerprint, and why there are none."""
    space: Space | None = None
    try:
        space = recipe.space_of(entity_type)
        target = None if state is None else recipe.target(state)
    except (PoisonEventError, ConfigError) as error:
        return space, None, None, str(error)
    return (space, None, None, None) if target is None else (space, target.request.content, target.fingerprint, None)


def _stamp(stamp: Stamp | None) -> StampAnswer | None:
    if stamp is None:
        return None
    told = {name: value for name, value in stamp._asdict().items() if name in StampAnswer.model_fields}
    space = asdict(stamp.space)
    return StampAnswer(**{**told, **space, "metadata": dict(stamp.metadata)}, embedding_id=stamp.embedding_id)
