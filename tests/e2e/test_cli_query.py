"""`slipstream query`: Cypher and SQL, as people and scripts ask; what stands in a value never steers a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipstream.cli.app import app
from tests import warm

HOSTILE = "red\x1b[31m\x07bell\x9bcsi\r\nnext\u202eback\u2028end\x7f"
NODES: list[dict[str, Any]] = [
    {"id": "ada", "name": "Ada [bold]Lovelace[/bold]", "born": 1815},
    {"id": "grace", "name": "Grace Hopper", "born": 1906, "tags": ["COBOL", "navy"]},
    {"id": "mallory", "name": HOSTILE},
]


class Cli:
    """Asks in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        result = CliRunner().invoke(app, ["--dir", str(self.directory), *arguments], env={"COLUMNS": "200"})
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return result.stdout, result.stderr

    def rows(self, *arguments: str) -> Any:
        return json.loads(self.run("query", *arguments, "--json")[0])

    def refused(self, *arguments: str) -> dict[str, Any]:
        """Return what JSON says of an error; a person reads the same on stderr."""
        out, err = self.run("query", *arguments, "--json", code=2)
        found: dict[str, Any] = json.loads(out)
        assert err.startswith(f"{found['error']}: ")
        return found


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    directory = tmp_path_factory.mktemp("query")
    dump = directory / "graph.jsonl"
    lines = [{"type": "node", "id": node["id"], "labels": ["Person"], "properties": node} for node in NODES]
    related = {
        "type": "relationship", "id": "r1", "label": "KNOWS", "properties": {"since": 1950},
        "start": {"id": "grace", "labels": ["Person"]}, "end": {"id": "ada", "labels": ["Person"]},
    }  # fmt: skip
    dump.write_text("".join(json.dumps(line) + "\n" for line in [*lines, related]))
    cli = Cli(directory / "pkg")
    cli.run("init")
    cli.run("import", str(dump))
    return cli


def test_sql_reads_the_tables_of_the_graph(cli: Cli) -> None:
    assert cli.rows("--sql", "SELECT id, type FROM entity ORDER BY id") == [
        {"id": node["id"], "type": "Person"} for node in NODES
    ]
    assert cli.rows("--sql", "SELECT source, type, target FROM relationship") == [
        {"source": "grace", "type": "KNOWS", "target": "ada"}
    ]
    (born,) = cli.rows(
        "--sql", "SELECT properties ->> 'born' AS born FROM entity WHERE id = :id", "--param", 'id="ada"'
    )
    assert born == {"born": 1815}
    assert cli.rows("--sql", "SELECT count(*) AS n FROM change WHERE kind = '+e'") == [{"n": 3}]
    assert cli.rows("--sql", "SELECT id FROM entity WHERE 0") == []


def test_parameters_are_json_and_a_bare_word_is_a_text(cli: Cli) -> None:
    given = ["--param", "a=1", "--param", "b=2.5", "--param", "c=word", "--param", "d=null", "--param", 'e="7"']
    statement = "SELECT :a AS a, :b AS b, :c AS c, :d AS d, :e AS e"
    assert cli.rows("--sql", statement, *given) == [{"a": 1, "b": 2.5, "c": "word", "d": None, "e": "7"}]


def test_people_read_a_table(cli: Cli) -> None:
    out, _ = cli.run("query", "--sql", "SELECT id, properties ->> 'name' AS name FROM entity ORDER BY id")
    assert "Ada [bold]Lovelace[/bold]" in out
    assert [word for word in ("id", "name", "grace", "Grace Hopper") if word not in out] == []
    assert "no rows" in cli.run("query", "--sql", "SELECT id FROM entity WHERE 0")[0]


def _is_harmless(text: str) -> bool:
    return not any(
        (ord(character) < 32 and character != "\n") or 127 <= ord(character) < 160 or character in "\u202e\u2028"
        for character in text
    )


def test_no_control_character_of_a_value_reaches_the_terminal(cli: Cli) -> None:
    out, _ = cli.run("query", "--sql", "SELECT properties ->> 'name' AS name FROM entity WHERE id = 'mallory'")
    assert _is_harmless(out)
    assert r"red\x1b[31m\x07bell\x9bcsi\r\nnext\u202eback\u2028end\x7f" in out
    (row,) = cli.rows("--sql", "SELECT properties ->> 'name' AS name FROM entity WHERE id = 'mallory'")
    assert row == {"name": HOSTILE}
    out, _ = cli.run("query", "--sql", 'SELECT 1 AS "na\x1b[31mme\n"')
    assert _is_harmless(out)
    _, err = cli.run("query", "--sql", 'SELECT "\x1b[31m" FROM nothing_\x1b', code=2)
    assert _is_harmless(err)
    out, _ = cli.run("query", "--sql", "SELECT x'00ff' AS bytes, json_array(char(27)) AS list, 9e999 AS much")
    assert _is_harmless(out)


