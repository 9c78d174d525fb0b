"""Erasures: an entity leaves everything that the PKG keeps, and a signed receipt says so."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from slipstream.http.asking import ACCEPTED, Asks, Order, WaitFor
from slipstream.http.scopes import Scope, needs

Text = Annotated[str, Field(min_length=4, max_length=1024)]


class NewErasure(Order):
    """What is to be erased."""

    entity_id: str = Field(
        min_length=1, max_length=1024, description="Its id; or the digest of one that was erased, for its receipt"
    )
    with_neighbours_text: bool = Field(default=False, description="Take its names out of its neighbours' texts, too")
    also: list[Text] = Field(
        default_factory=list, max_length=100, description="Other texts that tell of it, in dead letters and the like"
    )
    reference: str | None = Field(default=None, min_length=1, max_length=200, description="For the receipt")
    dry_run: bool = Field(default=False, description="Count what would go, and change nothing")
    wait_s: WaitFor = 20.0


class Erased(BaseModel):
    """What was done, or would be."""

    receipt: dict[str, Any] = Field(
        description="The signed receipt; of a dry run what it would say, without signature"
    )


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["erasures"])

    @routes.post("/erasures", dependencies=[needs(Scope.ADMIN)], response_model=Erased, responses=ACCEPTED)
    async def erase_entity(asks: Asks, body: NewErasure) -> Erased | JSONResponse:
        """Remove an entity everywhere, from logs and freed space too; what nothing knows gets a receipt as well."""
        asked = body.model_dump(exclude={"wait_s"})
        done = await asks.result("erase", body.wait_s, **asked)
        return done if isinstance(done, JSONResponse) else Erased(receipt=dict(done.document))

    return routes
