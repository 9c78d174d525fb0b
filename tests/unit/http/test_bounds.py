"""What fails once its answer has begun is in the log, for no client can be told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from slipstream.http.bounds import Bounds
from slipstream.http.limits import Limits
from slipstream.http.problems import add_problems


def _asked(app: Any, path: str = "/") -> list[Message]:
    """Have a request worked on, and return what was sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "root_path": ""}
    asyncio.run(Bounds(app, Limits())(scope | {"raw_path": path.encode(), "http_version": "1.1"}, receive, send))
    return sent


def _failing(content_type: bytes, *, is_whole: bool) -> Any:
    """Return an app that begins an answer, and fails."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
        await send({"type": "http.response.body", "body": b"half of it", "more_body": not is_whole})
        raise LookupError("what it wanted to say is gone")

    return app


@pytest.mark.parametrize(
    ("content_type", "is_whole", "statuses"),
    [
        (b"application/json", False, [500]),
        (b"application/json", True, [200]),
        (b"text/event-stream", False, [200]),
    ],
    ids=["an answer half told", "an answer told", "a stream"],
)
def test_a_failure_behind_the_beginning_of_an_answer_is_logged(
    content_type: bytes, is_whole: bool, statuses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    sent = _asked(_failing(content_type, is_whole=is_whole), "/v1/status")
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == statuses
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "GET /v1/status failed after its answer began"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "what it wanted to say is gone"


def test_a_failure_that_the_app_answers_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    add_problems(app)

    @app.get("/fails")
    def _fails() -> None:
        raise LookupError("never begun")

    sent = _asked(app, "/fails")
    assert sent[0]["status"] == 500
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "GET /fails failed"
