"""`erase`: what a person is asked, what is counted, what the receipt says; and no word of it is left in any file."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.e2e.everyday import Cli, made
from tests.integration.erasure_world import traces

ID = "zyxilda-7"
WORDS = (ID, "Zyxilda", "fnordwort", "grimbelshire", "plunketine")
"""Its id, its name, a text of it and what that was before, and a text of a relationship."""
OF_NEIGHBOURS = "Zyxilda"
"""What a neighbour's text says, too."""
LONG_S = 240.0


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = made(tmp_path / "pkg")
    cli.run("add", "Person", ID, "name=Zyxilda", "motto=once of grimbelshire", "--no-sync")
    cli.run("relate", ID, "KNOWS", "ada", "how=by plunketine", "--no-sync")
    cli.run("relate", "grace", "KNOWS", ID, "--no-sync")
    cli.run("set", "ada", "motto=weaves with Zyxilda, and for ZYXILDA", "--no-sync")
    cli.run("set", ID, "motto=fnordwort is what all her texts are about")
    assert {word for word in WORDS if _found(cli, word)} == set(WORDS), "a test of nothing"
    return cli


def _found(cli: Cli, *words: str) -> list[list[str]]:
    return traces(cli.directory, words)


def _receipt(cli: Cli, *words: str) -> dict[str, Any]:
    told: dict[str, Any] = cli.json("erase", *words)
    return told


def _removed(told: dict[str, Any]) -> int:
    return sum(place["removed"] for place in told["places"] if "cache" not in place["place"])


def test_it_is_gone_from_every_file_and_from_every_answer(cli: Cli) -> None:
    told = _receipt(cli, ID, "--yes", "--with-neighbours-text")
    assert (told["was_there"], told["relationships"], told["neighbours_changed"]) == (True, 2, 1)
    assert _found(cli, *WORDS) == []
    assert cli.json("get", ID, code=1)["entities"] == []
    assert cli.json("get", "ada")["entities"][0]["properties"]["motto"] == "weaves with [erased], and for [erased]"
    assert ID not in {hit["entity_id"] for hit in cli.json("search", "fnordwort Zyxilda")}
    assert cli.json("history", ID, code=1)["changes"] == []
    cli.run("verify")
    assert _found(cli, *WORDS) == []


def test_what_neighbours_say_stays_unless_asked_for(cli: Cli) -> None:
    told = _receipt(cli, ID, "--yes")
    assert told["neighbours_changed"] == 0
    assert sum(file["mentions_left"] for file in told["files"]) > 0
    assert _found(cli, *(word for word in WORDS if word != OF_NEIGHBOURS)) == []
    assert _found(cli, OF_NEIGHBOURS)
    assert "Zyxilda" in cli.json("get", "ada")["entities"][0]["properties"]["motto"]


def test_a_dry_run_counts_and_changes_nothing(cli: Cli) -> None:
    before = cli.json("history", ID)
    told = _receipt(cli, ID, "--dry-run", "--with-neighbours-text")
    assert (told["was_there"], told["relationships"], told["neighbours_changed"]) == (True, 2, 1)
    assert _removed(told) > 0
    assert "signature" not in told
    assert "Would be erased" in cli.run("erase", ID, "--dry-run")[0]
    assert cli.json("history", ID) == before
    assert cli.json("get", ID)["missing"] == []
    assert not (cli.directory / "receipts").exists()


def test_the_receipt_has_the_reference_and_verifies(cli: Cli) -> None:
    out, _ = cli.run("erase", ID, "--yes", "--reference", "ticket 12")
    (path,) = (cli.directory / "receipts").iterdir()
    assert path.name in out.replace("\n", "")
    document = json.loads(path.read_text())
    assert (document["reference"], document["entity"]) == ("ticket 12", path.stem)
    key = cli.directory / "key.pem"
    key.write_text(cli.run("evidence", "key")[0])
    assert "valid: signed by the key" in cli.run("evidence", "verify", str(path), "--public-key", str(key))[0]
    assert _receipt(cli, path.stem, "--yes") == document, "asked for again by what stands for the id"
    path.write_text(path.read_text().replace("ticket 12", "ticket 13"))
    cli.run("evidence", "verify", str(path), "--public-key", str(key), code=1)


def test_an_id_that_nothing_knows_gets_a_receipt_that_says_so(cli: Cli) -> None:
    told = _receipt(cli, "nobody-of-this-name", "--yes")
    assert (told["was_there"], told["relationships"], told["position"]) == (False, 0, None)
    assert _found(cli, "nobody-of-this-name") == []
    assert cli.json("get", ID)["missing"] == []


def test_a_second_erasure_finds_nothing_more(cli: Cli) -> None:
    first = _receipt(cli, ID, "--yes", "--with-neighbours-text")
    again = _receipt(cli, ID, "--yes")
    assert (again["was_there"], again["relationships"], again["neighbours_changed"]) == (False, 0, 0)
    assert again["entity"] != first["entity"], "each has a salt, and a receipt, of its own"
    assert _removed(again) < _removed(first)
    assert sum(file["mentions_left"] for file in again["files"]) == 0
    assert _found(cli, *WORDS) == []


# ---------------------------------------------------------------------- asking, and being refused


def test_who_can_not_be_asked_has_to_say_yes(cli: Cli) -> None:
    assert f"this would erase {ID}, with 2 relationships" in cli.refused("erase", ID)
    assert "give --yes if that is meant" in cli.run("erase", ID, code=2, stdin="y\n")[1], "a pipe is nobody"
    assert cli.json("get", ID)["missing"] == []
    assert not (cli.directory / "receipts").exists()


@pytest.mark.parametrize(
    ("words", "field"),
    [(["--also", "abc"], "also"), (["--reference", ""], "reference"), (["--reference", "x" * 201], "reference")],
)
def test_what_can_not_be_meant_is_refused_by_name(cli: Cli, words: list[str], field: str) -> None:
    assert f"{field}:" in cli.refused("erase", ID, "--yes", *words)
    assert "entity_id: is empty" in cli.refused("erase", "", "--yes")
    assert cli.json("get", ID)["missing"] == []


def _answering(cli: Cli, answer: bytes) -> tuple[int, str]:
    """Run `erase` at a terminal, and answer its question."""
    ours, theirs = pty.openpty()
    call = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "erase", ID, "--with-neighbours-text"]
    try:
        process = warm.Popen(call, stdin=theirs, stdout=-1, stderr=-1, text=True)
        os.write(ours, answer)
        out, err = process.communicate(timeout=LONG_S)
        return process.returncode, out + err
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_person_is_asked_and_decides(cli: Cli) -> None:
    code, said = _answering(cli, b"n\n")
    assert (code, f"Erase {ID}, with 2 relationships" in said, "nothing was erased" in said) == (1, True, True)
    assert cli.json("get", ID)["missing"] == []
    assert not (cli.directory / "receipts").exists()
    code, said = _answering(cli, b"y\n")
    assert (code, "was in the graph" in said) == (0, True)
    assert cli.json("get", ID, code=1)["entities"] == []
    assert _found(cli, *WORDS) == []


def test_a_file_that_another_program_holds_is_told_and_the_erasure_goes_on(cli: Cli) -> None:
    """What could not be overwritten is told with 2, and asking again finishes it."""
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db")) as raw:
        raw.execute("BEGIN")
        raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
        assert "graph.db" in cli.refused("erase", ID, "--yes", "--with-neighbours-text")
    _receipt(cli, ID, "--yes")
    assert _found(cli, *WORDS) == []
    assert len(list((cli.directory / "receipts").iterdir())) == 2, "that of the first one, and that of the second"
