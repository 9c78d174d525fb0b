"""
What is tampered with below the tables: entries of indexes, triggers, indexes, whole rows, pages.

An entry is taken from an index through an "imposter" table: one more row of the schema that names the index's own
b-tree, for the time of one statement. That is what a lost write of a page does, without the chance.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.app.composition import DATA_FOLDER
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.audit.findings import AuditReport
from slipstream.domain.errors import CorruptionError, SlipstreamError
from tests.integration.tamper_cases import tables_of, untriggered
from tests.integration.tamper_world import GRAPH, INDEX, held, made, opened, settle, sync_states
from tests.integration.test_tamper_columns import is_divergent

_ROUNDS_MAX = 3
PARTIAL = {"entity_no_blob_io", "requests_waiting"}
"""Which hold no entry while all is well: there is none to lose."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tamper") / "pkg")


@pytest.fixture
def directory(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "pkg")


def entries(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield each index that is a b-tree of its own: its table, its name, and how many columns its entries have."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for table, is_keyed in tables:
            for name, origin in connection.execute("SELECT name, origin FROM pragma_index_list(?)", (table,)):
                if not (is_keyed and origin == "pk"):
                    (width,) = connection.execute("SELECT count(*) FROM pragma_index_xinfo(?)", (name,)).fetchone()
                    yield table, name, width


def lose_entry(path: Path, index: str, width: int, first: str | None = None, second: str | None = None) -> None:
    """Take one entry out of an index: the first one, or that of a first or second column."""
    columns = ", ".join(f"c{number}" for number in range(width))
    named = f"c0 = '{first}'" if first else f"c1 = '{second}'" if second else ""
    where = named or f"({columns}) IS (SELECT {columns} FROM imposter LIMIT 1)"  # noqa: S608
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
        connection.execute("PRAGMA writable_schema = ON")
        statement = f"CREATE TABLE imposter({columns}, PRIMARY KEY({columns})) WITHOUT ROWID"
        row = ("table", "imposter", "imposter", root, statement)
        connection.execute(
            "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)", row
        )
        _reload(connection)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(f"DELETE FROM imposter WHERE {where}").rowcount == 1  # noqa: S608
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'imposter'")
        _reload(connection)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() != ("ok",)
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",), "which is why this is not asked"


def _reload(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute(f"PRAGMA schema_version = {version + 1}")


def places(report: AuditReport) -> set[tuple[str, str]]:
    return {(damage.store, damage.place) for damage in report.damage}


def mended(slipstream: Slipstream, report: AuditReport) -> AuditReport:
    """Repair until nothing is left that can be: what only a deep audit sees comes behind what any sees."""
    for _ in range(_ROUNDS_MAX):
        slipstream.repair(report)
        settle(slipstream)
        report = slipstream.verify(deep=DEEP_ALL)
        if not (is_divergent(report) or any(damage.is_mendable for damage in report.damage)):
            break
    return report


# ---------------------------------------------------------------------- indexes


@pytest.mark.parametrize("file", [GRAPH, INDEX])
def test_an_entry_lost_from_any_index_is_found_by_a_full_audit_and_mended(
    template: Path, tmp_path: Path, file: str
) -> None:
    wanted = held(template)
    for number, (_, index, width) in enumerate(entries(template / DATA_FOLDER / file)):
        if index in PARTIAL:
            continue
        directory = shutil.copytree(template, tmp_path / str(number))
        lose_entry(directory / DATA_FOLDER / file, index, width)
        with opened(directory) as slipstream:
            report = slipstream.verify()
            assert (file, f"index {index}") in places(report)
            assert not report.is_consistent
            after = mended(slipstream, report)
            assert (after.damage, after.verdict, after.consistency) == ([], "consistent", 1.0), index
        assert held(directory) == wanted, index
        shutil.rmtree(directory)


@pytest.mark.parametrize("file", [GRAPH, INDEX])
def test_a_partial_index_is_looked_at_by_a_deep_audit(directory: Path, file: str) -> None:
    with closing(sqlite3.connect(directory / DATA_FOLDER / file)) as connection:
        found = {
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE sql LIKE '% WHERE %' AND type = 'index'"
            )
        }
    assert found <= PARTIAL
    if file == INDEX:
        path = directory / DATA_FOLDER / INDEX
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE requests SET answer = NULL")
        lose_entry(path, "requests_waiting", 1)
        with opened(directory) as slipstream:
            assert slipstream.verify().is_consistent
            report = slipstream.verify(deep=DEEP_ALL)
            assert places(report) == {(INDEX, "index requests_waiting")}
            assert mended(slipstream, report).is_consistent


def test_a_key_that_is_there_twice_behind_a_lost_entry_is_a_duplicate_and_is_mended(directory: Path) -> None:
    """What the issue tells of: the row is not found, so it is written again, and searches find both."""
    path, wanted = directory / DATA_FOLDER / INDEX, held(directory)
    lose_entry(path, "sqlite_autoindex_records_1", 3, first="e:p3")
    with opened(directory) as slipstream:
        slipstream.pkg.update_entity("p3", {"hidden": "so that its record is looked at"})
        slipstream.sync.mark(list(slipstream.verify().divergences["missing"]), reason="as the engine does")
        settle(slipstream)
        hits = [hit.entity_id for hit in slipstream.search("person 3 of Bern at Acme", k=20)]
        assert hits.count("p3") == 1, "a search shows it once"
        report = slipstream.verify()
        assert [key.id for key in report.divergences["duplicate"]] == ["p3"]
        assert report.consistency is not None
        assert report.consistency < 1.0
        assert slipstream.verify(incremental=True).damage == report.damage, "it stands until it is gone"
        after = mended(slipstream, report)
        assert (after.damage, after.verdict) == ([], "consistent")
        assert [hit.entity_id for hit in slipstream.search("person 3 of Bern at Acme", k=20)].count("p3") == 1
    assert held(directory) == wanted


def test_an_entity_that_no_read_finds_loses_no_vector(directory: Path) -> None:
    path, wanted = directory / DATA_FOLDER / GRAPH, held(directory)
    lose_entry(path, "sqlite_autoindex_entity_1", 2, first="p3")
    with opened(directory) as slipstream:
        report = slipstream.verify()
        assert [key.id for key in report.divergences["orphaned"]] == ["p3", "KNOWS:p2:p3:again"], "so it looks"
        slipstream.repair(report)
        settle(slipstream)
        assert slipstream.verify(deep=DEEP_ALL).is_consistent
    assert held(directory) == wanted


# ---------------------------------------------------------------------- triggers, indexes and tables


@pytest.mark.parametrize("file", [GRAPH, INDEX])
@pytest.mark.parametrize("kind", ["trigger", "index"])
def test_what_is_dropped_while_the_file_is_open_is_told_and_put_back(directory: Path, file: str, kind: str) -> None:
    path = directory / DATA_FOLDER / file
    with opened(directory) as slipstream, closing(sqlite3.connect(path, isolation_level=None)) as raw:
        query = "SELECT name, sql FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL"
        before = dict(raw.execute(query, (kind,)).fetchall())
        assert len(before) > 3
        for name in before:
            raw.execute(f"DROP {kind} {name}")
        report = slipstream.verify()
        (damage,) = [damage for damage in report.damage if damage.place == "schema"]
        assert (damage.store, damage.is_mendable) == (file, True)
        assert all(name in damage.what for name in before)
        assert mended(slipstream, report).is_consistent
        assert dict(raw.execute(query, (kind,)).fetchall()) == before


def test_a_table_that_is_gone_is_told_by_name(directory: Path) -> None:
    with opened(directory) as slipstream, closing(sqlite3.connect(directory / DATA_FOLDER / INDEX)) as raw, raw:
        raw.execute("DROP TABLE letters")
        raw.commit()
        report = slipstream.verify()
        (damage,) = report.damage
        assert (damage.store, damage.place, damage.is_mendable, damage.hides_rows) == (INDEX, "file", False, True)
        assert "the table letters is gone" in damage.what
        with pytest.raises(CorruptionError, match=r"nothing is repaired.*letters"):
            slipstream.repair(report)


# ---------------------------------------------------------------------- rows


def _first_row_gone(connection: sqlite3.Connection, table: str) -> None:
    (is_keyed,) = connection.execute("SELECT wr FROM pragma_table_list WHERE name = ?", (table,)).fetchone()
    names = "rowid"
    if is_keyed:
        found = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
        names = ", ".join(name for (name,) in found)
    where = f"({names}) IN (SELECT {names} FROM {table} ORDER BY {names} LIMIT 1)"  # noqa: S608
    assert connection.execute(f"DELETE FROM {table} WHERE {where}").rowcount == 1  # noqa: S608


NOT_MISSED = {
    "meta": "its first row is the graph's number: it is given another one",
    "consumer": "the engine writes its own row at its next commit",
    "once": "an event that comes once more is applied once more",
    "fence": "how far a feed has come with one row: its next message is applied, whatever its order",
    "tombstones": "a fence against writes that were under way when it was made",
    "changes": "a sequence that begins later: what searches in open processes have followed already",
    "named_values": "its first row is where the digest tree is: the next audit is a full one",
    "work": "what a key is to be brought to, both sides say: a full audit finds it",
    "letters": "a dead letter that was discarded looks the same; its key is divergent still",
    "messages": "a message that was delivered looks the same",
    "leaves": "the digest tree only says where to look",
    "audits": "an audit that was forgotten looks the same",
    "findings": "evidence of a past audit: its number of findings is in its report",
    "requests": "whoever asked asks again",
    "kept_terms": "digests only say where to look",
    "doubted_keys": "digests only say where to look; a full audit looks at every key",
    "lost_words": "an erasure looks at it beside the words of whom it erases",
    "sync_state": "the sync view is derived: it is written anew",
    "coded": "what is known of the codes: without it they are made anew from the vectors",
    "codes": "vectors in brief, to begin a search with: what is not whole is made anew from them",
}
"""Tables whose first row nobody misses when it is gone, and why that is harmless."""


@pytest.mark.parametrize("file", [GRAPH, INDEX])
def test_a_row_that_is_gone_is_found_or_not_missed(template: Path, tmp_path: Path, file: str) -> None:
    wanted, states = held(template), sync_states(template)
    not_missed: set[str] = set()
    refused: dict[str, str] = {}
    with closing(sqlite3.connect(template / DATA_FOLDER / file)) as connection:
        tables = [name for name in tables_of(connection) if name != "sqlite_sequence"]
    for table in tables:
        directory = shutil.copytree(template, tmp_path / table)
        with untriggered(directory / DATA_FOLDER / file) as connection:
            _first_row_gone(connection, table)
        try:
            with opened(directory) as slipstream:
                report = slipstream.verify()
                if report.is_consistent:
                    report = slipstream.verify(deep=DEEP_ALL)
                if report.is_consistent:
                    not_missed.add(table)
                else:
                    settled = mended(slipstream, report)
                    assert all(not damage.is_mendable for damage in settled.damage), table
                settle(slipstream)
        except SlipstreamError as error:
            refused[table] = str(error)
            continue
        if table not in ("entity", "relationship"):  # the index follows the graph
            assert held(directory) == wanted, table
            assert sync_states(directory).keys() == states.keys(), table
    assert not_missed == NOT_MISSED.keys() & set(tables)
    assert all("restore a backup" in words or "delete" in words for words in refused.values())
    assert refused.keys() == {"schema_version", "lease"} & set(tables)


def test_a_record_that_is_there_twice_in_another_space_or_under_another_key_is_found(directory: Path) -> None:
    wanted = held(directory)
    with untriggered(directory / DATA_FOLDER / INDEX) as connection:
        names = "model_id, model_version, dimension"
        connection.execute(f"INSERT INTO spaces ({names}, generation) SELECT {names}, 99 FROM spaces")  # noqa: S608
        columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info('records')")]
        kept = ", ".join(name for name in columns if name not in ("id", "space"))
        connection.execute(
            f"INSERT INTO records (space, {kept}) SELECT (SELECT max(id) FROM spaces), {kept} "  # noqa: S608
            "FROM records WHERE key = 'e:p1'"
        )
    with opened(directory) as slipstream:
        report = slipstream.verify()
        assert [key.id for key in report.divergences["duplicate"]] == ["p1"]
        assert mended(slipstream, report).is_consistent
    assert held(directory) == wanted


# ---------------------------------------------------------------------- pages


@pytest.mark.parametrize("file", [GRAPH, INDEX])
def test_a_page_that_is_overwritten_is_told_by_name(directory: Path, file: str) -> None:
    path = directory / DATA_FOLDER / file
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", ("once" if file == GRAPH else "messages",)
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : root * size] = b"\xa5" * size
    path.write_bytes(content)
    with opened(directory) as slipstream:
        report = slipstream.verify(deep=DEEP_ALL)
        (damage,) = [damage for damage in report.damage if damage.store == file]
        assert damage.place in ("pages", "file")
        assert damage.hides_rows
        assert ("restore a backup" if file == GRAPH else "delete the file") in damage.told
        with pytest.raises(CorruptionError, match="nothing is repaired"):
            slipstream.repair(report)
