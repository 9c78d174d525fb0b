"""What has changed: pages of the log, and a stream of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from slipstream.app.browsing import Change, ChangePage
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError, SlipstreamError
from slipstream.domain.positions import ORIGIN, POSITION_MAX, Position
from slipstream.http.following import Page
from slipstream.http.models import Answer, example
from slipstream.http.paging import Limit
from slipstream.http.problems import problem_of
from slipstream.http.served import Pkg
from slipstream.http.waiting import WAIT_S_MAX, Waiting, Waits

KEEP_ALIVE_S = 15.0
"""How long a stream may be silent: then a comment is sent."""
_RECONNECT_MS = 1_000
_PAGE = 500

Behind = Annotated[int, Query(ge=0, le=int(POSITION_MAX), description="Only what was committed behind this position")]


class ChangeAnswer(Answer):
    """One entry of the graph's log."""

    model_config = example(
        position=42,
        kind="entity_updated",
        id="ada",
        type="Person",
        source_id=None,
        target_id=None,
        changed=["name"],
        committed_at="2026-01-01T00:00:00Z",
    )

    position: int
    kind: str = Field(
        description="`entity_created`, `entity_updated`, `entity_deleted`, the same with `relationship_`, "
        "`schema_evolved`, or `rescan`: anything may have changed"
    )
    id: str = Field(description="Of the entity or relationship; empty for a rescan")
    type: str
    source_id: str | None
    target_id: str | None
    changed: list[str] | None = Field(description="The properties that differ; null where the log does not say")
    committed_at: datetime | None


class ChangesPage(Answer):
    """Some entries of the log, in their order."""

    items: list[ChangeAnswer]
    next: int = Field(description="Give it as `after` to go on")
    head: int = Field(description="The position of the newest entry when this was read")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["changes"])

    @routes.get("/changes")
    async def list_changes(
        slipstream: Pkg,
        waits: Waits,
        after: Behind = ORIGIN,
        limit: Limit = 100,
        wait_s: Annotated[
            float,
            Query(ge=0, le=WAIT_S_MAX, allow_inf_nan=False, description="Wait so long for a commit if there is none"),
        ] = 0.0,
    ) -> ChangesPage:
        """Return the next changes behind a position; 410 when the log no longer reaches back so far."""
        page = await _read(slipstream, Position(after), limit)
        if not page.items and wait_s:
            behind = partial(waits.follower(slipstream).behind, page.next)
            await waits.unless_stopping(behind, wait_s)
            page = await _read(slipstream, Position(after), limit)
        return ChangesPage(items=[_answer(change) for change in page.items], next=page.next, head=page.head)

    @routes.get("/changes/stream", response_class=StreamingResponse, responses=_STREAM)
    async def stream_changes(
        slipstream: Pkg,
        waits: Waits,
        response: Response,
        after: Annotated[
            int | None,
            Query(ge=0, le=int(POSITION_MAX), description="Begin behind this position; left out: what comes now"),
        ] = None,
        last_event_id: Annotated[
            str | None, Header(description="The last position that was seen: a browser sends it when it comes again")
        ] = None,
    ) -> Response:
        """
        Send changes as they are committed, as server-sent events.

        Each event `change` has its position as id; comments keep the connection alive. An event `problem` is the last
        one: its data is a problem as other answers tell it. The stream ends when the server stops: come again with
        the last id.
        """
        begin = _begin(last_event_id, after)
        if begin is None:
            begin = await anyio.to_thread.run_sync(slipstream.pkg.feed.head)
        else:
            await _read(slipstream, begin, 1)  # one that is lost is told by the status
        headers = {**response.headers, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        headers.pop("content-length", None)
        return StreamingResponse(_events(slipstream, waits, begin), media_type=_EVENTS, headers=headers)

    return routes


_EVENTS = "text/event-stream"
_SHOWN = 'id: 42\nevent: change\ndata: {"position":42,"kind":"entity_updated","id":"ada","type":"Person"}\n'
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events",
        "content": {_EVENTS: {"schema": {"type": "string"}, "example": _SHOWN}},
    }
}


def _begin(last_event_id: str | None, after: int | None) -> Position | None:
    if last_event_id is None:
        return None if after is None else Position(after)
    if not last_event_id.isascii() or not last_event_id.isdigit() or int(last_event_id[:20]) > POSITION_MAX:
        raise InvalidInputError("must be a position, as events have it for their id", field="Last-Event-ID")
    return Position(int(last_event_id[:20]))


async def _events(slipstream: Slipstream, waits: Waiting, begin: Position) -> AsyncIterator[bytes]:
    follower, at = waits.follower(slipstream), begin
    yield f"retry: {_RECONNECT_MS}\nid: {begin}\n\n".encode()  # so that whoever has seen nothing yet misses nothing
    while not waits.stops:
        try:
            page = await follower.page(at, partial(_page, slipstream))
        except SlipstreamError as error:
            yield b"event: problem\ndata: " + bytes(problem_of(error).body) + b"\n\n"
            return
        at = page.next
        if page.content:
            yield page.content
            continue
        seen = follower.head
        await waits.unless_stopping(partial(follower.behind, at), KEEP_ALIVE_S)
        if follower.head == seen and not waits.stops:
            yield b": still here\n\n"


def _page(slipstream: Slipstream, after: Position) -> Page:
    found = slipstream.changes(after, limit=_PAGE)
    return Page(b"".join(map(_event, found.items)), found.next)


def _event(change: Change) -> bytes:
    return f"id: {change.position}\nevent: change\ndata: {_answer(change).model_dump_json()}\n\n".encode()


async def _read(slipstream: Slipstream, after: Position, limit: int) -> ChangePage:
    return await anyio.to_thread.run_sync(partial(slipstream.changes, after, limit=limit))


def _answer(change: Change) -> ChangeAnswer:
    return ChangeAnswer(
        position=change.position,
        kind=change.kind,
        id=change.id,
        type=change.type,
        source_id=change.source_id,
        target_id=change.target_id,
        changed=None if change.changed is None else list(change.changed),
        committed_at=change.committed_at,
    )
