"""`get`, `list`, `neighbours`, `history`: one entity and what is around it, for people and for programs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.everyday import HOSTILE, Cli, made


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return made(tmp_path_factory.mktemp("entities") / "pkg")


def _is_harmless(text: str) -> bool:
    return not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c in "\u202e\u2028" for c in text)


# ---------------------------------------------------------------------- get


def test_an_entity_is_told_with_its_relationships_and_how_it_stands(cli: Cli) -> None:
    told = cli.json("get", "grace", "ada", "grace")
    assert told["missing"] == []
    grace, ada = told["entities"]
    assert (ada["id"], ada["type"], ada["name"]) == ("ada", "Person", "Ada")
    assert ada["properties"] == {"name": "Ada", "city": "London", "age": 36, "motto": "engines weave"}
    assert ada["relationships"] == [{"direction": "out", "type": "KNOWS", "count": 1}]
    assert (ada["index"]["state"], ada["index"]["model_id"]) == ("fresh", "wordllama-l2")
    assert grace["properties"]["motto"] == HOSTILE
    assert [(row["direction"], row["type"]) for row in grace["relationships"]] == [
        ("in", "KNOWS"),
        ("out", "LIVES_AT"),
    ]


def test_people_read_an_entity_and_nothing_in_it_steers_their_terminal(cli: Cli) -> None:
    out, _ = cli.run("get", "grace", "river:1")
    assert _is_harmless(out)
    assert r"red\x1b[31m\x07bell\r\nnext\u202eback" in out
    assert "[bold]Thames[/bold]" in out
    assert "fresh" in out


@pytest.mark.parametrize(
    ("asked", "near"),
    [("Ada", ["ada"]), ("grac", ["grace"]), ("river:2", ["river:1"]), ("zzz", []), ("grace ", ["grace"])],
)
def test_a_missing_entity_is_told_with_what_may_be_meant(cli: Cli, asked: str, near: list[str]) -> None:
    assert cli.json("get", asked, code=1) == {"entities": [], "missing": [{"id": asked, "near": near}]}
    out, err = cli.run("get", "ada", asked, code=1)
    assert "London" in out, "what is there is shown"
    assert f"there is no entity {asked!r}" in err
    assert all(repr(name) in err for name in near)
    assert "slipstream search" in err


def test_an_entity_is_found_by_its_name(cli: Cli) -> None:
    assert cli.json("get", "[BOLD]Thames[/bold]", code=1)["missing"][0]["near"] == ["river:1"]


def test_an_id_may_begin_with_a_dash(cli: Cli) -> None:
    assert "London" in cli.run("get", "--", "ada")[0]
    assert "there is no entity '-x'" in cli.run("get", "--", "-x", code=1)[1]


# ---------------------------------------------------------------------- list


def test_entities_are_listed_in_pages_until_there_are_no_more(cli: Cli) -> None:
    first = cli.json("list", "--limit", "2")
    rest = cli.json("list", "--limit", "2", "--after", first["next"])
    assert [row["id"] for row in first["entities"] + rest["entities"]] == ["ada", "grace", "river:1"]
    assert rest["next"] is None
    assert cli.json("list", "--all") == {"entities": first["entities"] + rest["entities"], "next": None}
    assert "there are more: --after 'grace'" in cli.run("list", "--limit", "2")[1]
    assert cli.run("list")[1] == ""


def test_a_type_is_listed_alone_and_an_unknown_one_is_told(cli: Cli) -> None:
    assert [row["id"] for row in cli.json("list", "--type", "Person")["entities"]] == ["ada", "grace"]
    page = cli.json("list", "--type", "Person", "--limit", "1")
    assert [row["id"] for row in cli.json("list", "--type", "Person", "--after", page["next"])["entities"]] == [
        "grace"
    ]
    out, err = cli.run("list", "--type", "person", "--json")
    assert (out, "did you mean 'Person'?" in err) == ('{"entities": [], "next": null}\n', True)
    assert _is_harmless(cli.run("list")[0])
    assert "limit: must be 1 to 1,000, not 0" in cli.refused("list", "--limit", "0")


# ---------------------------------------------------------------------- neighbours


def test_neighbours_are_told_by_direction_and_type(cli: Cli) -> None:
    told = cli.json("neighbours", "grace")
    assert [(row["direction"], row["relationship_type"], row["entity_id"]) for row in told["neighbours"]] == [
        ("in", "KNOWS", "ada"),
        ("out", "LIVES_AT", "river:1"),
    ]
    assert told["neighbours"][0]["properties"] == {"since": 1950}
    assert told["neighbours"][1]["relationship_id"] == "LIVES_AT:grace:river%3A1"
    for direction, names in (("in", ["ada"]), ("out", ["river:1"]), ("both", ["ada", "river:1"])):
        found = cli.json("neighbours", "grace", "--direction", direction)["neighbours"]
        assert [row["entity_id"] for row in found] == names
    assert len(cli.json("neighbours", "grace", "--type", "KNOWS")["neighbours"]) == 1
    assert cli.json("neighbours", "grace", "--type", "NOTHING")["neighbours"] == []
    assert "KNOWS" in cli.run("neighbours", "grace")[0]


def test_what_is_cut_off_is_told(cli: Cli) -> None:
    told = cli.json("neighbours", "grace", "--limit", "1")
    assert (len(told["neighbours"]), told["more"]) == (1, True)
    assert "there are more" in cli.run("neighbours", "grace", "--limit", "1")[1]
    one = cli.json("neighbours", "grace", "--limit", "1", "--direction", "in")
    assert one["more"] is False, "nothing more comes in"


def test_neighbours_of_nobody_and_of_a_wrong_side(cli: Cli) -> None:
    assert cli.json("neighbours", "grac", code=1)["missing"] == [{"id": "grac", "near": ["grace"]}]
    assert "direction: must be out, in or both, not 'up'" in cli.refused("neighbours", "ada", "--direction", "up")


# ---------------------------------------------------------------------- history


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    cli = Cli(tmp_path_factory.mktemp("history") / "pkg")
    cli.run("init")
    for call in (
        "add Person ada name=Ada age:=1",
        "add Person bob name=Bob",
        "relate ada KNOWS bob since:=1",
        "set ada age:=1.0 city=London",
        "set ada city:=null",
        "delete ada",
    ):
        cli.run(*call.split(), "--no-sync")
    return cli


def test_the_life_of_an_entity_is_told_when_it_is_gone(lived: Cli) -> None:
    told = lived.json("history", "ada")
    assert (told["is_there"], told["more"]) == (False, False)
    kinds = [(change["kind"], change["changed"]) for change in told["changes"]]
    assert kinds == [
        ("entity_deleted", None),
        ("relationship_deleted", None),
        ("entity_updated", ["city"]),
        ("entity_updated", ["age", "city"]),
        ("relationship_created", None),
        ("entity_created", None),
    ]
    update = told["changes"][3]
    assert (update["old"]["age"], update["new"]["age"]) == (1, 1.0)
    assert type(update["new"]["age"]) is float
    positions = [change["position"] for change in told["changes"]]
    assert positions == sorted(positions, reverse=True)
    assert all(change["committed_at"].endswith("+00:00") for change in told["changes"])
    out, _ = lived.run("history", "ada")
    assert "city: London -> (none)" in out
    assert "age: 1 -> 1.0, city: (none) -> London" in out


def test_a_history_is_read_in_parts_and_without_relationships(lived: Cli) -> None:
    every: list[dict[str, Any]] = lived.json("history", "ada")["changes"]
    first = lived.json("history", "ada", "--limit", "2")
    assert (first["changes"], first["more"]) == (every[:2], True)
    before = str(every[1]["position"])
    assert f"--before {before}" in lived.run("history", "ada", "--limit", "2")[1]
    assert lived.json("history", "ada", "--before", before)["changes"] == every[2:]
    own = lived.json("history", "ada", "--own")["changes"]
    assert [change["kind"] for change in own] == [c["kind"] for c in every if c["kind"].startswith("entity")]


def test_what_the_log_no_longer_tells_is_said(lived: Cli) -> None:
    assert lived.json("history", "adda", code=1)["near"] == []
    with closing(sqlite3.connect(lived.directory / ".slipstream" / "graph.db")) as raw, raw:
        raw.execute("DELETE FROM change WHERE position < (SELECT max(position) FROM change)")
        raw.execute("REPLACE INTO meta SELECT 'trimmed', CAST(min(position) - 1 AS TEXT) FROM change")
    out, err = lived.run("history", "ada")
    assert "entity deleted" in out
    assert "older changes are no longer kept" in err
    assert "the log tells nothing of 'bob'" in lived.run("history", "bob", code=1)[1]


def test_a_log_that_another_program_has_damaged_is_told_as_far_as_it_can_be(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    cli.run("add", "Person", "ada", "name=Ada", "--no-sync")
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db")) as raw, raw:
        raw.execute("UPDATE change SET new = '{\"name', at = NULL WHERE kind = '+e'")
    (change,) = cli.json("history", "ada")["changes"]
    assert (change["new"], change["committed_at"]) == (None, None)
    assert "entity created" in cli.run("history", "ada")[0]
