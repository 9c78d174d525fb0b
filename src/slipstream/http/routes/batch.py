"""Many mutations at once, all or nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from slipstream.domain.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from slipstream.domain.keys import RelationshipRef
from slipstream.http.models import Body, Id, RelationshipId, TypeName, Values, example, meant
from slipstream.http.routes.relationships import Discriminator
from slipstream.http.scopes import WRITES
from slipstream.http.served import Pkg
from slipstream.http.waiting import Waits
from slipstream.http.writing import CreateTerms, Written, answered, written
from slipstream.ports.graph import GraphTransaction

MUTATIONS_MAX = 1_000
"""Mutations of one batch: they are one transaction, for which other writers wait."""


class _ById(Body):
    id: Id

    @property
    def about(self) -> str:
        """The id of what it is about."""
        return self.id


class _WholeEntity(_ById):
    type: TypeName
    properties: Values = Field(default_factory=dict)


class CreateEntity(_WholeEntity):
    """Create an entity; it must not be there."""

    op: Literal["create_entity"]

    def apply(self, tx: GraphTransaction) -> None:
        """Do it."""
        tx.create_entity(self.type, self.id, meant(self.properties))


class UpsertEntity(_WholeEntity):
    """Make an entity have exactly this type and these properties."""

    op: Literal["upsert_entity"]

    def apply(self, tx: GraphTransaction) -> None:
        """Do it."""
        tx.upsert_entity(self.type, self.id, meant(self.properties))


class UpdateEntity(_ById):
    """Merge properties into an entity; null removes one."""

    op: Literal["update_entity"]
    properties: Values

    def apply(self, tx: GraphTransaction) -> None:
        """Do it."""
        tx.update_entity(self.id, meant(self.properties))


class DeleteEntity(_ById):
    """Delete an entity and its relationships."""

    op: Literal["delete_entity"]

    def apply(self, tx: GraphTransaction) -> None:
        """Do it."""
        tx.delete_entity(self.id)


class Relate(Body):
    """Create a relationship."""

    op: Literal["relate"]
    source_id: Id
    type: TypeName
    target_id: Id
    properties: Values = Field(default_factory=dict)
    discriminator: Discriminator = ""
    replace: bool = Field(default=False, description="Whether one that is there gets exactly these properties")

    def apply(self, tx: GraphTransaction) -> None:
        """Do it."""
        tx.relate(
            self.source_id,
            self.type,
            self.target_id,
            meant(self.properties),
            discriminator=self.discriminator,
            replace=self.replace,
        )

    @property
    def about(self) -> str:
        """The id of what it is about."""
        return RelationshipRef(self.type, self.source_id, self.target_id, self.discriminator).id


class UpdateRelationship(Body):
    """Merge properties into a relationship; null removes one."""

    op: Literal["update_relationship"]
    id: RelationshipId
    properties: Values

    def apply(self, tx: GraphTransaction) -> None:
        """Do it."""
        tx.update_relationship(self.id, meant(self.properties))

    @property
    def about(self) -> str:
        """The id of what it is about."""
        return self.id


class Unrelate(Body):
    """Delete a relationship."""

    op: Literal["unrelate"]
    id: RelationshipId

    def apply(self, tx: GraphTransaction) -> None:
        """Do it."""
        tx.unrelate(self.id)

    @property
    def about(self) -> str:
        """The id of what it is about."""
        return self.id


Mutation = Annotated[
    CreateEntity | UpsertEntity | UpdateEntity | DeleteEntity | Relate | UpdateRelationship | Unrelate,
    Field(discriminator="op"),
]


class Batch(Body):
    """Mutations that commit together; each sees those before it."""

    mutations: list[Mutation] = Field(max_length=MUTATIONS_MAX)
    model_config = example(
        mutations=[
            {"op": "upsert_entity", "id": "ada", "type": "Person", "properties": {"name": "Ada"}},
            {"op": "upsert_entity", "id": "charles", "type": "Person", "properties": {}},
            {"op": "relate", "source_id": "ada", "type": "KNOWS", "target_id": "charles", "replace": True},
        ]
    )


class BatchWritten(Written):
    """What became of a batch."""

    ids: list[str] = Field(description="What each mutation was about, in their order")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["batch"])

    @routes.post("/batch", dependencies=WRITES)
    async def write_batch(
        slipstream: Pkg, waits: Waits, terms: CreateTerms, batch: Batch, response: Response
    ) -> BatchWritten:
        """Carry out mutations in one transaction: all of them, or none; an error names the first that failed."""

        def change(tx: GraphTransaction) -> None:
            for number, mutation in enumerate(batch.mutations):
                _apply(tx, number, mutation)

        done = await written(slipstream, terms, waits, change)
        answered(response, done)
        return BatchWritten(**done.told, ids=[mutation.about for mutation in batch.mutations])

    return routes


def _apply(tx: GraphTransaction, number: int, mutation: Mutation) -> None:
    try:
        mutation.apply(tx)
    except InvalidInputError as error:
        message = str(error).removeprefix(f"{error.field}: ")
        raise InvalidInputError(message, field=f"mutations.{number}.{error.field}") from error
    except (AlreadyExistsError, NotFoundError) as error:
        raise type(error)(f"mutation {number} ({mutation.op}): {error}") from error
