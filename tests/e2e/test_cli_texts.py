"""Texts on the command line: what is no UTF-8 or no dump is refused with what to do, and data is never obeyed."""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from slipstream.cli.app import app
from tests import warm
from tests.e2e.test_cli import PEOPLE, Cli, cli

__all__ = ["cli"]

ROW = {"type": "node", "id": "1", "labels": ["Person"], "properties": {"id": "p1", "name": "Zoë Müller"}}
EVENT = {
    "event_id": "e1", "event_type": "entity_created", "entity_id": "p2", "entity_type": "Person",
    "timestamp": "2026-01-01T00:00:00Z", "schema_version": 1, "new_data": {"name": "José Peña"},
}  # fmt: skip


def text_of(row: Any, count: int = 1) -> str:
    return (json.dumps(row, ensure_ascii=False) + "\n") * count


def names(cli: Cli) -> list[str]:
    return sorted(row["n"] for row in cli.json("query", "MATCH (p:Person) RETURN p.name AS n"))


def piped(cli: Cli, data: bytes) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "apply", "-", "--json", "--no-sync"]
    done = warm.run(command, input=data, capture_output=True, check=False, timeout=60)
    return done.returncode, json.loads(done.stdout)


# ---------------------------------------------------------------------- not UTF-8


def test_what_is_not_utf8_is_refused_and_no_letter_is_replaced(cli: Cli, tmp_path: Path) -> None:
    dump, events = tmp_path / "g.jsonl", tmp_path / "e.jsonl"
    dump.write_bytes(text_of(ROW).encode("latin-1") + text_of(PEOPLE[0]).encode())
    events.write_bytes(text_of(EVENT).encode("latin-1"))
    for command, file, byte in (("import", dump, "0xeb"), ("apply", events, "0xe9")):
        result = cli.json(command, str(file), "--no-sync", code=1)
        assert result["rejected"] == 1
        assert f"is not UTF-8 (byte {byte}): convert it, as in iconv -f latin1 -t UTF-8" in result["errors"][0]
    code, result = piped(cli, text_of(EVENT).encode("latin-1"))
    assert (code, result["rejected"]) == (1, 1)
    letters = cli.json("dead-letters", "list")
    assert len(letters) == 2, "the event of the pipe is the file's"
    assert any("Jos\\\\xe9 Pe\\\\xf1a" in letter["payload"] for letter in letters), "its bytes can still be told"
    assert names(cli) == ["Ada Lovelace"]


def test_a_file_of_damaged_lines_leaves_few_letters(cli: Cli, tmp_path: Path) -> None:
    dump = tmp_path / "g.jsonl"
    dump.write_bytes(text_of(PEOPLE[0]).encode() + text_of(ROW, 300).encode("latin-1"))
    result = cli.json("import", str(dump), "--no-sync", code=1)
    assert (result["entities"], result["rejected"]) == (1, 300)
    assert result["dead_letters"] <= 20


def test_a_byte_order_mark_is_passed_over(cli: Cli, tmp_path: Path) -> None:
    dump, events = tmp_path / "g.jsonl", tmp_path / "e.jsonl"
    dump.write_text(text_of(ROW), encoding="utf-8-sig")
    events.write_text(text_of(EVENT), encoding="utf-8-sig")
    assert cli.json("import", str(dump), "--no-sync")["entities"] == 1
    assert cli.json("apply", str(events), "--no-sync")["applied"] == 1
    piped_event = {**EVENT, "event_id": "e3", "entity_id": "p3", "new_data": {"name": "Łukasz"}}
    assert piped(cli, text_of(piped_event).encode("utf-8-sig"))[1]["applied"] == 1
    assert names(cli) == ["José Peña", "Zoë Müller", "Łukasz"]


# ---------------------------------------------------------------------- wrong kinds of files


def _wrong_files(folder: Path) -> Iterator[tuple[Path, str]]:
    contents: dict[str, tuple[bytes, str]] = {
        "people.jsonl": (b"id,name\n" + b"1,x\n" * 2_000, "CSV"),
        "short.jsonl": (b'"_id","_labels"\n"0",":A"\n', "CSV"),
        "graph.jsonl": (b'<?xml version="1.0"?>\n<graphml/>', "GraphML"),
        "packed.jsonl": (gzip.compress(text_of(ROW).encode()), "gunzip"),
        "plain.jsonl.gz": (text_of(ROW).encode(), "damaged"),
        "wide.jsonl": (text_of(ROW).encode("utf-16"), "iconv -f UTF-16"),
        "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 99, "picture"),
        "noise.bin": (bytes(range(256)) * 300, ""),
    }
    for name, (data, word) in contents.items():
        (folder / name).write_bytes(data)
        yield folder / name, word
    with closing(sqlite3.connect(folder / "graph.db")) as connection:
        connection.execute("CREATE TABLE t(a)")
    yield folder / "graph.db", "SQLite"
    yield folder, "holds no notes|is a directory"
    yield folder / "nothing.jsonl", "is not there|can not be read"


