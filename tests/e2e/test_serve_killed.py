"""`slipstream serve` killed in the middle of an import, which goes on at its next start; and its backups."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from slipstream.app.uploads import UPLOADS_FOLDER
from tests.e2e.processes import LONG_S, Process, command, made
from tests.until import until

ROWS = 12_000
RAW = {"content-type": "application/octet-stream"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    made(tmp_path / "notes")
    return made(tmp_path / "people")


@contextmanager
def _serving(directory: Path) -> Iterator[tuple[httpx2.Client, Process]]:
    beside = directory.parent
    process = command(
        directory, "serve", "--http", "0", "--pkg", f"notes={beside / 'notes'}", "--backups", str(beside / "kept")
    )
    try:
        found = re.search(r"http://[\d.:]+", process.wait_for("http://"))
        assert found is not None
        with httpx2.Client(base_url=found[0], timeout=LONG_S) as client:
            until(lambda: client.get("/readyz").status_code == 200, "its readiness")
            yield client, process
    finally:
        process.close()


def _dump() -> bytes:
    rows = (
        {"type": "node", "id": str(number), "labels": ["Note"], "properties": {"id": f"n{number}", "name": "a note"}}
        for number in range(ROWS)
    )
    return "\n".join(map(json.dumps, rows)).encode()


def _state(client: httpx2.Client, place: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{place}?wait_s=1").raise_for_status().json()
    return found


def test_a_killed_server_goes_on_with_an_import(directory: Path) -> None:
    with _serving(directory) as (client, process):
        sent = client.post("/pkgs/notes/v1/imports?name=notes.jsonl&wait_s=0", content=_dump(), headers=RAW)
        place = sent.headers["location"]
        assert (sent.status_code, place) == (202, f"/pkgs/notes/v1/requests/{sent.json()['id']}")
        until(lambda: client.get(place).json()["progress"], "its progress")
        process.send(signal.SIGKILL)
        process.ended()
    with _serving(directory) as (client, _):
        until(lambda: _state(client, place)["state"] == "done", "its end")
        found = _state(client, place)
        assert (found["attempts"], found["error"]) == (2, None)
        assert client.get("/pkgs/notes/v1/status?counts=false").json()["entities"] == ROWS
        assert client.get("/v1/status?counts=false").json()["entities"] == 0
    assert not list((directory.parent / "notes" / ".slipstream" / UPLOADS_FOLDER).iterdir())


def test_what_a_killed_server_was_being_sent_is_removed_at_its_next_start(directory: Path) -> None:
    folder = directory / ".slipstream" / UPLOADS_FOLDER
    with _serving(directory) as (client, process):
        port = client.base_url.port
        assert port is not None
        head = f"POST /v1/imports HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {RAW['content-type']}\r\n"
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(f"{head}Content-Length: 5000000\r\n\r\n".encode() + b"x" * 1_200_000)
            until(lambda: folder.exists() and list(folder.iterdir()), "its folder")
            process.send(signal.SIGKILL)
            process.ended()
    assert list(folder.iterdir())
    with _serving(directory):
        assert not list(folder.iterdir())


def test_backups_go_into_the_folder_of_the_server(directory: Path) -> None:
    with _serving(directory) as (client, _):
        client.post("/v1/imports", content=_dump()[:200].splitlines()[0], headers=RAW).raise_for_status()
        told = client.post("/v1/backups", json={"wait_s": 30}).raise_for_status().json()
        name = told["backup"]["name"]
        assert [each.name for each in (directory.parent / "kept").iterdir()] == [name]
        assert told["backup"]["manifest"]["entities"] == 1
        assert client.get("/v1/settings").json()["backups"] is True
        assert client.get("/pkgs/notes/v1/backups").json()["items"][0]["is_of_this_graph"] is False
