"""A small PKG with a row in every table, to be tampered with file by file, and what must be true of it afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.kept_codes import KeptCodes
from slipstream.app.composition import DATA_FOLDER, Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import PropertyValue
from slipstream.domain.feed_changes import Place
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.domain.work import DeadLetter, Lane, WorkItem
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View, Words

VIEWS = (
    View(
        "Person",
        "{{ name }} of {{ city }}{% for e in employer %} at {{ e.name }}{% endfor %}",
        {"employer": Via("WORKS_AT")},
        metadata=("city", "age"),
    ),
    View("KNOWS", "{{ source.name }} knows {{ target.name }}", is_relationship=True),
    View("Organization", "{{ name }}", words=Words(stemmer="none")),
)
PERSONS = 8
GRAPH, INDEX = "graph.db", "index.db"


def opened(directory: Path, config: Config | None = None) -> Slipstream:
    """Open the PKG; its engine is stopped."""
    options = Options(views=VIEWS, embedders=(HashEmbedder(dimension=8),))
    directory.mkdir(parents=True, exist_ok=True)
    return open_pkg(directory, run=False, config=config or Config(), options=options)


def settle(slipstream: Slipstream) -> None:
    """Have the engine do what there is to do, and stop it."""
    slipstream.sync.start()
    assert slipstream.sync.drain(timeout_s=60)
    slipstream.sync.stop()


def made(directory: Path, config: Config | None = None) -> Path:
    """Make the PKG, with something in every table; its audits are clean."""
    with opened(directory, config) as slipstream:
        _populate(slipstream)
        settle(slipstream)
        assert slipstream.verify().is_consistent
    if (config or Config()).index.adapter == "sqlite":
        with _raw(directory / DATA_FOLDER / INDEX) as raw:
            raw.execute("UPDATE records SET fingerprint = 'forged' WHERE key = 'e:p1'")
        with opened(directory, config) as slipstream:  # an audit that found something
            report = slipstream.verify()
            assert [key.id for key in report.divergences["stale"]] == ["p1"]
            slipstream.repair(report)
            settle(slipstream)
    with opened(directory, config) as slipstream:
        slipstream.verify()
        report = slipstream.verify(incremental=True)
        assert (report.is_consistent, report.consistency) == (True, 1.0)
        settle(slipstream)
    _leave_things(directory / DATA_FOLDER / INDEX)
    return directory


def _populate(slipstream: Slipstream) -> None:
    with slipstream.pkg.transaction() as tx:
        assert tx.once("applied event")
        place = Place("shop.person/0", 7, 1_700_000_000_000)
        fence = Fence(key="e:p1", order="0017", event_id="of a feed", place=place, unsent=frozenset({"picture"}))
        tx.put_fences({RowName("shop.person", "1"): fence})
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        for number in range(PERSONS):
            known: dict[str, PropertyValue] = {
                "source_document_id": f"paper {number}",
                "extraction_confidence": number / 10,
            }
            shown: dict[str, PropertyValue] = {
                "name": f"person {number}",
                "city": "Bern",
                "age": 20 + number,
                "hidden": "no view shows this",
            }
            tx.create_entity("Person", f"p{number}", shown | known)
            tx.relate(f"p{number}", "WORKS_AT", "acme", {"since": 2000 + number})
        tx.relate("p0", "KNOWS", "p1", {"since": 1999})
        tx.relate("p2", "KNOWS", "p3", {"since": 1999}, discriminator="again")
    slipstream.pkg.create_entity("Person", "gone", {"name": "gone"})
    settle(slipstream)
    slipstream.pkg.delete_entity("gone")
    slipstream.pkg.update_entity("p6", {"nickname": "a property of a third schema version"})
    slipstream.pkg.update_entity("p5", {"name": "renamed person"})
    slipstream.pkg.unrelate("KNOWS:p0:p1")
    slipstream.pkg.relate("p4", "KNOWS", "p5")


def _leave_things(path: Path) -> None:
    """Leave rows in the tables that are empty when all is well; none of them is about a key of the graph."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    store = SqliteStore(path)
    try:
        store.journal.put_work([WorkItem(key=entity_key("nobody"), lane=Lane.BACKFILL, reason="left", attempts=1)])
        store.journal.bury([DeadLetter("event 1", None, "refused", 3, at, payload='{"a line": "was refused"}')])
        store.index.delete([Deletion(entity_key("gone"), Position(20))])
        store.journal.append("a topic", ['{"a": "message"}'])
        store.requests.answer(store.requests.submit("status", "{}", datetime.now(UTC)), '{"result": 1}')
        store.codes = KeptCodes(store._database, changes_min=1)
        while store.codes.step():
            pass
    finally:
        store.close()
    with _raw(path) as raw:  # of an index in a store of its own
        if not raw.execute("SELECT count(*) FROM kept_terms").fetchone()[0]:
            raw.execute("INSERT INTO kept_terms VALUES ('e:nobody', 1, 'Person', zeroblob(16), 1, 1)")
        raw.execute("INSERT OR IGNORE INTO doubted_keys VALUES ('e:nobody')")
    with _raw(path.with_name(GRAPH)) as raw:
        raw.execute("INSERT INTO meta VALUES ('trimmed', '0')")


@contextmanager
def _raw(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def held(directory: Path) -> Mapping[str, object]:
    """Return what the index holds of each record and what of it depends on the graph alone; vectors as bytes."""
    query = """SELECT r.key, r.fingerprint, r.entity_type, r.template_version, r.confidence, r.source_document,
        r.metadata, s.model_id, v.vector FROM records AS r JOIN spaces AS s ON s.id = r.space
        LEFT JOIN vectors AS v ON v.record = r.id"""
    with _raw(directory / DATA_FOLDER / INDEX) as raw:
        rows = raw.execute(query).fetchall()
    assert len({row[0] for row in rows}) == len(rows), "a key is there twice"
    return {row[0]: row[1:] for row in rows}


def sync_states(directory: Path) -> Mapping[str, object]:
    """Return the sync view, but for when each row was verified last."""
    with _raw(directory / DATA_FOLDER / GRAPH) as raw:
        rows = raw.execute(
            "SELECT entity_id, entity_type, state, model_id, schema_version, position, embedded_at FROM sync_state"
        ).fetchall()
    return {row[0]: row[1:] for row in rows}