def test_json_stays_json(cli: Cli) -> None:
    assert cli.rows("--sql", "SELECT 9e999 AS much, -9e999 AS little, x'00ff' AS bytes") == [
        {"much": None, "little": None, "bytes": "00ff"}
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entity", "INSERT INTO entity(id, type) VALUES ('x', 'Person')", "UPDATE entity SET id = 'x'",
        "DROP TABLE entity", "CREATE TABLE x(y)", "PRAGMA user_version = 7", "PRAGMA journal_mode",
        "ATTACH DATABASE ':memory:' AS other", "VACUUM INTO '/tmp/copy.db'", "BEGIN", "REINDEX", "ANALYZE",
        "SELECT 1; DELETE FROM entity", "WITH x AS (SELECT 1) DELETE FROM entity", "SELECT load_extension('x')",
        "nonsense", "SELECT * FROM nothing", "", "   ", "-- only a remark",
        "SELECT :missing", "SELECT id, id FROM entity", "CREATE TEMP TABLE x(y)", "CREATE VIEW x AS SELECT 1",
        "SELECT CAST(x'ff' AS TEXT)", "SELECT '\udcff'",
    ],
)  # fmt: skip
def test_sql_that_is_wrong_or_would_do_more_is_refused(cli: Cli, statement: str) -> None:
    before = cli.rows("--sql", "SELECT count(*) AS n FROM entity")
    found = cli.refused("--sql", statement)
    assert (found["error"], found["field"]) == ("InvalidInputError", "sql")
    assert found["message"].startswith("sql: ")
    assert cli.rows("--sql", "SELECT count(*) AS n FROM entity") == before


def test_sql_is_bounded(cli: Cli) -> None:
    config = cli.directory / "slipstream.toml"
    kept = config.read_text()
    config.write_text(kept.replace("rows_max = 100000", "rows_max = 2").replace("timeout_s = 30", "timeout_s = 0.2"))
    try:
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n"
        assert cli.refused("--sql", many)["error"] == "QueryLimitError"
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n"
        huge = "SELECT randomblob(1000000000) AS b"
        assert cli.refused("--sql", huge)["error"] == "QueryLimitError"
        found = cli.refused("--sql", endless)
        assert (found["error"], "0.2 s" in found["message"]) == ("QueryLimitError", True)
    finally:
        config.write_text(kept)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ([], "cypher"),
        (["RETURN 1", "--sql", "SELECT 1"], "cypher"),
        (["--sql", "SELECT 1", "--write"], "sql"),
        (["--sql", "SELECT 1", "--param", "no-equals"], "param"),
        (["--sql", "SELECT 1", "--param", "1x=2"], "param"),
        (["--sql", "SELECT :a", "--param", "a=1", "--param", "a=2"], "param"),
    ],
)
def test_what_is_asked_wrongly_is_named(cli: Cli, arguments: list[str], field: str) -> None:
    assert cli.refused(*arguments)["field"] == field


def test_a_script_gets_exit_codes_and_one_document(cli: Cli) -> None:
    def slipstream(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "query", *arguments]
        return warm.run(command, capture_output=True, text=True, check=False, timeout=600)

    right, wrong = slipstream("--sql", "SELECT 1 AS one", "--json"), slipstream("--sql", "DELETE FROM entity")
    assert (right.returncode, json.loads(right.stdout), right.stderr) == (0, [{"one": 1}], "")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("InvalidInputError: sql: ")


# ---------------------------------------------------------------------- Cypher


def test_cypher_reads_the_graph(cli: Cli) -> None:
    statement = "MATCH (p:Person) WHERE p.born > $year RETURN p.name AS name ORDER BY name"
    assert cli.rows(statement, "--param", "year=1850") == [{"name": "Grace Hopper"}]
    assert cli.rows("MATCH (a)-[r:KNOWS]->(b) RETURN a.id AS a, r.since AS since, b.id AS b") == [
        {"a": "grace", "since": 1950, "b": "ada"}
    ]
    assert "no rows" in cli.run("query", "MATCH (p:Nobody) RETURN p.name AS name")[0]


def test_cypher_values_are_shown_and_not_obeyed(cli: Cli) -> None:
    out, _ = cli.run("query", "MATCH (p:Person {id: 'mallory'}) RETURN p.name AS name, [p.name] AS names")
    assert _is_harmless(out)
    assert cli.rows("MATCH (p:Person {id: 'mallory'}) RETURN p.name AS name") == [{"name": HOSTILE}]


@pytest.mark.parametrize("statement", ["MATCH (p:Person) SET p.name = 'x'", "CREATE (:Person {id: 'x'})", "nonsense"])
def test_cypher_that_would_write_or_is_wrong_is_refused(cli: Cli, statement: str) -> None:
    found = cli.refused(statement)
    assert (found["error"], found["field"]) == ("InvalidInputError", "cypher")


def test_cypher_writes_only_when_it_is_told_to(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    (row,) = cli.rows("CREATE (:Person {id: 'ada', name: 'Ada'})", "--write")
    assert row["position"] > 0
    assert cli.rows("--sql", "SELECT id, type FROM entity") == [{"id": "ada", "type": "Person"}]
    assert cli.rows("MATCH (p:Person) RETURN p.name AS name") == [{"name": "Ada"}]
