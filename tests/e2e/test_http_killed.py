"""A server is killed while it writes: a repeat with the same key is applied once, whatever was lost on the way."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.domain.events import PKGEvent
from slipstream.domain.positions import ORIGIN
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.http_admin_world import LONG_S, Api
from tests.until import until

KEY = {"Idempotency-Key": "5d1c0a8e", "Content-Type": "application/json"}
BODY = {"id": "ada", "type": "Person", "properties": {"name": "Ada"}}


@contextmanager
def served(directory: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], Api]]:
    """Run a server, which is killed at the end."""
    command = [sys.executable, "-m", "tests.e2e.http_stuck_server", str(directory), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            yield process, Api(int(address.rstrip("/").rpartition(":")[2]))
        finally:
            process.kill()


def _write(api: Api, answers: list[bytes], sent: threading.Event) -> None:
    connection = HTTPConnection("127.0.0.1", api.port, timeout=LONG_S)
    with suppress(HTTPException, OSError):  # it is killed before it answers
        connection.request("POST", "/v1/entities?wait_s=60", json.dumps(BODY), KEY)
        sent.set()
        answers.append(connection.getresponse().read())
    connection.close()


def _created(directory: Path) -> list[str]:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with open_pkg(directory, config=Config(), options=options, run=False) as slipstream:
        log = slipstream.pkg.feed.read(ORIGIN, 1_000)
        return [entry.entity_id for entry in log if isinstance(entry, PKGEvent) and entry.event_type.is_entity]


def _again(api: Api) -> Any:
    return api("POST", "/v1/entities", json.dumps(BODY).encode(), headers=KEY).body


def test_killed_between_commit_and_answer(tmp_path: Path) -> None:
    answers, sent = list[bytes](), threading.Event()
    with served(tmp_path, "stuck") as (process, api):
        thread = threading.Thread(target=_write, args=(api, answers, sent))
        thread.start()
        until(lambda: api.get("/v1/entities/ada").status == 200, "the commit")
        process.kill()
        thread.join(LONG_S)
    assert answers == []
    with served(tmp_path) as (_, api):
        assert _again(api)["repeated"] is True
        found = api.post("/v1/search", {"text": "Ada", "after": 2, "timeout_s": 60}).ok()
        assert [hit["entity_id"] for hit in found["hits"]] == ["ada"]
    assert _created(tmp_path) == ["ada"]


def test_killed_before_the_commit(tmp_path: Path) -> None:
    answers, sent = list[bytes](), threading.Event()
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with (
        served(tmp_path) as (process, api),
        open_pkg(tmp_path, config=Config(), options=options, run=False) as other,
        other.pkg.transaction(),
    ):
        thread = threading.Thread(target=_write, args=(api, answers, sent))
        thread.start()
        assert sent.wait(LONG_S)
        process.kill()
        thread.join(LONG_S)
    assert answers == []
    assert _created(tmp_path) == []
    with served(tmp_path) as (_, api):
        assert _again(api)["repeated"] is False
        assert _again(api)["repeated"] is True
    assert _created(tmp_path) == ["ada"]