def test_wrong_files_are_refused_as_a_whole_with_what_they_are(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "wrong").mkdir()
    for file, word in _wrong_files(tmp_path / "wrong"):
        for command in ("import", "apply"):
            if (command, file.name) == ("apply", "plain.jsonl.gz"):
                continue  # it is read as it is
            result = cli.json(command, str(file), "--no-sync", code=2)
            assert result["error"] == "ConfigError"
            assert any(each in result["message"].lower() for each in word.lower().split("|"))
            assert str(file) in result["message"]
    assert cli.json("status")["dead_letters"] == 0


def test_a_pipe_of_the_wrong_kind_leaves_few_letters(cli: Cli) -> None:
    for data in (b"\x89PNG\r\n\x1a\n" + b"x" * 99, gzip.compress(b"x"), text_of(EVENT).encode("utf-16")):
        code, result = piped(cli, data)
        assert (code, result["error"]) == (2, "ConfigError")
        assert "standard input is" in result["message"]
    code, result = piped(cli, b"id,name\n" + b"".join(b"%d,Name %d\n" % (n, n) for n in range(2_000)))
    assert (code, result["rejected"]) == (1, 2_001)
    assert result["dead_letters"] <= 20
    code, result = piped(cli, b"noise first\n" + text_of(EVENT).encode())
    assert (code, result["applied"], result["rejected"]) == (1, 1, 1), "who feeds a pipe may say something else first"


# ---------------------------------------------------------------------- properties


def test_what_can_not_be_kept_is_told_and_counted(cli: Cli, tmp_path: Path) -> None:
    dump = tmp_path / "g.jsonl"
    kept = {**ROW, "properties": {**ROW["properties"], "_created": 1, "ID": 2, "a.b": 3}}  # type: ignore[dict-item]
    dump.write_text(text_of(kept))
    result = CliRunner().invoke(app, ["--dir", str(cli.directory), "import", str(dump), "--no-sync"])
    assert result.exit_code == 0
    assert "the property Person._created can not be kept and is left out" in result.stderr.replace("\n", " ")
    again = cli.json("import", str(dump), "--no-sync")
    assert (again["entities"], again["left_out"]) == (1, {"Person._created": 1, "Person.ID": 1})


def test_a_prefix_can_be_chosen(cli: Cli, tmp_path: Path) -> None:
    dump = tmp_path / "g.jsonl"
    dump.write_text(text_of({**ROW, "properties": {"name": "x"}}))
    cli.run("import", str(dump), "--no-sync", "--id-prefix", "mine:")
    assert cli.json("query", "MATCH (p:Person) RETURN p.id AS i") == [{"i": "mine:1"}]


# ---------------------------------------------------------------------- hostile texts

HOSTILE = "x\x1b[8my\x07\x9b8mz\x7f\u202e\u2066\u2028\rq"
NOT_WALKED = {
    "init", "backup", "restore", "demo", "bench", "bench-audits", "bench-migrations", "run",
    "scrub pause", "scrub resume",
}  # fmt: skip
"""What shows nothing of the graph, or takes minutes."""
IN_JSON_TOO = {"import", "apply", "search", "query", "views", "dead-letters", "verify"}


def is_safe(text: str) -> bool:
    return not any(
        unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")
        or each in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        for each in text
        if each not in "\n\t"
    )


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    for name, below in command.commands.items():
        yield from _leaves(below, (*path, name))


@pytest.fixture
def hostile(cli: Cli, tmp_path: Path) -> Cli:
    rows = [
        {"type": "node", "id": "1", "labels": ["Person"],
         "properties": {"id": f"a{HOSTILE}", "name": HOSTILE, "description": f"[bold]{HOSTILE}[/nothing]"}},
        {"type": "node", "id": "2", "labels": ["Person"], "properties": {"id": "b[/b]", "name": f"friend {HOSTILE}"}},
        {"type": "relationship", "id": "3", "label": "KNOWS", "properties": {"id": HOSTILE},
         "start": {"id": "1"}, "end": {"id": "2"}},
        {"type": "relationship", "id": HOSTILE, "label": "KNOWS", "start": {"id": "1"}, "end": {"id": HOSTILE}},
        {"type": HOSTILE, "id": HOSTILE},
        {"type": "node", "id": "4", "labels": [HOSTILE], "properties": {HOSTILE: HOSTILE, f"_{HOSTILE}": 1}},
        {"type": "node", "id": "5", "labels": ["Person"], "properties": {"id": "c", f"_{HOSTILE}": 1}},
    ]  # fmt: skip
    dump = tmp_path / f"g{HOSTILE.replace('/', '')}.jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cli.run("import", str(dump), code=1)
    with (cli.directory / "slipstream.toml").open("a") as file:
        file.write('\n[views.Person]\ntemplate = "{{ name }} {{ description }}"\n')
    return cli


