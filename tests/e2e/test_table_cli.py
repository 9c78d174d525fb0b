"""Tables by the command line: in, out, and what is asked for when it is not said."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.processes import made
from tests.e2e.test_cli import Cli

RELATE = ("--relate", "employer:WORKS_AT:Company")


def test_a_table_goes_in_and_comes_out(tmp_path: Path) -> None:
    people, back = tmp_path / "Person.csv", tmp_path / "back.csv"
    people.write_bytes(b'id;name;born;employer\r\na;"Ada; L.";01815;acme\r\nb;"";;\r\n')
    cli = Cli(made(tmp_path / "pkg"))
    told = cli.json("import", str(people), *RELATE, "--no-sync")
    assert (told["entities"], told["relationships"], told["rejected"]) == (3, 1, 0)
    assert told["notes"] == [f"{people}: its cells were taken to be separated by the semicolon"]

    told = cli.json("export", str(back), "--type", "Person", *RELATE, "--delimiter", "semicolon")
    assert (told["entities"], told["relationships"]) == (2, 1)
    assert back.read_bytes() == people.read_bytes()

    assert "--type" in cli.json("export", str(back), code=2)["message"]
    assert "--type" in cli.json("export", "graph.jsonl", *RELATE, code=2)["message"]
    assert "'Nobody'" in cli.json("export", str(back), "--type", "Nobody", code=2)["message"]
