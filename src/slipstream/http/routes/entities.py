"""Entities: read, listed, written."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from slipstream.app.browsing import PAGE_MAX
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Entity, EntityState
from slipstream.domain.errors import NotFoundError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.http.caching import NOT_MODIFIED, IfNoneMatch, unchanged_answer
from slipstream.http.models import Answer, Body, Id, TypeName, Values, example, meant, told
from slipstream.http.paging import After, Limit
from slipstream.http.scopes import WRITES
from slipstream.http.served import Pkg
from slipstream.http.waiting import Waits
from slipstream.http.writing import (
    CREATED,
    REPEATED,
    ChangeTerms,
    CreateTerms,
    Put,
    PutTerms,
    Written,
    answered,
    etag,
    location,
    written,
)
from slipstream.ports.graph import GraphTransaction
from slipstream.search.hits import entity_name

IDS_MAX = PAGE_MAX
"""Entities that are read at once by id."""

PathId = Annotated[Id, Path(description="An entity's id, percent-encoded")]
_EXAMPLE = {"name": "Ada Lovelace", "born": {"$datetime": "1815-12-10T00:00:00+00:00"}}


class EntityAnswer(Answer):
    """An entity."""

    id: str
    type: str
    properties: dict[str, Any] = Field(description='A value that is a time is {"$datetime": "…"}')
    name: str = Field(description="What a person would call it: its name, title or label, else its id")

    model_config = example(id="ada", type="Person", properties=_EXAMPLE, name="Ada Lovelace")


class EntityAt(EntityAnswer):
    """An entity, and the position that it was read at."""

    position: int = Field(description="It is as of this position, or newer: send it as `If-Match`")


class EntitiesPage(Answer):
    """Some entities."""

    items: list[EntityAnswer]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end")


class Wanted(Body):
    """Ids to look for."""

    ids: list[Id] = Field(max_length=IDS_MAX, description="Any ids, also those that no path can carry")
    model_config = example(ids=["ada", "charles"])


class FoundEntities(Answer):
    """Those of some entities that there are."""

    items: list[EntityAnswer]
    missing: list[str]
    position: int = Field(description="They are as of this position, or newer")


class NewEntity(Body):
    """An entity to create."""

    id: Id
    type: TypeName
    properties: Values = Field(default_factory=dict)
    model_config = example(id="ada", type="Person", properties=_EXAMPLE)


class WholeEntity(Body):
    """What an entity is to be, whatever it was."""

    entity_type: TypeName
    properties: Values = Field(default_factory=dict)
    model_config = example(entity_type="Person", properties=_EXAMPLE)


class Changes(Body):
    """Properties to merge."""

    properties: Values = Field(description="A value of null removes the property; those not named stay")
    model_config = example(properties={"name": "Ada", "born": None})


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["entities"])
    _add_reading(routes)
    _add_writing(routes)
    return routes


def _add_reading(routes: APIRouter) -> None:
    @routes.get("/entities")
    def list_entities(
        slipstream: Pkg,
        entity_type: Annotated[TypeName | None, Query(alias="type", description="Only entities of this type")] = None,
        after: After = None,
        limit: Limit = 100,
    ) -> EntitiesPage:
        """List entities, page by page."""
        page = slipstream.entities(entity_type, after=after, limit=limit)
        return EntitiesPage(items=[_answer(entity) for entity in page.items], next=page.next)

    @routes.post("/entities/get")
    def get_entities(slipstream: Pkg, wanted: Wanted) -> FoundEntities:
        """Return those of some entities that there are, in the order asked for, each once."""
        keys = [entity_key(name) for name in dict.fromkeys(wanted.ids)]
        snapshot = slipstream.pkg.read(keys, {})
        found = [state.entity for key in keys if isinstance(state := snapshot.states.get(key), EntityState)]
        missing = [key.id for key in keys if key not in snapshot.states]
        return FoundEntities(items=[_answer(entity) for entity in found], missing=missing, position=snapshot.position)

    @routes.get("/entities/{entity_id:path}", response_model=EntityAt, responses=NOT_MODIFIED)
    def get_entity(
        slipstream: Pkg, entity_id: PathId, response: Response, if_none_match: IfNoneMatch = None
    ) -> EntityAt | Response:
        """Return an entity; its `ETag` is the position to send as `If-Match` when it is changed."""
        if not_modified := unchanged_answer(slipstream, entity_key(entity_id), if_none_match, response):
            return not_modified
        entity, position = _read(slipstream, entity_id)
        response.headers["ETag"] = etag(position)
        return EntityAt(**_answer(entity).model_dump(), position=position)


def _add_writing(routes: APIRouter) -> None:
    @routes.post("/entities", status_code=HTTPStatus.CREATED, responses=REPEATED, dependencies=WRITES)
    async def create_entity(
        slipstream: Pkg, waits: Waits, terms: CreateTerms, new: NewEntity, request: Request, response: Response
    ) -> Written:
        """Create an entity; 409 when its id is taken."""
        properties = meant(new.properties)
        done = await written(slipstream, terms, waits, lambda tx: tx.create_entity(new.type, new.id, properties))
        answered(response, done, location(request, "entities", new.id))
        return Written(**done.told)

    @routes.put("/entities/{entity_id:path}", responses=CREATED, dependencies=WRITES)
    async def put_entity(
        slipstream: Pkg,
        waits: Waits,
        terms: PutTerms,
        entity_id: PathId,
        whole: WholeEntity,
        request: Request,
        response: Response,
    ) -> Put:
        """Make an entity have exactly this type and these properties, whatever was there before."""
        properties = meant(whole.properties)

        def change(tx: GraphTransaction) -> bool:
            is_new = tx.entity(entity_id) is None
            tx.upsert_entity(whole.entity_type, entity_id, properties)
            return is_new

        done = await written(slipstream, terms, waits, change, entity_key(entity_id))
        answered(response, done, location(request, "entities", entity_id) if done.value else None)
        return Put(**done.told, created=done.value)

    @routes.patch("/entities/{entity_id:path}", dependencies=WRITES)
    async def update_entity(
        slipstream: Pkg, waits: Waits, terms: ChangeTerms, entity_id: PathId, changes: Changes, response: Response
    ) -> Written:
        """Merge properties into an entity; null removes one."""
        properties = meant(changes.properties)
        change = lambda tx: tx.update_entity(entity_id, properties)  # noqa: E731
        done = await written(slipstream, terms, waits, change, entity_key(entity_id))
        answered(response, done)
        return Written(**done.told)

    @routes.delete("/entities/{entity_id:path}", dependencies=WRITES)
    async def delete_entity(slipstream: Pkg, waits: Waits, terms: ChangeTerms, entity_id: PathId) -> Written:
        """Delete an entity and its relationships."""
        done = await written(slipstream, terms, waits, lambda tx: tx.delete_entity(entity_id), entity_key(entity_id))
        return Written(**done.told)


def _read(slipstream: Slipstream, entity_id: str) -> tuple[Entity, Position]:
    key = entity_key(entity_id)
    snapshot = slipstream.pkg.read([key], {})
    state = snapshot.states.get(key)
    if not isinstance(state, EntityState):
        raise NotFoundError(f"there is no entity {entity_id!r}: search, or list the entities of a type")
    return state.entity, snapshot.position


def _answer(entity: Entity) -> EntityAnswer:
    return EntityAnswer.model_construct(
        id=entity.id, type=entity.type, properties=told(entity.properties), name=entity_name(entity)
    )
