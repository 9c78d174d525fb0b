"""Full audits read whole pages of both sides; what happens between the two reads of a page accuses nobody."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite.graph import SqliteGraph
from slipstream.adapters.indexes.sqlite.index import SqliteIndex
from slipstream.adapters.sqlite.connections import Database
from slipstream.app.composition import DATA_FOLDER, Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.audit.below import Below
from slipstream.audit.pacing import SteadyPace
from slipstream.domain.damage import Damage
from slipstream.domain.entities import Hop, StatePage
from slipstream.domain.errors import UnavailableError
from slipstream.domain.held import HeldPage
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.syncview.writeback import WriteBack
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View

ENTITIES = 120
VIEWS = (
    View("Person", "{{ name }}", metadata=("age",)),
    View("KNOWS", "{{ source.name }} knows {{ target.name }}", is_relationship=True),
)
PAGE = SteadyPace(page=30)
BesidePage = Callable[[int], None]


@pytest.fixture
def slipstream(tmp_path: Path) -> Iterator[Slipstream]:
    options = Options(views=VIEWS, embedders=(HashEmbedder(dimension=8),))
    with open_pkg(tmp_path / "pkg", create=True, options=options) as slipstream:
        with slipstream.pkg.transaction() as tx:
            for number in range(ENTITIES):
                tx.create_entity("Person", f"p{number:03}", {"name": f"person {number}", "age": number})
            for number in range(ENTITIES):
                tx.relate(f"p{number:03}", "KNOWS", f"p{(number + 1) % ENTITIES:03}")
        assert slipstream.sync.drain(timeout_s=60)
        yield slipstream


def raw(tmp_path: Path, statement: str) -> None:
    with closing(sqlite3.connect(tmp_path / "pkg" / DATA_FOLDER / "index.db")) as connection, connection:
        connection.execute(statement)


def between(monkeypatch: pytest.MonkeyPatch, happens: BesidePage) -> None:
    """Have something happen between the two reads of each page; it is told the number of the page."""
    states, pages = SqliteGraph.states, 0

    def read(
        self: SqliteGraph,
        after: str,
        through: str | None,
        limit: int,
        hops: Mapping[str, Sequence[Hop]],
        relationship_types: Collection[str] | None = None,
    ) -> StatePage:
        nonlocal pages
        pages += 1
        happens(pages)
        return states(self, after, through, limit, hops, relationship_types)

    monkeypatch.setattr(SqliteGraph, "states", read)


def test_a_page_is_read_by_few_statements_however_many_keys_it_has(
    slipstream: Slipstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    connect = Database.connect

    def note(statement: str) -> None:
        if threading.current_thread() is threading.main_thread():
            said.append(statement)

    def traced(self: Database) -> sqlite3.Connection:
        connection = connect(self)
        connection.set_trace_callback(note)
        return connection

    def statements(page: int) -> int:
        for database in (slipstream.auditor._graph._database, slipstream.auditor._index._inner._database):  # type: ignore[attr-defined]
            with database._readers_lock:
                idle = [*database._readers]
                database._readers.clear()
            for reader in idle:
                reader.close()
        said.clear()
        report = slipstream.auditor.audit(pace=SteadyPace(page=page))
        assert report.is_consistent
        assert (report.rows.graph, report.rows.index) == (2 * ENTITIES, 2 * ENTITIES)
        assert report.rows.queries == 2 * (2 * ENTITIES // page) + 2  # and the end of either side
        return sum(one.lstrip().startswith(("SELECT", "WITH")) for one in said)

    slipstream.sync.stop()
    monkeypatch.setattr(Database, "connect", traced)
    slipstream.auditor.below = Below()
    # Others may put a reader back that nobody traces: the most that was seen is all there are.
    few, many = (max(statements(page) for _ in range(3)) for page in (60, 20))
    pages = 2 * ENTITIES // 20 - 2 * ENTITIES // 60
    assert (many - few) / pages <= 13  # for 20 keys, their vectors and their word rows


def test_a_change_between_the_two_reads_of_a_page_is_judged_rightly(
    slipstream: Slipstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def happens(page: int) -> None:
        place = 10 * page
        slipstream.pkg.update_entity(f"p{place:03}", {"name": f"changed {page}"})  # in this page, or a page before
        slipstream.pkg.delete_entity(f"p{place + 1:03}")
        slipstream.pkg.create_entity("Person", f"p{place:03}x", {"name": f"new {page}"})

    with monkeypatch.context() as patched:
        between(patched, happens)
        report = slipstream.auditor.audit(pace=PAGE)
    assert report.is_consistent, (report.counts(), report.notes)
    assert slipstream.auditor.audit(pace=PAGE).is_consistent


def test_what_another_program_breaks_between_the_two_reads_is_found_by_the_next_audit(
    slipstream: Slipstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def happens(page: int) -> None:
        if page == 1:  # of a page that was read, and of one that is still to be
            raw(tmp_path, "UPDATE records SET fingerprint = 'forged' WHERE key IN ('e:p001', 'e:p100')")

    with monkeypatch.context() as patched:
        between(patched, happens)
        first = slipstream.auditor.audit(pace=PAGE)
    assert [key.id for key in first.divergences["stale"]] == ["p100"]
    assert [key.id for key in slipstream.auditor.audit(pace=PAGE).divergences["stale"]] == ["p001", "p100"]


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("missing", "DELETE FROM records WHERE key BETWEEN 'e:p010' AND 'e:p099'"),
        ("stale", "UPDATE records SET metadata = '{\"age\": 7000}' WHERE key = 'e:p010'"),
        ("stale", "UPDATE records SET needs_reembedding = 1 WHERE key = 'e:p010'"),
        ("outdated", "UPDATE records SET schema_hash = 'another' WHERE key = 'e:p010'"),
        ("corrupt", "UPDATE records SET position = 4611686018427387000 WHERE key = 'e:p010'"),
        ("corrupt", "UPDATE records SET schema_version = 99 WHERE key = 'e:p010'"),
        ("corrupt", "DELETE FROM vectors WHERE record = (SELECT id FROM records WHERE key = 'e:p010')"),
        ("corrupt", "UPDATE vectors SET vector = x'00' WHERE record = (SELECT id FROM records WHERE key = 'e:p010')"),
        ("corrupt", "UPDATE records SET checksum = 'another' WHERE key = 'e:p010'"),
        ("orphaned", "UPDATE records SET key = 'e:nobody' WHERE key = 'e:p010'"),
    ],
)
def test_whatever_differs_in_a_page_is_found(
    slipstream: Slipstream, tmp_path: Path, kind: str, statement: str
) -> None:
    raw(tmp_path, statement)
    for page in (1, 7, 1_000):
        found = slipstream.auditor.audit(pace=SteadyPace(page=page)).divergences[kind]
        assert len(found) == (90 if kind == "missing" else 1), (page, found)
        assert found[0] == entity_key("nobody" if kind == "orphaned" else "p010")


def test_a_second_record_of_a_key_is_found_wherever_a_page_ends(slipstream: Slipstream, tmp_path: Path) -> None:
    raw(tmp_path, "INSERT INTO spaces VALUES (77, 'another', '1', 8, 1)")
    columns = (
        "position, entity_type, fingerprint, checksum, schema_version, schema_hash, created_at, template_version"
    )
    raw(
        tmp_path,
        f"INSERT INTO records (key, space, {columns}, needs_reembedding) "  # noqa: S608
        f"SELECT key, 77, {columns}, 0 FROM records WHERE key = 'e:p010'",
    )
    for page in range(9, 13):
        report = slipstream.auditor.audit(pace=SteadyPace(page=page))
        assert report.counts()["duplicate"] == 1, page


def test_pages_of_the_index_are_read_once(slipstream: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where much of it is missing, and the graph's pages end before the index's."""
    read: list[str] = []
    contents = SqliteIndex.contents

    def noting(self: SqliteIndex, after: str, limit: int) -> HeldPage:
        page = contents(self, after, limit)
        read.extend(content.key for content in page.contents)
        return page

    monkeypatch.setattr(SqliteIndex, "contents", noting)
    slipstream.sync.stop()
    with slipstream.pkg.transaction() as tx:
        for number in range(ENTITIES):
            for place in range(3):
                tx.create_entity("Person", f"p{number:03}-{place}", {"name": "new"})
    report = slipstream.auditor.audit(pace=PAGE)
    assert len(report.divergences["missing"]) == 3 * ENTITIES
    assert read == sorted(set(read))
    assert len(read) == 2 * ENTITIES


