"""What is kept of bad input: short lines whole, long ones cut, nothing of a wrong file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.test_cli import PEOPLE, Cli, cli

__all__ = ["cli"]


def test_a_wrong_file_is_refused_as_a_whole(cli: Cli, tmp_path: Path) -> None:
    people = tmp_path / "people.jsonl"
    people.write_text("id,name\n" + "".join(f"{n},Name {n}\n" for n in range(2_000)))
    for command in ("import", "apply"):
        result = cli.json(command, str(people), code=2)
        assert result["error"] == "ConfigError"
        assert "people.jsonl is CSV: `slipstream import` reads that, in files named .csv. " in result["message"]
    assert cli.json("status")["dead_letters"] == 0


def test_a_line_that_is_too_long_is_kept_cut_and_its_source_is_named(cli: Cli, tmp_path: Path) -> None:
    dump = tmp_path / "graph.jsonl"
    long = json.dumps({"type": "nonsense", "text": "x" * 100_000})
    huge = "y" * (17 * 1024 * 1024)
    dump.write_text("".join(json.dumps(row) + "\n" for row in PEOPLE[:2]) + f"{long}\n{huge}\n" + "short\n")
    result = cli.json("import", str(dump), "--no-sync", code=1)
    assert (result["entities"], result["rejected"], result["dead_letters"]) == (2, 3, 3)
    assert "has 17,825,792 bytes, a line may have 16,777,216" in result["errors"][1]
    letters = cli.json("dead-letters", "list")
    assert sum(len(letter["payload"]) for letter in letters) < 15_000
    cut = [letter for letter in letters if f"give {dump} again" in letter["error"]]
    assert len(cut) == 2
    refused = cli.json("dead-letters", "replay", cut[0]["id"], code=2)
    assert cut[0]["id"] in refused["message"]
    assert f"give {dump} again" in refused["message"]
    cli.json("dead-letters", "discard", *(letter["id"] for letter in letters))
    assert cli.json("status")["dead_letters"] == 0


def test_what_a_stream_brings_past_the_bound_is_counted(cli: Cli) -> None:
    text = (cli.directory / "slipstream.toml").read_text().replace("lines_max = 1000", "lines_max = 10")
    (cli.directory / "slipstream.toml").write_text(text)
    lines = "".join(f"{n},name\n" for n in range(50))
    result = cli.json("apply", "-", "--no-sync", code=1, stdin=lines)
    assert (result["rejected"], result["dead_letters"]) == (50, 11)
    (more,) = [letter for letter in cli.json("dead-letters", "list") if ":more:" in letter["id"]]
    assert more["attempts"] == 40
    assert "40 more lines of a stream are refused and not kept" in more["error"]
