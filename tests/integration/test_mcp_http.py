"""The tools over streamable HTTP: a real server on loopback, the SDK's client, both kinds of revisions."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.http.limits import Limits
from slipstream.http.listeners import Terms, tcp_listener
from slipstream.http.scopes import Scope
from slipstream.http.served import Registry, Served
from slipstream.http.serving import WebServer
from slipstream.http.sockets import parsed_address
from slipstream.http.tokens import Tokens
from slipstream.mcp.routes import mcp_face
from slipstream.testkit.embedders import HashEmbedder
from tests.agents import MODES, Agent, CallError, agent

BEARERS = {name: f"{name}-0123456789abcdef" for name in ("reads", "writes", "rules", "nobody")}
TOKENS = {BEARERS["reads"]: Scope.READ, BEARERS["writes"]: Scope.WRITE, BEARERS["rules"]: Scope.ADMIN}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
Connect = Callable[..., AbstractContextManager[Agent]]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    served = {name: Served(name, tmp_path_factory.mktemp(name)) for name in ("people", "notes")}
    with contextmanager(_opened)(served):
        yield Registry(served)


def _opened(served: dict[str, Served]) -> Iterator[None]:
    opened = []
    try:
        for name, one in served.items():
            options = Options(embedders=(HashEmbedder(dimension=16),))
            opened.append(open_pkg(one.directory, config=Config(), options=options))
            one.put(opened[-1])
            opened[-1].pkg.create_entity("Thing", f"of {name}", {"name": f"a thing of {name}"})
            assert opened[-1].sync.drain(timeout_s=60)
        yield
    finally:
        for slipstream in opened:
            slipstream.close()


@pytest.fixture(scope="module")
def url(registry: Registry) -> Iterator[str]:
    with WebServer(registry, faces=mcp_face(registry), tokens=Tokens(TOKENS), limits=Limits()) as server:
        listener = tcp_listener(parsed_address("127.0.0.1:0", "http"), Terms(has_tokens=True))
        server.add(listener)
        yield listener.shown


@pytest.fixture(scope="module")
def connect(url: str) -> Connect:
    def connected(bearer: str = "reads", mode: str = "auto", prefix: str = "") -> AbstractContextManager[Agent]:
        @asynccontextmanager
        async def made() -> AsyncIterator[Client]:
            headers = {"authorization": f"Bearer {BEARERS[bearer]}"}
            async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
                transport = streamable_http_client(f"{url}{prefix}/mcp", http_client=http)
                async with Client(transport, mode=mode) as client:
                    yield client

        return agent(made)

    return connected


@pytest.mark.parametrize("mode", MODES)
def test_reading_and_writing(connect: Connect, mode: str) -> None:
    with connect("writes", mode) as writer:
        assert writer.client.protocol_version == MODES[mode]
        made = writer.call("add_entity", id=f"null {mode}", type="Made", properties={"name": f"zebra {mode}"})
        hits = writer.call("search", text=f"zebra {mode}", after=made["position"], entity_type="Made")["hits"]
        assert hits[0]["id"] == f"null {mode}"
        assert writer.call("delete_entity", id=f"null {mode}", wait=True)["searchable"] is True
        assert writer.read("slipstream://schema")["entity_types"]["Thing"] == {"name": "string"}


@pytest.mark.parametrize("mode", MODES)
def test_a_token_that_reads_knows_no_tool_that_writes(connect: Connect, mode: str) -> None:
    with connect("reads", mode) as reader:
        assert not {"add_entity", "delete_entity"} & reader.tools().keys()
        with pytest.raises(CallError, match="token that may write"):
            reader.call("add_entity", id="x", type="Made")
        with pytest.raises(CallError, match="NotFoundError"):
            reader.call("get", id="x")
    for token in ("writes", "rules"):
        with connect(token, mode) as writer:
            assert {"add_entity", "delete_entity"} <= writer.tools().keys()


@pytest.mark.parametrize("mode", MODES)
def test_each_pkg_answers_for_itself(connect: Connect, mode: str) -> None:
    for prefix, name, other in (("", "people", "notes"), ("/pkgs/notes", "notes", "people")):
        with connect(mode=mode, prefix=prefix) as reader:
            assert reader.call("get", id=f"of {name}")["name"] == f"a thing of {name}"
            with pytest.raises(CallError, match="NotFoundError"):
                reader.call("get", id=f"of {other}")


def test_a_pkg_that_is_being_opened_says_so(connect: Connect, registry: Registry) -> None:
    slipstream = registry["notes"].slipstream
    with connect(prefix="/pkgs/notes") as reader:
        registry["notes"].put(None)
        try:
            assert "search" in reader.tools()
            with pytest.raises(CallError, match=r"(?s)UnavailableError: .*notes is being opened.*wait a few seconds"):
                reader.call("search", text="thing")
        finally:
            registry["notes"].put(slipstream)
        assert reader.call("search", text="thing")["hits"]


def test_who_is_not_let_in_gets_a_problem(url: str, connect: Connect) -> None:
    discover = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {}}
    with httpx2.Client() as http:
        refused = http.post(f"{url}/mcp", json=discover)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="slipstream"')
        known = {"authorization": f"Bearer {BEARERS['reads']}"}
        assert http.post(f"{url}/pkgs/nothing/mcp", json=discover, headers=known).status_code == 404
        for method in ("GET", "DELETE", "PUT"):
            refused = http.request(method, f"{url}/mcp", headers=known)
            assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        wrong = http.post(f"{url}/mcp", content=b"{", headers={**known, "content-type": "application/json"})
        assert wrong.status_code in {400, 406}
        assert "/mcp" not in http.get(f"{url}/openapi.json", headers=known).json()["paths"]
    with pytest.raises(MCPError, match="error response"), connect("nobody") as nobody:
        nobody.call("status")


HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    *(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s,"_meta":%s}}'
        % (name, arguments, json.dumps(META).encode())
        for name, arguments in [
            (b"get", b"[]"),
            (b"get", b"null"),
            (b"get", b'{"id":"\\ud800"}'),
            (b"get", b'{"id":"a\\u0000b"}'),
            (b"get", b'{"id":"%s"}' % (b"x" * 900_000)),
            (b"get", b'{"id":%s%s}' % (b"[" * 5_000, b"]" * 5_000)),
            (b"search", b'{"text":"x","k":1e400}'),
            (b"search", b'{"text":"x","k":%s}' % (b"9" * 5_000)),
            (b"changes", b'{"after":9223372036854775808}'),
            (b"query", b'{"cypher":"RETURN $a","parameters":{"a":"\\ud800"}}'),
            (b"add_entity", b'{"id":"x","type":"T","properties":{"p":"\\ud800"}}'),
            (b"add_entity", b'{"id":"x","type":"T","properties":%s1%s}' % (b'{"a":' * 500, b"}" * 500)),
            (b"no\\u0000ne", b"{}"),
        ]
    ),
]


@pytest.mark.parametrize("mode", MODES)
def test_hostile_messages_are_refused_and_told_nothing(
    url: str, connect: Connect, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"authorization": f"Bearer {BEARERS['writes']}", "content-type": "application/json"}
    headers["accept"] = "application/json, text/event-stream"
    if mode == "auto":
        headers["mcp-protocol-version"] = MODES[mode]
        headers["mcp-method"] = "tools/call"
    with httpx2.Client(timeout=60) as http:
        for body in HOSTILE:
            named = re.search(rb'"name":"(\w+)"', body)
            more = {"mcp-name": named[1].decode()} if named is not None and mode == "auto" else {}
            answer = http.post(f"{url}/mcp", content=body, headers={**headers, **more})
            assert answer.status_code in {200, 400}, body[:200]
            assert answer.status_code == 400 or '"isError":true' in answer.text or '"error"' in answer.text
            assert len(answer.text) < 6_000
            assert "slipstream/" not in answer.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    with connect("reads", mode) as reader:
        assert reader.call("status")["entities"]["Thing"] == 1
