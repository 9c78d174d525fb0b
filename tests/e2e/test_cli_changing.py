"""`add`, `set`, `relate`, `unrelate`, `delete`: what is written, what is refused, and what a person is asked."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.app.client.addresses import SOCKET
from slipstream.cli import entity_commands
from slipstream.cli.asking import Owner
from slipstream.domain.errors import UnavailableError
from tests import warm
from tests.e2e.everyday import Cli, made
from tests.e2e.processes import command

MANY = 11
LONG_S = 60.0


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return made(tmp_path / "pkg")


def _properties(cli: Cli, name: str) -> Any:
    return cli.json("get", name)["entities"][0]["properties"]


def test_what_was_added_is_found_when_the_command_returns(cli: Cli) -> None:
    told = cli.json("add", "Person", "bob", "name=Robert", "motto=catches fish with his hands")
    assert (told["id"], told["searchable"]) == ("bob", True)
    assert cli.json("search", "catching fish", "-k", "1")[0]["entity_id"] == "bob"
    assert cli.json("get", "bob")["entities"][0]["index"]["position"] == told["position"]
    assert "added Person carl at position" in cli.run("add", "Person", "carl")[0]


def test_without_waiting_the_index_follows_later(cli: Cli) -> None:
    told = cli.json("set", "ada", "motto=nothing", "--no-sync")
    assert told["searchable"] is False
    assert cli.json("get", "ada")["entities"][0]["index"]["state"] == "pending"
    assert cli.json("search", "Ada nothing", "-k", "1")[0]["text"] == "Ada. nothing"


def test_values_keep_their_kinds(cli: Cli) -> None:
    at = '{"$datetime": "2026-01-31T12:00:00+00:00"}'
    cli.run(
        "add", "Thing", "t", "text=1", "whole:=1", "half:=1.0", "is:=true", "list:=[1, {}]", f"at:={at}", "no:=null"
    )
    found = _properties(cli, "t")
    assert found == {
        "text": "1",
        "whole": 1,
        "half": 1.0,
        "is": True,
        "list": [1, {}],
        "at": {"$datetime": "2026-01-31T12:00:00+00:00"},
    }
    assert (type(found["whole"]), type(found["half"]), type(found["is"])) == (int, float, bool)


def test_set_merges_and_removes(cli: Cli) -> None:
    cli.run("set", "ada", "age:=37", "city:=null", "--unset", "motto")
    assert _properties(cli, "ada") == {"name": "Ada", "age": 37}
    assert "properties: are missing" in cli.refused("set", "ada")
    assert "NotFoundError" in cli.refused("set", "nobody", "a=b")


def test_what_is_there_already_is_refused_with_what_to_do(cli: Cli) -> None:
    assert "change it with `slipstream set`" in cli.refused("add", "Person", "ada", "name=Other")
    assert _properties(cli, "ada")["name"] == "Ada"
    assert "give --replace to change it" in cli.refused("relate", "ada", "KNOWS", "grace")
    cli.run("relate", "ada", "KNOWS", "grace", "since:=1960", "--replace")
    cli.run("relate", "ada", "KNOWS", "grace", "--key", "again")
    told = cli.json("neighbours", "ada")["neighbours"]
    assert [(row["relationship_id"], row["properties"]) for row in told] == [
        ("KNOWS:ada:grace", {"since": 1960}),
        ("KNOWS:ada:grace:again", {}),
    ]


def test_a_relationship_is_deleted_by_its_id_or_by_its_ends(cli: Cli) -> None:
    assert cli.json("relate", "ada", "LIKES", "river:1")["id"] == "LIKES:ada:river%3A1"
    assert cli.json("unrelate", "LIKES:ada:river%3A1")["id"] == "LIKES:ada:river%3A1"
    cli.run("relate", "ada", "KNOWS", "grace", "--key", "b")
    cli.run("unrelate", "ada", "KNOWS", "grace", "--key", "b")
    assert [row["relationship_id"] for row in cli.json("neighbours", "ada")["neighbours"]] == ["KNOWS:ada:grace"]
    assert "relationship: give either its id, or A TYPE B" in cli.refused("unrelate", "ada", "KNOWS")
    assert "NotFoundError" in cli.refused("unrelate", "ada", "KNOWS", "river:1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "", "x"], "entity_type"),
        (["add", "Person", ""], "entity_id"),
        (["add", "Person", "x", "a:=[" * 40 + "1" + "]" * 40], "a"),
        (["add", "Person", "x", f"a:={10**30}"], "a"),
        (["relate", "ada", "KNOWS", "nobody"], "nobody"),
    ],
)
def test_what_the_graph_can_not_keep_is_refused_by_name(cli: Cli, words: list[str], said: str) -> None:
    assert said in cli.refused(*words)
    assert cli.json("list", "--type", "Person")["next"] is None
    assert len(cli.json("list")["entities"]) == 3


# ---------------------------------------------------------------------- deleting


@pytest.fixture
def crowd(cli: Cli) -> Cli:
    with slipstream.open(cli.directory) as slip, slip.pkg.transaction() as tx:
        for number in range(MANY):
            tx.create_entity("Person", f"p{number}")
            tx.relate("ada", "KNOWS", f"p{number}")
    return cli


def test_entities_are_deleted_together_or_not_at_all(cli: Cli) -> None:
    assert "NotFoundError" in cli.refused("delete", "ada", "nobody")
    assert len(cli.json("list")["entities"]) == 3
    told = cli.json("delete", "ada", "grace", "ada")
    assert (told["ids"], told["relationships"]) == (["ada", "grace"], 2)
    assert [row["id"] for row in cli.json("list")["entities"]] == ["river:1"]


def test_many_relationships_do_not_go_along_unasked(crowd: Cli) -> None:
    refused = crowd.refused("delete", "ada")
    assert "this would delete 1 entity and 12 relationships: give --yes if that is meant" in refused
    assert "give --yes" in crowd.run("delete", "ada", code=2, stdin="y\n")[1], "a pipe is nobody"
    assert crowd.json("get", "ada")["missing"] == []
    assert crowd.json("delete", "ada", "--yes")["relationships"] == MANY + 1


def _answering(cli: Cli, answer: bytes) -> tuple[int, str]:
    """Run `delete ada` at a terminal, and answer its question."""
    ours, theirs = pty.openpty()
    call = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "delete", "ada", "--no-sync"]
    try:
        process = warm.Popen(call, stdin=theirs, stdout=-1, stderr=-1, text=True)
        os.write(ours, answer)
        out, err = process.communicate(timeout=LONG_S)
        return process.returncode, out + err
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_person_is_asked_and_decides(crowd: Cli) -> None:
    code, said = _answering(crowd, b"n\n")
    assert (code, "Delete 1 entity and 12 relationships?" in said, "nothing was deleted" in said) == (1, True, True)
    assert crowd.json("get", "ada")["missing"] == []
    code, said = _answering(crowd, b"y\n")
    assert (code, "deleted ada, 12 relationships" in said) == (0, True)
    assert crowd.json("get", "ada", code=1)["entities"] == []


# ---------------------------------------------------------------------- by a server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    cli = made(tmp_path_factory.mktemp("served") / "pkg")
    server = command(cli.directory, "serve")
    try:
        server.wait_for("running")
        yield cli
    finally:
        server.close()


def test_a_server_writes_for_commands_that_then_open_nothing(served: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.cli.context.Context.opened", None)  # called where a server is not enough
    told = served.json("add", "Person", "bob", "name=Bob", "motto=fish")
    assert told["searchable"] is True
    assert served.json("search", "fish", "-k", "1")[0]["entity_id"] == "bob"
    served.run("set", "bob", "name=Robert")
    served.run("relate", "ada", "KNOWS", "bob")
    assert served.json("neighbours", "bob")["neighbours"][0]["entity_id"] == "ada"
    served.run("unrelate", "ada", "KNOWS", "bob")
    assert served.json("history", "bob")["changes"][0]["kind"] == "relationship_deleted"
    assert served.json("delete", "bob")["relationships"] == 0
    assert served.json("get", "bob", code=1)["entities"] == []


def test_what_a_server_refuses_is_told_as_without_one(served: Cli) -> None:
    with_one = [served.refused("add", "Person", "ada"), served.refused("set", "nobody", "a=b")]
    socket = served.directory / SOCKET
    socket.rename(hidden := socket.with_name("hidden.sock"))
    try:
        assert [served.refused("add", "Person", "ada"), served.refused("set", "nobody", "a=b")] == with_one
    finally:
        hidden.rename(socket)


def test_a_listing_goes_on_behind_what_a_server_has_told_before_it_broke_off(
    served: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entity_commands, "PAGE_MAX", 1)
    whole = served.run("list", "--all", "--limit", "1", "--json")
    call, pages = Owner.call, []

    def breaking(self: Owner, operation: str, **arguments: Any) -> Any:
        if operation == "pkg.scan":
            pages.append(operation)
            if len(pages) > 1:
                raise UnavailableError("broke off")
        return call(self, operation, **arguments)

    monkeypatch.setattr(Owner, "call", breaking)
    assert served.run("list", "--all", "--limit", "1", "--json") == whole
    assert len(pages) == 2, "the rest was read beside it"
    assert len(whole[0].splitlines()) == 3


def test_a_write_whose_answer_is_lost_is_done_once(served: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server commits, and breaks off before it answers: the command repeats the commit beside it."""
    call = Owner.call

    def losing(self: Owner, operation: str, **arguments: Any) -> Any:
        found = call(self, operation, **arguments)
        if operation == "pkg.commit":
            raise UnavailableError("broke off")
        return found

    monkeypatch.setattr(Owner, "call", losing)
    told = served.json("add", "Person", "once", "name=Once")
    assert told["searchable"] is True
    monkeypatch.undo()
    assert [row["kind"] for row in served.json("history", "once")["changes"]] == ["entity_created"]
    with closing(slipstream.connect(served.directory)) as slip:
        assert slip.get("once").properties == {"name": "Once"}
