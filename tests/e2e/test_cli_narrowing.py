"""`search` narrowed by metadata, type and time, and `query` as CSV: nothing is left out silently."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

import slipstream
from slipstream.cli import since
from tests.e2e.everyday import Cli, made

MANY = 30


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    cli = made(tmp_path_factory.mktemp("narrowing") / "pkg")
    with slipstream.open(cli.directory) as slip:
        with slip.pkg.transaction() as tx:
            for number in range(MANY):
                tx.create_entity(
                    "Person", f"p{number:02}", {"name": f"Person {number}", "age": number, "city": "Ulm"}
                )
        assert slip.sync.drain(60)
    return cli


@contextmanager
def aged(cli: Cli, but: str) -> Iterator[None]:
    """Let all changes be of last year, but those that a condition names."""
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db")) as raw:
        kept = raw.execute("SELECT position, at FROM change").fetchall()
        with raw:
            raw.execute(f"UPDATE change SET at = at - 31536000000 WHERE NOT ({but})")  # noqa: S608  (our own text)
        try:
            yield
        finally:
            with raw:
                raw.executemany("UPDATE change SET at = ?2 WHERE position = ?1", kept)


def _ids(cli: Cli, *words: str) -> list[str]:
    return [hit["entity_id"] for hit in cli.json("search", "person", *words)]


def test_metadata_narrows_before_the_best_are_chosen(cli: Cli) -> None:
    assert _ids(cli, "--metadata", "city=London", "-k", "1") == ["ada"]
    assert _ids(cli, "--metadata", "age=7") == ["p07"]
    assert _ids(cli, "--metadata", 'age="7"') == [], "a text is no number"
    assert len(_ids(cli, "--metadata", "city=Ulm", "-k", "25")) == 25
    assert _ids(cli, "--metadata", "city=Ulm", "--metadata", "age=3", "--type", "Person") == ["p03"]


def test_a_name_that_no_view_keeps_is_told(cli: Cli) -> None:
    _, err = cli.run("search", "x", "--metadata", "citty=London")
    assert "no record is kept with 'citty'; did you mean 'city'?" in err
    assert "metadata: 'city' is not NAME=VALUE" in cli.refused("search", "x", "--metadata", "city")


def test_only_what_has_changed_since_is_found_and_as_much_as_was_asked_for(cli: Cli) -> None:
    with aged(cli, but="id IN ('p05', 'p17', 'p29')"):
        assert sorted(_ids(cli, "--changed-since", "1d", "-k", "3")) == ["p05", "p17", "p29"]
        assert len(_ids(cli, "--changed-since", "1d", "-k", "2")) == 2
        assert sorted(_ids(cli, "--changed-since", "1d", "-k", "10")) == ["p05", "p17", "p29"]
        assert _ids(cli, "--changed-since", "1d", "--metadata", "age=5") == ["p05"]
        assert len(_ids(cli, "--changed-since", "60w", "-k", "33")) == 33, "all of them"
    assert "changed_since: must look like 90s" in cli.refused("search", "x", "--changed-since", "soon")
    assert "k: must be 1 to 1,000, not 0" in cli.refused("search", "x", "--changed-since", "1d", "-k", "0")


def test_what_was_only_compared_has_not_changed(cli: Cli) -> None:
    moment = datetime.now(UTC).isoformat()
    cli.run("set", "p05", "name=Person five")
    cli.run("reembed", "--type", "Person")
    cli.run("verify")
    assert _ids(cli, "--changed-since", moment) == ["p05"]


def test_a_relationship_that_has_changed_since_is_found(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    view = '[relationship_views.KNOWS]\ntemplate = "{{ source.id }} knows {{ target.id }}, {{ how }}"\n'
    (cli.directory / "slipstream.toml").write_text(f'[models]\ndefault = "wordllama-l2"\n{view}')
    cli.run("add", "Person", "ada", "--no-sync")
    cli.run("add", "Person", "bob:1", "--no-sync")
    for key in ("", "work", "100%"):
        cli.run("relate", "ada", "KNOWS", "bob:1", "how=well", "--key", key, "--no-sync")
    every = ["KNOWS:ada:bob%3A1", "KNOWS:ada:bob%3A1:100%25", "KNOWS:ada:bob%3A1:work"]
    assert sorted(_ids(cli, "--changed-since", "1d", "--type", "KNOWS")) == every
    with aged(cli, but="key = '100%'"):
        assert _ids(cli, "--changed-since", "1d", "--type", "KNOWS") == every[1:2]
        assert sorted(_ids(cli, "--changed-since", "60w", "--type", "KNOWS")) == every


def test_a_search_that_can_not_look_through_all_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(since, "K_MAX", 5)
    with aged(cli, but="id = 'p05'"):
        out, err = cli.run("search", "Ada", "--changed-since", "1d", "-k", "2", "--json")
    assert "only the 5 nearest records were looked through" in err
    assert out.startswith("[")


def test_a_time_before_the_log_is_refused(tmp_path: Path) -> None:
    cli = made(tmp_path / "pkg")
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db")) as raw, raw:
        raw.execute("DELETE FROM change WHERE position < (SELECT max(position) FROM change)")
        raw.execute("REPLACE INTO meta SELECT 'trimmed', CAST(min(position) - 1 AS TEXT) FROM change")
    assert "is before the log begins" in cli.refused("search", "x", "--changed-since", "1d")
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db")) as raw, raw:
        raw.execute("UPDATE change SET at = 0")
        raw.execute("INSERT INTO change(kind) VALUES ('*')")
    assert "does not tell all that has changed" in cli.run("search", "x", "--changed-since", "1d")[1]


# ---------------------------------------------------------------------- query as CSV


def test_rows_are_told_as_csv(cli: Cli) -> None:
    sql = "SELECT id, properties ->> 'age' AS age, '' AS empty, properties ->> 'x' AS absent FROM entity LIMIT 2"
    out, _ = cli.run("query", "--sql", sql, "--format", "csv")
    assert out == '"id","age","empty","absent"\n"ada",36,"",\n"grace",,"",\n'
    assert cli.run("query", "--sql", sql, "--format", "json") == cli.run("query", "--sql", sql, "--json")
    assert cli.run("query", "--sql", "SELECT 1 WHERE 0", "--format", "csv")[0] == ""
    assert "format: must be table, csv, json, not 'xml'" in cli.refused("query", "--sql", sql, "--format", "xml")
    cypher = "MATCH (p:Person {id: 'ada'}) RETURN p.name AS name, p.age AS age"
    assert cli.run("query", cypher, "--format", "csv")[0] == '"name","age"\n"Ada",36\n'


# ---------------------------------------------------------------------- without a command


def test_without_a_command_it_says_how_the_pkg_stands_and_what_is_next(cli: Cli, tmp_path: Path) -> None:
    out, _ = cli.run()
    first, *rest = out.splitlines()
    assert first.startswith(f"{cli.directory}: 33 entities, 2 relationships; the index is in step")
    assert any(line.startswith(f"  slipstream --dir {cli.directory} search") for line in rest)
    other = Cli(tmp_path / "a\x1b[31m b")
    out, _ = other.run()
    assert "There is no PKG in" in out
    assert "\x1b" not in out
    assert f"slipstream --dir '{tmp_path}/a" in out
    assert not other.directory.exists()
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "graph.db")) as raw, raw:
        raw.execute("INSERT INTO entity(id, type) VALUES ('new', 'Person')")
    assert "the index is 1 changes behind" in cli.run()[0]
    (cli.directory / ".slipstream" / "graph.db").write_bytes(b"broken" * 1_000)
    assert "see `slipstream doctor`" in cli.run()[0]
