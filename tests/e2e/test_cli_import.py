"""`slipstream import`, as one types it: rehearsed, replaced, confirmed, piped in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_cli import Cli, cli

__all__ = ["cli"]

TABLE = "id;name;employer\nada;Ada Lovelace;aes\nbab;Charles Babbage;aes\n"
SAID = ("--type", "Person", "--relate", "employer:WORKS_AT:Company", "--replace-source", "hr", "--no-sync")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(TABLE)
    return path


def test_a_rehearsal_says_what_the_import_then_does(cli: Cli, people: Path) -> None:
    told = cli.run("import", str(people), *SAID, "--dry-run")
    assert told == (
        "would be created: 1 Company, 2 Person, 2 WORKS_AT\nwould be updated: nothing\nwould be deleted: nothing\n"
    )
    done = cli.json("import", str(people), *SAID)
    assert (done["entities"], done["relationships"], done["deleted"], done["rejected"]) == (3, 2, 0, 0)
    people.write_text(TABLE.replace("bab;Charles Babbage;aes\n", ";nobody;aes\n"))
    told = cli.json("import", str(people), *SAID, "--dry-run", code=1)
    assert (told["created"], told["deleted"], told["rejected"]) == ({}, {}, 1)
    people.write_text(TABLE.replace("bab;Charles Babbage;aes\n", ""))
    told = cli.json("import", str(people), *SAID, "--dry-run")
    assert (told["updated"], told["deleted"]) == ({}, {"Person": 1, "WORKS_AT": 1})
    assert cli.json("import", str(people), *SAID)["deleted"] == 1


def test_the_brake_is_told_by_both_and_confirmed_by_its_plan(cli: Cli, people: Path) -> None:
    many = "".join(f"p{number};Name {number};aes\n" for number in range(120))
    people.write_text(TABLE + many)
    cli.run("import", str(people), *SAID)
    people.write_text(TABLE)
    told = cli.json("import", str(people), *SAID, "--dry-run", code=1)
    assert (told["deleted"], "no longer states 240 of the 245" in told["needs_confirmation"]) == (
        {"Person": 120, "WORKS_AT": 120}, True,
    )  # fmt: skip
    refused = cli.json("import", str(people), *SAID, code=2)
    assert (refused["error"], refused["plan"]["deletions"]) == ("ReplacementNeedsConfirmationError", 240)
    assert refused["message"] == told["needs_confirmation"]
    again = cli.json("import", str(people), *SAID, "--confirm", "240-00000000", code=2)
    assert again["field"] == "confirm"
    assert (
        cli.json("import", str(people), *SAID, "--confirm", refused["plan"]["id"])["deleted"] == 120
    )  # their relationships go with them


def test_what_is_piped_in_is_imported(cli: Cli) -> None:
    done = cli.json("import", "-", "--format", "csv", *SAID, stdin=TABLE)
    assert (done["entities"], done["relationships"]) == (3, 2)
    found = cli.json("query", "--sql", "SELECT id, type FROM entity ORDER BY id")
    assert found == [
        {"id": "ada", "type": "Person"}, {"id": "aes", "type": "Company"}, {"id": "bab", "type": "Person"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("-",), "name"),
        (("-", "people.csv"), "paths"),
        (("people.csv", "--name", "x.csv"), "name"),
        (("people.csv", "--format", "xls"), "format"),
        (("people.csv", "--relate", "employer"), "relate"),
        (("people.csv", "--column", "name=word"), "column"),
        (("people.csv", "--confirm", "1-00"), "confirm"),
        (("people.csv", "--confirm", "1-00", "--dry-run"), "confirm"),
        (("people.csv", "--replace-source", ""), "source"),
    ],
    ids=" ".join,
)
def test_what_does_not_fit_is_refused_by_its_name(
    cli: Cli, people: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], field: str
) -> None:
    monkeypatch.chdir(people.parent)
    assert cli.json("import", *words, "--no-sync", code=2, stdin=TABLE)["field"] == field
