"""Commands that write, killed before, in and behind their commit, and those whose server is killed meanwhile."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from slipstream.cli.asking import Owner
from slipstream.domain.errors import UnavailableError
from tests import warm
from tests.e2e.everyday import Cli, made
from tests.e2e.processes import command

_PROGRAM = """
import os, signal, sys
from slipstream.__main__ import main
from slipstream.adapters.graphs.sqlite.writer import SqliteTransaction
from slipstream.cli.asking import Here

when = sys.argv.pop(1)

def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(call):
    def called(*given, **named):
        call(*given, **named)
        die()
    return called

if when == "before":
    Here.call = die
elif when == "in":
    SqliteTransaction.create_entity = dying(SqliteTransaction.create_entity)
else:
    Here.call = dying(Here.call)
main()
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return made(tmp_path / "pkg")


def _kinds(cli: Cli, name: str, code: int) -> list[str]:
    return [change["kind"] for change in cli.json("history", name, code=code)["changes"]]


@pytest.mark.parametrize("when", ["before", "in", "behind"])
def test_a_command_that_is_killed_has_written_all_or_nothing(cli: Cli, when: str) -> None:
    words = ["add", "Person", "bob", "name=Bob", "motto=catches fish"]
    call = [sys.executable, "-c", _PROGRAM, when, "--dir", str(cli.directory), *words]
    assert warm.run(call, check=False, capture_output=True).returncode == -signal.SIGKILL
    is_there = when == "behind"
    assert _kinds(cli, "bob", code=int(not is_there)) == ["entity_created"] * is_there
    if is_there:
        assert "exists already" in cli.refused(*words), "a person who types it again learns that it was done"
    else:
        cli.run(*words)
    assert cli.json("search", "catching fish", "-k", "1")[0]["entity_id"] == "bob", "the index follows by itself"
    assert _kinds(cli, "bob", code=0) == ["entity_created"]


@pytest.mark.parametrize("when", ["before", "behind"])
def test_where_the_server_is_killed_the_command_writes_once_by_itself(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    server = command(cli.directory, "serve")
    asked: list[str] = []
    call = Owner.call

    def losing(self: Owner, operation: str, **arguments: Any) -> Any:
        if operation != "pkg.commit":
            return call(self, operation, **arguments)
        asked.append(operation)
        if when == "behind":
            call(self, operation, **arguments)
        server.kill()
        if when == "behind":
            raise UnavailableError("killed before it has answered")
        return call(self, operation, **arguments)

    monkeypatch.setattr(Owner, "call", losing)
    try:
        server.wait_for("running")
        assert cli.json("add", "Person", "bob", "name=Bob", "motto=catches fish")["searchable"] is True
    finally:
        server.close()
    assert asked == ["pkg.commit"]
    assert _kinds(cli, "bob", code=0) == ["entity_created"]
    assert cli.json("search", "catching fish", "-k", "1")[0]["entity_id"] == "bob"
