"""Dead letters: keys and events that failed for good."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.work import DeadLetter
from slipstream.http.asking import ACCEPTED, Asks, Order, WaitFor
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Pkg

PAYLOAD_MAX = 4_096
"""Characters of a payload that a listing tells."""
LetterId = Annotated[str, Field(min_length=1, max_length=20_000)]


class Letter(BaseModel):
    """A key or an event that failed for good."""

    id: str
    key: str | None = Field(description="e:ID or r:ID; null for an event or a line that names none")
    error: str
    attempts: int
    failed_at: datetime
    position: int | None
    payload: str | None = Field(description=f"The event or line, the first {PAYLOAD_MAX:,} characters")
    can_be_replayed: bool = Field(description="False when not all of its line was kept")


class LetterPage(BaseModel):
    """Dead letters, by id."""

    items: list[Letter]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end")
    total: int


class Chosen(Order):
    """Which letters: some by id, or all of them."""

    ids: list[LetterId] | None = Field(default=None, min_length=1, max_length=1_000)
    all: bool = False

    def chosen(self) -> list[str] | None:
        """Return the ids, None for all; raises `InvalidInputError` unless exactly one of both is told."""
        if self.all == (self.ids is not None):
            raise InvalidInputError("name the letters, or say `all`: one of both", field="ids")
        return self.ids


class ToReplay(Chosen):
    """Which letters are given another try."""

    wait_s: WaitFor = 20.0


class Replayed(BaseModel):
    """How many letters were accepted: the others are rejected once more, and stay."""

    replayed: int


class Discarded(BaseModel):
    """How many letters were forgotten."""

    discarded: int


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["dead letters"])

    @routes.get("/dead-letters")
    def list_dead_letters(
        slipstream: Pkg,
        after: Annotated[str | None, Query(max_length=20_000)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> LetterPage:
        """List the dead letters."""
        rows = slipstream.dead_letters.letters(after, limit + 1)
        return LetterPage(
            items=[_told(letter) for letter in rows[:limit]],
            next=rows[limit - 1].id if len(rows) > limit else None,
            total=slipstream.dead_letters.letter_count(),
        )

    @routes.post(
        "/dead-letters/replay", dependencies=[needs(Scope.WRITE)], response_model=Replayed, responses=ACCEPTED
    )
    async def replay_dead_letters(asks: Asks, body: ToReplay) -> Replayed | JSONResponse:
        """Give dead letters another try."""
        result = await asks.result("replay_dead_letters", body.wait_s, ids=body.chosen())
        return result if isinstance(result, JSONResponse) else Replayed(replayed=result)

    @routes.post("/dead-letters/discard", dependencies=[needs(Scope.ADMIN)])
    def discard_dead_letters(slipstream: Pkg, body: Chosen) -> Discarded:
        """Forget dead letters."""
        return Discarded(discarded=slipstream.discard_dead_letters(body.chosen()))

    return routes


def _told(letter: DeadLetter) -> Letter:
    return Letter(
        id=letter.id,
        key=None if letter.key is None else letter.key.encode(),
        error=letter.error,
        attempts=letter.attempts,
        failed_at=letter.failed_at,
        position=letter.position,
        payload=None if letter.payload is None else letter.payload[:PAYLOAD_MAX],
        can_be_replayed=letter.can_be_replayed,
    )
