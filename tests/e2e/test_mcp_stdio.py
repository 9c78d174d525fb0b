"""`slipstream mcp` as an agent's host starts it: a real process, the SDK's client, and every way to end it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

import slipstream
from tests.agents import MODES, Agent, CallError, agent, text_of
from tests.e2e.processes import KINDS, LONG_S, ROOT, STATIC, Process, command, made, owned
from tests.until import until

ENDED_S_MAX = 5.0  # a call may wait for ten
HELLO: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = made(tmp_path / "pkg")
    with slipstream.open(place) as pkg:
        pkg.pkg.create_entity("Person", "null", {"name": "Ada Lovelace"})
        assert pkg.sync.drain(timeout_s=LONG_S)
    return place


def connected(directory: Path, *options: str, mode: str = "auto") -> AbstractContextManager[Agent]:
    @asynccontextmanager
    async def client() -> AsyncIterator[Client]:
        arguments = ["-m", "slipstream", "--dir", str(directory), "mcp", *options]
        started = StdioServerParameters(command=sys.executable, args=arguments, cwd=str(ROOT))
        async with Client(started, mode=mode) as made:
            yield made

    return agent(client)


@pytest.mark.parametrize("mode", MODES)
def test_it_opens_the_pkg_itself(directory: Path, mode: str) -> None:
    with connected(directory, "--write", mode=mode) as writer:
        assert writer.client.protocol_version == MODES[mode]
        assert [hit["id"] for hit in writer.call("search", text="Ada Lovelace")["hits"]] == ["null"]
        made = writer.call("add_entity", id="123", type="Person", properties={"name": "Grace Hopper"}, wait=True)
        assert made["searchable"] is True
        assert writer.call("search", text="Grace Hopper", k=1)["hits"][0]["id"] == "123"
        assert writer.read("slipstream://schema")["entity_types"] == {"Person": {"name": "string"}}
    with slipstream.open(directory, run=False) as pkg:  # the process has ended, and left everything in order
        assert pkg.pkg.feed.head() == made["position"]
        assert pkg.runs_engine


@pytest.mark.parametrize("kind", KINDS)
def test_it_asks_the_process_that_runs_the_engine(directory: Path, kind: str) -> None:
    """By its socket if that is a server; else by reading the files, and by durable requests."""
    with owned(directory, kind), connected(directory, "--write") as writer, connected(directory) as reader:
        made = writer.call("add_entity", id="{}", type="Person", properties={"name": "Emmy Noether"}, wait=True)
        assert made["searchable"] is True
        hits = reader.call("search", text="Emmy Noether", k=1, after=made["position"])["hits"]
        assert hits[0]["id"] == "{}"
        assert reader.call("status", with_schema=True)["entities"] == {"Person": 2}
        writer.call("relate", source_id="{}", type="READS", target_id="null", properties={"since": 1920})
        rows = reader.call("neighbours", id="null")["items"]
        assert [(row["entity_id"], row["properties"]) for row in rows] == [("{}", {"since": 1920})]
        assert reader.call("changes", limit=1)["items"][0]["kind"] == "relationship_created"
        assert reader.call("query", cypher="MATCH (p:Person) RETURN count(p)")["rows"] == [[2]]
        assert reader.read("slipstream://schema")["entity_types"] == {"Person": {"name": "string"}}
        assert reader.read("slipstream://views")["views"]["Person"]["model"] == STATIC
        with pytest.raises(CallError, match="--write"):
            reader.call("delete_entity", id="{}")
        with pytest.raises(CallError, match=r"NotFoundError: .*nobody"):
            reader.call("neighbours", id="nobody")


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_when_the_process_that_ran_the_engine_is_killed(directory: Path, kind: str) -> None:
    with owned(directory, kind) as owner, connected(directory, "--write") as writer:
        assert writer.call("search", text="Ada Lovelace")["hits"]
        owner.kill()
        until(lambda: not writer.answer("add_entity", id="after", type="Person").is_error, "the next opening")
        until(lambda: writer.call("status").get("lag_s") == 0.0, "the taking over")
        assert "after" in [hit["id"] for hit in writer.call("search", text="after")["hits"]]


def test_a_server_that_is_started_again_is_asked_again(directory: Path) -> None:
    with owned(directory) as first, connected(directory) as reader:
        assert reader.call("search", text="Ada Lovelace")["hits"]
        first.send(signal.SIGTERM)
        first.ended()
        assert "UnavailableError" in text_of(reader.answer("search", text="Ada"))
        with owned(directory):  # it runs the engine: nobody has taken that from it meanwhile
            assert reader.call("search", text="Ada Lovelace")["hits"]


def started(directory: Path) -> Process:
    """Start it and shake hands, without a client that would end it in its own way."""
    process = command(directory, "mcp")
    try:
        answer = asked(process, HELLO)
        assert answer["result"]["serverInfo"]["name"] == "slipstream"
        tell(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    except BaseException:
        process.close()
        raise
    return process


def tell(process: Process, message: dict[str, Any]) -> None:
    assert process.process.stdin is not None
    process.process.stdin.write(json.dumps(message) + "\n")
    process.process.stdin.flush()


def asked(process: Process, message: dict[str, Any]) -> dict[str, Any]:
    tell(process, message)
    assert process.process.stdout is not None
    answer: dict[str, Any] = json.loads(process.process.stdout.readline())
    assert answer["id"] == message["id"]
    return answer


def call(number: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("ending", ["end of input", "SIGTERM", "SIGINT"])
def test_it_ends_in_order(directory: Path, ending: str) -> None:
    process = started(directory)
    try:
        assert "Ada" in json.dumps(asked(process, call(2, "search", text="Ada")))
        if ending == "end of input":
            assert process.process.stdin is not None
            process.process.stdin.close()
        else:
            process.send(signal.Signals[ending])
        assert process.ended() == 0
        assert process.output() == ""  # the protocol's answers, read above, and not a word more
        assert "Traceback" not in "".join(process.said)
    finally:
        process.close()
    with slipstream.open(directory, run=False) as pkg:
        assert pkg.runs_engine  # the lease was given back


@pytest.mark.parametrize("ending", ["end of input", "SIGTERM", "SIGINT"])
def test_it_ends_in_time_while_a_call_waits(directory: Path, ending: str) -> None:
    process = started(directory)
    try:
        tell(process, call(2, "search", text="Ada", after=10**9))
        assert asked(process, call(3, "get", id="null"))["result"]["isError"] is False  # answered beside it
        began = time.monotonic()
        if ending == "end of input":
            assert process.process.stdin is not None
            process.process.stdin.close()
        else:
            process.send(signal.Signals[ending])
        assert process.ended() == 0
        assert time.monotonic() - began < ENDED_S_MAX
        assert "Traceback" not in "".join(process.said)
    finally:
        process.close()


def test_where_there_is_no_pkg_it_says_so_and_nothing_else(tmp_path: Path) -> None:
    process = command(tmp_path / "nothing", "mcp")
    try:
        assert process.ended() == 2
        assert process.output() == ""
        assert "holds no slipstream.toml: run" in "".join(process.said)
    finally:
        process.close()


def test_an_incident_is_told_searched_past_and_left_behind(directory: Path) -> None:
    with connected(directory, "--write") as writer:
        for path in (directory / ".slipstream").glob("graph.db*"):
            if not path.name.endswith("-lock"):
                path.unlink()
        until(lambda: degraded(writer), "an incident")
        found = writer.call("search", text="Ada Lovelace")
        assert [hit["id"] for hit in found["hits"]] == ["null"]
        assert "incident (missing)" in found["degraded"][0]
        status = writer.call("status")
        assert "incident (missing)" in status["degraded"][0]
        assert any("repair --adopt" in way for way in status["ways_on"])
        for name, arguments in (("get", {"id": "null"}), ("add_entity", {"id": "x", "type": "Person"})):
            with pytest.raises(CallError, match=r"(?s)IncidentError.*only a person can decide"):
                writer.call(name, **arguments)
        until(lambda: is_adopted(directory), "the adoption")  # refused until the PKG has been opened anew for it
        until(lambda: degraded(writer) == [], "the end of the incident")
        assert writer.call("search", text="Ada Lovelace")["hits"] == []
        made = writer.call("add_entity", id="anew", type="Person", properties={"name": "Ada"}, wait=True)
        assert made["searchable"] is True


def is_adopted(directory: Path) -> bool:
    adopting = command(directory, "repair", "--adopt")
    try:
        return adopting.ended() == 0
    finally:
        adopting.close()


def degraded(reader: Agent) -> list[str] | None:
    """Return what is degraded; None while the PKG is being opened anew."""
    found = reader.answer("search", text="anything")
    if found.is_error:
        assert "UnavailableError" in text_of(found)
        return None
    told: list[str] = found.structured_content["degraded"]
    return told


def test_what_others_print_does_not_get_into_the_protocol(directory: Path) -> None:
    """The model's library writes to standard output as it is loaded, as some do."""
    noisy = "import os, sys, runpy\n"
    noisy += "import slipstream.app.composition as c\nopened = c.open_pkg\n"
    noisy += "def open_pkg(*a, **k):\n    print('printed'); os.write(1, b'written')\n    return opened(*a, **k)\n"
    noisy += "c.open_pkg = open_pkg\n"
    noisy += f"sys.argv = ['slipstream', '--dir', {str(directory)!r}, 'mcp']\n"
    noisy += "runpy.run_module('slipstream', run_name='__main__')"
    process = Process("-c", noisy)
    try:
        assert asked(process, HELLO)["result"]["serverInfo"]["name"] == "slipstream"
        assert process.process.stdin is not None
        process.process.stdin.close()
        assert process.ended() == 0
        assert process.output() == ""
        assert "printed" in "".join(process.said)
        assert "written" in "".join(process.said)
    finally:
        process.close()