def test_no_command_lets_data_steer_the_terminal(hostile: Cli, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(text_of({**EVENT, "event_type": HOSTILE}) + text_of({**EVENT, "entity_id": ""}) + HOSTILE + "\n")
    key = f"a{HOSTILE}"
    walked = [
        ["import", str(next(tmp_path.glob("g*.jsonl")))], ["import", f"no{HOSTILE}"],
        ["apply", str(bad)], ["apply", f"no{HOSTILE}"],
        ["status"], ["search", "friend", "--expand", "1"], ["search", HOSTILE],
        ["query", "MATCH (p:Person) RETURN p.name, p.id, p"], ["query", "--sql", "SELECT * FROM entity"],
        ["query", f"MATCH (p:`{HOSTILE}`) RETURN"], ["query", "MATCH (p) RETURN p", "--param", HOSTILE],
        ["views", "list"], ["views", "explain", key], ["views", "explain", f"no{HOSTILE}"], ["views", "check"],
        ["dead-letters", "list"], ["dead-letters", "replay", "--all"], ["dead-letters", "replay", HOSTILE],
        ["verify"], ["repair"], ["repair", "--dry-run"], ["audits", "list"], ["audits", "show", HOSTILE],
        ["audits", "show", "1"], ["schema", "history"], ["schema", "diff", "1", "2"],
        ["quality", "run"], ["quality", "show", key], ["quality", "list"], ["quality", "trend"],
        ["quality", "compare"], ["quality", "reembed"], ["reembed", "--type", HOSTILE],
        ["migrate", "start"], ["migrate", "status"], ["migrate", "pause"], ["migrate", "resume"], ["migrate", "wait"],
        ["migrate", "audit"], ["migrate", "cut-over"], ["migrate", "roll-back"], ["migrate", "drop"],
        ["export", "-"], ["export", str(tmp_path / f"no{HOSTILE}" / "x.jsonl")], ["dead-letters", "discard", "--all"],
        ["scrub", "status"],
    ]  # fmt: skip
    leaves = set(_leaves(get_command(app)))
    told = {leaf for leaf in leaves for call in walked if call[: len(leaf.split())] == leaf.split()}
    assert leaves - told - NOT_WALKED == set(), "these commands are not walked"
    unsafe, shown, counts = [], "", dict[int, int]()
    for call in walked:
        for more in ([], ["--json"]) if call[0] in IN_JSON_TOO else ([],):
            result = CliRunner().invoke(app, ["--dir", str(hostile.directory), *call, *more], env={"COLUMNS": "200"})
            assert isinstance(result.exception, SystemExit | None), (call, result.exception)
            shown += result.output
            counts[result.exit_code] = counts.get(result.exit_code, 0) + 1
            if not is_safe(result.stdout) or not is_safe(result.stderr):
                unsafe.append((call, more, result.output))
    assert unsafe == []
    assert counts[0] > 20, "most of them have something to show"
    assert "\\x1b[8my" in shown, "people see what is there"
    assert "\\u001b[8my" in shown, "and programs read it"


_FAULT = """
import sys
from slipstream.cli.ending import ended
def run():
    raise LookupError(sys.argv[1])
ended(run)
"""


def test_a_fault_of_ours_shows_data_as_data() -> None:
    # In a process of its own: one in which threads of ours still run would leave at once.
    done = warm.run([sys.executable, "-c", _FAULT, HOSTILE], capture_output=True, text=True, timeout=600)
    told = done.stderr
    assert done.returncode == 2
    assert "LookupError: x\\x1b[8my" in told
    assert is_safe(told)


def test_logs_show_data_as_data(hostile: Cli) -> None:
    command = [sys.executable, "-m", "slipstream", "-v", "--dir", str(hostile.directory)]
    for call in (["dead-letters", "replay", "--all"], ["verify"], ["search", "friend"]):
        done = warm.run([*command, *call], capture_output=True, check=False, timeout=600)
        assert is_safe(done.stdout.decode())
        assert is_safe(done.stderr.decode())
