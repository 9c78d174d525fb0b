"""Relationships: read and written."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Relationship, RelationshipState
from slipstream.domain.errors import NotFoundError
from slipstream.domain.keys import ID_SIZE_MAX, RelationshipRef, relationship_key
from slipstream.domain.positions import Position
from slipstream.http.caching import NOT_MODIFIED, IfNoneMatch, unchanged_answer
from slipstream.http.models import Answer, Body, Id, RelationshipId, TypeName, Values, example, meant, told
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

PathId = Annotated[
    RelationshipId,
    Path(description="`type:source:target[:discriminator]`, each part percent-encoded, and then the whole once more"),
]
Discriminator = Annotated[
    str, Field(max_length=ID_SIZE_MAX, description="Tells parallel relationships of one type and direction apart")
]
_EXAMPLE = {"since": 1833}


class RelationshipAt(Answer):
    """A relationship, and the position that it was read at."""

    id: str
    type: str
    source_id: str
    target_id: str
    discriminator: str
    properties: dict[str, Any]
    position: int = Field(description="It is as of this position, or newer: send it as `If-Match`")


class NewRelationship(Body):
    """A relationship to create."""

    source_id: Id
    type: TypeName
    target_id: Id
    properties: Values = Field(default_factory=dict)
    discriminator: Discriminator = ""
    model_config = example(source_id="ada", type="KNOWS", target_id="charles", properties=_EXAMPLE)


class WholeRelationship(Body):
    """The properties that a relationship is to have, whatever it had."""

    properties: Values = Field(default_factory=dict)
    model_config = example(properties=_EXAMPLE)


class RelationshipChanges(Body):
    """Properties to merge."""

    properties: Values = Field(description="A value of null removes the property; those not named stay")
    model_config = example(properties={"since": None})


class Related(Written):
    """What became of a new relationship."""

    id: str = Field(description="Its id, made of its type and both ends")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["relationships"])
    _add_making(routes)
    _add_the_others(routes)
    return routes


def _add_making(routes: APIRouter) -> None:
    @routes.post(
        "/relationships",
        status_code=HTTPStatus.CREATED,
        responses=REPEATED,
        dependencies=WRITES,
    )
    async def create_relationship(
        slipstream: Pkg, waits: Waits, terms: CreateTerms, new: NewRelationship, request: Request, response: Response
    ) -> Related:
        """Create a relationship between two entities; 404 when one of them is not there, 409 when it exists."""
        properties = meant(new.properties)
        ref = RelationshipRef(new.type, new.source_id, new.target_id, new.discriminator)

        def change(tx: GraphTransaction) -> str:
            return tx.relate(
                new.source_id, new.type, new.target_id, properties, discriminator=new.discriminator, replace=False
            )

        done = await written(slipstream, terms, waits, change)
        answered(response, done, location(request, "relationships", ref.id))
        return Related(**done.told, id=ref.id)

    @routes.put("/relationships/{relationship_id:path}", responses=CREATED, dependencies=WRITES)
    async def put_relationship(
        slipstream: Pkg,
        waits: Waits,
        terms: PutTerms,
        relationship_id: PathId,
        whole: WholeRelationship,
        request: Request,
        response: Response,
    ) -> Put:
        """Make a relationship have exactly these properties; it is created where it is not there."""
        ref, properties = RelationshipRef.parse(relationship_id), meant(whole.properties)

        def change(tx: GraphTransaction) -> bool:
            is_new = not tx.has_relationship(ref.id)
            tx.relate(
                ref.source_id, ref.type, ref.target_id, properties, discriminator=ref.discriminator, replace=True
            )
            return is_new

        done = await written(slipstream, terms, waits, change, relationship_key(ref.id))
        answered(response, done, location(request, "relationships", ref.id) if done.value else None)
        return Put(**done.told, created=done.value)


def _add_the_others(routes: APIRouter) -> None:
    @routes.get("/relationships/{relationship_id:path}", response_model=RelationshipAt, responses=NOT_MODIFIED)
    def get_relationship(
        slipstream: Pkg, relationship_id: PathId, response: Response, if_none_match: IfNoneMatch = None
    ) -> RelationshipAt | Response:
        """Return a relationship; its `ETag` is the position to send as `If-Match` when it is changed."""
        ref = RelationshipRef.parse(relationship_id)
        if held := unchanged_answer(slipstream, relationship_key(ref.id), if_none_match, response):
            return held
        found, position = _read(slipstream, ref)
        response.headers["ETag"] = etag(position)
        return RelationshipAt(
            id=found.ref.id, **found.ref._asdict(), properties=told(found.properties), position=position
        )

    @routes.patch("/relationships/{relationship_id:path}", dependencies=WRITES)
    async def update_relationship(
        slipstream: Pkg,
        waits: Waits,
        terms: ChangeTerms,
        relationship_id: PathId,
        changes: RelationshipChanges,
        response: Response,
    ) -> Written:
        """Merge properties into a relationship; null removes one."""
        ref, properties = RelationshipRef.parse(relationship_id), meant(changes.properties)

        def change(tx: GraphTransaction) -> None:
            tx.update_relationship(ref.id, properties)

        done = await written(slipstream, terms, waits, change, relationship_key(ref.id))
        answered(response, done)
        return Written(**done.told)

    @routes.delete("/relationships/{relationship_id:path}", dependencies=WRITES)
    async def delete_relationship(
        slipstream: Pkg, waits: Waits, terms: ChangeTerms, relationship_id: PathId
    ) -> Written:
        """Delete a relationship."""
        ref = RelationshipRef.parse(relationship_id)
        done = await written(slipstream, terms, waits, lambda tx: tx.unrelate(ref.id), relationship_key(ref.id))
        return Written(**done.told)


def _read(slipstream: Slipstream, ref: RelationshipRef) -> tuple[Relationship, Position]:
    key = relationship_key(ref.id)
    snapshot = slipstream.pkg.read([key], {})
    state = snapshot.states.get(key)
    if not isinstance(state, RelationshipState):
        raise NotFoundError(f"there is no relationship {ref.id!r}: an id is type:source:target[:discriminator]")
    return state.relationship, snapshot.position
