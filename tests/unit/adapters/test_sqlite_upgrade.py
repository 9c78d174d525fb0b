"""A store of an older version is upgraded when it is opened: nothing is lost, and all that is new works on it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.schema import SCHEMA_VERSION
from slipstream.adapters.indexes.sqlite.words_schema import WORD_TABLES
from slipstream.domain.digests import KeyRange
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.domain.word_queries import Term
from slipstream.domain.words import WordFields, word_row
from slipstream.domain.work import DeadLetter, Lane, WorkItem
from slipstream.testkit.records import OTHER_SPACE, SPACE, make_record

V1 = Path(__file__).with_name("sqlite_store_v1.sql").read_text(encoding="utf-8")
V8 = Path(__file__).with_name("sqlite_store_v8.sql").read_text(encoding="utf-8")
KEYS = [entity_key(f"n{number:03}") for number in range(300)]
GONE = entity_key("gone")


def _fill(store: SqliteStore) -> None:
    records = [make_record(key.id, position=number + 1) for number, key in enumerate(KEYS)]
    store.index.upsert(records)
    store.index.upsert([make_record("n000", position=400, space=OTHER_SPACE)])
    store.index.delete([Deletion(GONE, Position(7))])
    store.journal.set("checkpoint", "42")
    store.journal.put_work([WorkItem(KEYS[3], Lane.RETRY, Position(4), 2, None, "retry", "down")])
    store.journal.bury([DeadLetter("letter", KEYS[5], "broken", 5, datetime(2026, 1, 1, tzinfo=UTC))])
    store.journal.append("pkg_mutations", ['{"n": 1}'])


def _copy_into_v1(new: Path, old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(V1)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        connection.execute("ATTACH ? AS new", (str(new),))
        for table in tables:
            names = ", ".join(name for _, name, *_ in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} SELECT {names} FROM new.{table}")  # noqa: S608  (our own)
        connection.commit()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    filled = tmp_path / "new.sqlite"
    store = SqliteStore(filled)
    _fill(store)
    store.close()
    _copy_into_v1(filled, tmp_path / "old.sqlite")
    return tmp_path / "old.sqlite"


def _everything(store: SqliteStore) -> tuple[object, ...]:
    vectors = {space: store.index.vectors(KEYS, space) for space in (SPACE, OTHER_SPACE)}
    return (
        store.index.stamps([*KEYS, GONE]),
        {space: {key: vector.tobytes() for key, vector in found.items()} for space, found in vectors.items()},
        store.journal.get("checkpoint"),
        list(store.journal.work(None, 10)),
        list(store.journal.letters(None, 10)),
        list(store.journal.pending("pkg_mutations", 0, 10, datetime.now(UTC))),
    )


def test_nothing_is_lost(old: Path, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "new.sqlite")) as store:
        expected = _everything(store)
    with closing(SqliteStore(old)) as store:
        assert _everything(store) == expected
    with closing(sqlite3.connect(old)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    with closing(SqliteStore(old)) as store:  # once only
        assert _everything(store) == expected


def test_what_is_new_works_on_the_old_rows(old: Path, tmp_path: Path) -> None:
    everything = [KeyRange("", None)]
    with closing(SqliteStore(tmp_path / "new.sqlite")) as store:
        (expected,) = store.index.digests(everything)
    with closing(SqliteStore(old)) as store:
        (before,) = store.index.digests(everything)
        assert before == expected
        with closing(sqlite3.connect(old)) as raw, raw:
            raw.execute("UPDATE records SET fingerprint = 'forged' WHERE key = 'e:n007'")
        (after,) = store.index.digests(everything)
        assert after != before, "the triggers of version 2 notice raw writes"
        assert store.audits.keep({"kind": "full"}, []) == 1


def test_a_record_of_an_older_store_keeps_its_confidence_and_has_none_of_its_embedding(tmp_path: Path) -> None:
    path, record = tmp_path / "store.sqlite", make_record("ada", extraction_confidence=0.4, embedded_confidence=0.3)
    with closing(SqliteStore(path)) as store:
        store.index.upsert([record])
        before = store.index.digests([KeyRange("", None)])
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("ALTER TABLE records DROP COLUMN embedded_confidence")
        raw.execute("ALTER TABLE findings DROP COLUMN type")
        raw.execute("ALTER TABLE named_values DROP COLUMN checksum")
        for table in ("lease", "requests", "kept_terms", "doubted_keys", "codes", "coded", *reversed(WORD_TABLES)):
            raw.execute(f"DROP TABLE {table}")
        raw.execute("PRAGMA user_version = 3")
    with closing(SqliteStore(path)) as store:
        (stamp,) = store.index.stamps([record.stamp.key])[record.stamp.key].records
        assert (stamp.extraction_confidence, stamp.embedded_confidence) == (0.4, None)
        assert store.index.digests([KeyRange("", None)]) == before
        store.index.restamp([stamp._replace(embedded_confidence=0.4, extraction_confidence=0.45)])
    with closing(SqliteStore(path)) as store:
        (stamp,) = store.index.stamps([record.stamp.key])[record.stamp.key].records
        assert (stamp.extraction_confidence, stamp.embedded_confidence) == (0.45, 0.4)


def test_an_older_store_gets_a_lease_and_requests(old: Path) -> None:
    with closing(SqliteStore(old, shared=True)) as store:
        assert store.lease.acquire(0)
        assert store.lease.epoch == 1
        asked = store.requests.submit("verify", "{}", datetime(2026, 1, 1, tzinfo=UTC))
        assert [request.id for request in store.requests.waiting(0, 10)] == [asked]


def test_a_store_of_version_8_gets_a_word_index(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(V8)
        assert raw.execute("PRAGMA user_version").fetchone() == (8,)
        before = raw.execute("SELECT * FROM records").fetchall()
    fields = WordFields("Person", "ada", "Ada Lovelace", aliases=("Countess",), body="She wrote programs")
    row = word_row(entity_key("ada"), Position(500), fields)
    with closing(SqliteStore(path)) as store:
        assert store.selfcheck.check(deep=True, head=lambda: Position(500)) == []
        assert (store.words.count(), store.journal.get("checkpoint"), len(store.index.scan(None, 100))) == (
            0,
            "42",
            7,
        )
        assert not store.words.put([row])
    with closing(SqliteStore(path)) as store:
        assert store.words.rows([row.key]) == {row.key: row}
        assert [hit.key for hit in store.words.match(Term("program"), None, 5)] == [row.key]
        assert store.selfcheck.check(deep=True, head=lambda: Position(500)) == []
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert raw.execute("SELECT * FROM records").fetchall() == before


def test_a_newer_store_is_refused(old: Path) -> None:
    with closing(sqlite3.connect(old)) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(ConfigError, match="newer Slipstream"):
        SqliteStore(old)