class _Check:
    store = "some.db"

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def check(self, *, deep: bool, head: Callable[[], Position]) -> Sequence[Damage]:
        if self._error is not None:
            raise self._error
        return [Damage(self.store, "place", f"deep: {deep}, head: {head()}", "repair")]

    def mend(self, damage: Damage, *, head: Callable[[], Position]) -> bool:
        raise NotImplementedError


def test_what_is_below_is_looked_at_beside_a_hurried_audit_and_before_any_other(slipstream: Slipstream) -> None:
    for hurry, apart in ((True, ["some.db"]), (True, []), (False, ["some.db"])):
        slipstream.auditor.below = Below([_Check()], ["another"], apart)
        report = slipstream.verify(hurry=hurry)
        assert [damage.what for damage in report.damage] == [f"deep: False, head: {report.position}"]
        assert report.looked_below == "cheap"
        assert [note for note in report.notes if "another" in note]
    slipstream.auditor.below = Below([_Check(UnavailableError("it is down"))], apart=["some.db"])
    for hurry in (True, False):
        with pytest.raises(UnavailableError, match="it is down"):
            slipstream.verify(hurry=hurry)


def test_the_sync_view_waits_for_a_hurried_audit_and_for_no_other(
    slipstream: Slipstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing: list[bool] = []
    write_back = slipstream.sync._write_back
    assert isinstance(write_back, WriteBack)
    between(monkeypatch, lambda _: standing.append(bool(write_back._in_a_hurry)))
    assert slipstream.verify(hurry=True).is_consistent
    assert all(standing)
    assert not write_back._in_a_hurry
    standing.clear()
    assert slipstream.verify().is_consistent
    assert not any(standing)
