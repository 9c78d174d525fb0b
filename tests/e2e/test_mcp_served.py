"""`/mcp` of `slipstream serve`: a real process with tokens and two PKGs, and its end while agents are at work."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

import slipstream
from tests.agents import MODES, Agent, CallError, agent
from tests.e2e.processes import LONG_S, Process, command, made
from tests.until import until

BEARERS = {name: f"{name}-0123456789abcdef" for name in ("read", "write")}
ENDED_S_MAX = 5.0


@dataclass
class Server:
    process: Process
    url: str

    def connect(self, scope: str, mode: str = "auto", prefix: str = "") -> AbstractContextManager[Agent]:
        @asynccontextmanager
        async def client() -> AsyncIterator[Client]:
            headers = {"authorization": f"Bearer {BEARERS[scope]}"}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=LONG_S) as http,
                Client(streamable_http_client(f"{self.url}{prefix}/mcp", http_client=http), mode=mode) as made,
            ):
                yield made

        return agent(client)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    for name in ("people", "notes"):
        with slipstream.open(made(tmp_path / name)) as pkg:
            pkg.pkg.create_entity("Thing", f"of {name}", {"name": f"a thing of {name}"})
            assert pkg.sync.drain(timeout_s=LONG_S)
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"{scope} {token}\n" for scope, token in BEARERS.items()))
    tokens.chmod(0o600)
    further = f"notes={tmp_path / 'notes'}"
    process = command(tmp_path / "people", "serve", "--http", "0", "--token-file", str(tokens), "--pkg", further)
    try:
        found = re.search(r"http://[\d.:]+", process.wait_for("http://"))
        assert found is not None
        with httpx2.Client(headers={"authorization": f"Bearer {BEARERS['read']}"}) as http:
            until(lambda: http.get(f"{found[0]}/readyz").status_code == 200, "its readiness")
        yield Server(process, found[0])
    finally:
        process.close()


@pytest.mark.parametrize("mode", MODES)
def test_agents_of_one_server(server: Server, mode: str) -> None:
    with server.connect("write", mode) as writer, server.connect("read", mode, "/pkgs/notes") as reader:
        assert writer.client.protocol_version == MODES[mode]
        assert writer.call("search", text="thing")["hits"][0]["id"] == "of people"
        assert reader.call("search", text="thing")["hits"][0]["id"] == "of notes"
        position = writer.call("add_entity", id="null", type="Thing", properties={"name": "zebra"})["position"]
        assert writer.call("search", text="zebra", after=position, k=1)["hits"][0]["id"] == "null"
        assert "add_entity" not in reader.tools()
        with pytest.raises(CallError, match="token that may write"):
            reader.call("add_entity", id="null", type="Thing")
        assert reader.call("status")["entities"] == {"Thing": 1}


@pytest.mark.parametrize("mode", MODES)
def test_it_ends_in_time_while_agents_wait(server: Server, mode: str) -> None:
    with server.connect("read", mode) as reader:
        reader.call("status")
        asked = reader.begin("search", text="thing", after=10**9)
        until(lambda: reader.call("status")["entities"], "an answer beside the one that waits")
        began = time.monotonic()
        server.process.send(signal.SIGTERM)
        assert server.process.ended() == 0
        assert time.monotonic() - began < ENDED_S_MAX
        assert asked.exception(LONG_S) is not None or asked.result().is_error
