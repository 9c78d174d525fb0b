"""Real indexes are damaged behind the engine's back, by raw clients; every audit finds it, one repair mends it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipstream.adapters.indexes.chroma.codec import collection_name
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.audit.findings import AuditReport
from slipstream.domain.entities import Direction
from slipstream.domain.models import Space
from slipstream.domain.stamps import vector_checksum
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View

DIMENSION = 16
SPACE = Space.of(HashEmbedder(dimension=DIMENSION).spec)
FOREIGN = Space("foreign-model", "1", DIMENSION)
PEOPLE = 40
VIEWS = (
    View(
        type="Person",
        template="{{ name }} at {% for o in employer %}{{ o.name }} {% endfor %}",
        via={"employer": Via("WORKS_AT", Direction.OUT, ("name",))},
        metadata=("city",),
    ),
)


class Raw(ABC):
    """A client of the store that knows nothing of Slipstream."""

    adapter: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pkg: Slipstream | None = None

    @abstractmethod
    def delete(self, key: str) -> None: ...
    @abstractmethod
    def copy(self, key: str, to: str, space: Space = SPACE) -> None: ...
    @abstractmethod
    def edit(self, key: str, **fields: Any) -> None: ...
    @abstractmethod
    def vector(self, key: str) -> Any: ...
    @abstractmethod
    def set_vector(self, key: str, vector: Any) -> None: ...
    @abstractmethod
    def junk(self) -> None: ...


class RawSqlite(Raw):
    adapter = "sqlite"

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.directory / ".slipstream" / "index.db")) as connection, connection:
            yield connection

    def delete(self, key: str) -> None:
        with self.raw() as raw:
            assert raw.execute("DELETE FROM records WHERE key = ?", (key,)).rowcount == 1

    def copy(self, key: str, to: str, space: Space = SPACE) -> None:
        with self.raw() as raw:
            raw.execute(
                "INSERT OR IGNORE INTO spaces (model_id, model_version, dimension, generation) VALUES (?, ?, ?, ?)",
                (space.model_id, space.model_version, space.dimension, space.generation),
            )
            (number,) = raw.execute("SELECT id FROM spaces WHERE model_id = ?", (space.model_id,)).fetchone()
            columns = [row[1] for row in raw.execute("PRAGMA table_info(records)")]
            kept = ", ".join(name for name in columns if name not in ("id", "key", "space"))
            copied = raw.execute(
                f"INSERT INTO records (key, space, {kept}) SELECT ?, ?, {kept} FROM records WHERE key = ?",  # noqa: S608
                (to, number, key),
            ).lastrowid
            raw.execute(
                "INSERT INTO vectors SELECT ?, vector FROM vectors WHERE record = "
                "(SELECT min(id) FROM records WHERE key = ?)",
                (copied, key),
            )

    def edit(self, key: str, **fields: Any) -> None:
        for name, value in fields.items():
            column = {"meta.city": "metadata"}.get(name, name)
            stored = f'{{"city": "{value}"}}' if name == "meta.city" else value
            with self.raw() as raw:
                raw.execute(f"UPDATE records SET {column} = ? WHERE key = ?", (stored, key))  # noqa: S608

    def vector(self, key: str) -> Any:
        with self.raw() as raw:
            query = "SELECT vector FROM vectors WHERE record = (SELECT id FROM records WHERE key = ?)"
            return np.frombuffer(raw.execute(query, (key,)).fetchone()[0], dtype="<f4").copy()

    def set_vector(self, key: str, vector: Any) -> None:
        with self.raw() as raw:
            statement = "UPDATE vectors SET vector = ? WHERE record = (SELECT id FROM records WHERE key = ?)"
            assert raw.execute(statement, (np.asarray(vector, "<f4").tobytes(), key)).rowcount == 1

    def junk(self) -> None:
        with self.raw() as raw, pytest.raises(sqlite3.IntegrityError, match="not a record"):
            raw.execute("UPDATE records SET key = 'no key at all' WHERE key = 'e:p01'")


class RawChroma(Raw):
    adapter = "chroma"

    def collection(self, space: Space = SPACE) -> Any:
        assert self.pkg is not None
        client = self.pkg.auditor._index._inner._inner._inner._client  # type: ignore[attr-defined]
        if space != SPACE:
            same = self.collection()
            return client.get_or_create_collection(
                collection_name(space),
                embedding_function=None,
                metadata={**same.metadata, **{name: space_of(space) for name in same.metadata}},
            )
        return client.get_collection(collection_name(space), embedding_function=None)

    def held(self, key: str) -> Any:
        return self.collection().get(ids=[key], include=["metadatas", "embeddings"])

    def delete(self, key: str) -> None:
        self.collection().delete(ids=[key])

    def copy(self, key: str, to: str, space: Space = SPACE) -> None:
        held = self.held(key)
        self.collection(space).add(ids=[to], embeddings=held["embeddings"], metadatas=held["metadatas"])

    def edit(self, key: str, **fields: Any) -> None:
        stored = self.held(key)["metadatas"][0]
        stamp = json.loads(stored["stamp"])
        packed = {name: value for name, value in fields.items() if name in stamp}
        plain = {name: value for name, value in fields.items() if name in stored}
        assert packed.keys() | plain.keys() == fields.keys()
        self.collection().update(ids=[key], metadatas=[{**plain, "stamp": json.dumps({**stamp, **packed})}])

    def vector(self, key: str) -> Any:
        return np.asarray(self.held(key)["embeddings"][0], dtype=np.float32)

    def set_vector(self, key: str, vector: Any) -> None:
        self.collection().update(ids=[key], embeddings=[np.asarray(vector, dtype=np.float32)])

    def junk(self) -> None:
        empty = [1.0] + [0.0] * (DIMENSION - 1)
        self.collection().add(ids=["no key at all", "e:ghost"], embeddings=[empty, empty], metadatas=None)
        self.collection().add(ids=["r:ghost"], embeddings=[empty], metadatas=[{"position": "x", "created_at": 2**62}])


def space_of(space: Space) -> str:
    from slipstream.adapters.indexes.chroma.codec import space_text

    return space_text(space)


@pytest.fixture(params=[RawSqlite, RawChroma], ids=["sqlite", "chroma"])
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Raw]:
    """An open PKG whose engine has stopped, audited once and found whole."""
    raw: Raw = request.param(tmp_path / "pkg")
    with opened(raw) as pkg:
        with pkg.pkg.transaction() as transaction:
            transaction.create_entity("Organization", "acme", {"name": "Acme"})
            for number in range(PEOPLE):
                name = f"p{number:02}"
                transaction.create_entity("Person", name, {"name": f"Person {number}", "city": f"City {number % 3}"})
                transaction.relate(name, "WORKS_AT", "acme")
        assert pkg.sync.drain(timeout_s=60)
        pkg.sync.stop()
        assert pkg.verify().consistency == 1.0
        yield raw


@contextmanager
def opened(raw: Raw) -> Iterator[Slipstream]:
    config = Config(index=IndexConfig.model_validate({"adapter": raw.adapter}))
    options = Options(views=VIEWS, embedders=(HashEmbedder(dimension=DIMENSION),))
    with open_pkg(raw.directory, config=config, options=options) as pkg:
        raw.pkg = pkg
        yield pkg


def zero(raw: Raw) -> dict[str, list[str]]:
    raw.set_vector("e:p01", [0.0] * DIMENSION)
    return {"corrupt": ["e:p01"]}


def stretch(raw: Raw) -> dict[str, list[str]]:
    raw.set_vector("e:p01", raw.vector("e:p01") * 2)
    return {"corrupt": ["e:p01"]}


def flip(raw: Raw) -> dict[str, list[str]]:
    vector = raw.vector("e:p02")
    vector[3] = np.nextafter(vector[3], np.float32(1))
    raw.set_vector("e:p02", vector)
    return {"corrupt": ["e:p02"]}


def swap(raw: Raw) -> dict[str, list[str]]:
    one, other = raw.vector("e:p03"), raw.vector("e:p04")
    raw.set_vector("e:p03", other)
    raw.set_vector("e:p04", one)
    return {"corrupt": ["e:p03", "e:p04"]}


def delete(raw: Raw) -> dict[str, list[str]]:
    raw.delete("e:p05")
    return {"missing": ["e:p05"]}


def foreign(raw: Raw) -> dict[str, list[str]]:
    raw.copy("e:p06", "e:ghost")
    return {"orphaned": ["e:ghost"]}


def forge(raw: Raw) -> dict[str, list[str]]:
    raw.edit("e:p07", fingerprint="forged")
    return {"stale": ["e:p07"]}


def relabel(raw: Raw) -> dict[str, list[str]]:
    raw.edit("e:p08", **{"meta.city": "Atlantis"})
    return {"stale": ["e:p08"]}


def retype(raw: Raw) -> dict[str, list[str]]:
    raw.edit("e:p09", entity_type="Robot")
    return {"stale": ["e:p09"]}


def age(raw: Raw) -> dict[str, list[str]]:
    raw.edit("e:p10", schema_version=1)
    return {"outdated": ["e:p10"]}


def jump(raw: Raw) -> dict[str, list[str]]:
    raw.edit("e:p11", position=10**12)
    return {"corrupt": ["e:p11"]}


def double(raw: Raw) -> dict[str, list[str]]:
    raw.copy("e:p12", "e:p12", FOREIGN)
    return {"duplicate": ["e:p12"]}


def move(raw: Raw) -> dict[str, list[str]]:
    raw.copy("e:p13", "e:p13", FOREIGN)
    if isinstance(raw, RawSqlite):
        with raw.raw() as connection:
            connection.execute("DELETE FROM records WHERE key = 'e:p13' AND space = 1")
    else:
        raw.delete("e:p13")
    return {"wrong_model": ["e:p13"]}


WAYS: dict[str, Callable[[Raw], dict[str, list[str]]]] = {
    way.__name__: way
    for way in (zero, stretch, flip, swap, delete, foreign, forge, relabel, retype, age, jump, double, move)
}


def found(report: AuditReport) -> dict[str, list[str]]:
    return {kind: sorted(key.encode() for key in keys) for kind, keys in report.divergences.items() if keys}


def graph_of(pkg: Slipstream) -> list[Any]:
    entities = pkg.pkg.query_sql("SELECT id, type, properties FROM entity ORDER BY id")
    relationships = pkg.pkg.query_sql("SELECT id, properties FROM relationship ORDER BY id")
    return [entities, relationships, pkg.pkg.feed.head()]


def mend(raw: Raw, report: AuditReport) -> None:
    """One repair ends at 100 %, a second one has nothing to do, and the graph is as it was."""
    pkg = raw.pkg
    assert pkg is not None
    before = graph_of(pkg)
    pkg.sync.start()
    assert pkg.repair(report) == sum(report.counts().values())
    assert pkg.sync.drain(timeout_s=60)
    pkg.sync.stop()
    for incremental in (True, False):
        after = pkg.verify(incremental=incremental)
        assert (found(after), after.consistency) == ({}, 1.0)
        assert after.graph_digest == after.index_digest
        assert after.kind == ("incremental" if incremental else "full")
    computed = pkg.embedding.stats.computed
    assert pkg.repair() == 0
    assert pkg.embedding.stats.computed == computed
    assert graph_of(pkg) == before


@pytest.mark.parametrize("way", WAYS)
def test_each_damage_is_found_by_its_class_by_both_audits_and_mended(raw: Raw, way: str) -> None:
    assert raw.pkg is not None
    expected = WAYS[way](raw)
    incremental, full = raw.pkg.verify(incremental=True), raw.pkg.verify()
    assert (incremental.kind, full.kind) == ("incremental", "full")
    assert found(incremental) == found(full) == expected
    assert full.consistency is not None
    assert full.consistency < 1.0
    mend(raw, incremental)


def test_everything_at_once(raw: Raw) -> None:
    assert raw.pkg is not None
    expected: dict[str, list[str]] = {}
    for way in (flip, swap, delete, foreign, forge, relabel, retype, age, jump, double, move):
        for kind, keys in way(raw).items():
            expected.setdefault(kind, []).extend(keys)
    report = raw.pkg.verify(incremental=True)
    assert found(report) == found(raw.pkg.verify()) == {kind: sorted(keys) for kind, keys in expected.items()}
    kept = [f"{finding.kind} {finding.key}" for finding in raw.pkg.audits.findings(report.kept_id, None, 100)]
    assert kept == sorted(f"{kind} {key}" for kind, keys in expected.items() for key in keys)
    mend(raw, report)


def test_drift_is_found_by_looking_deep_and_computed_past_the_cache(raw: Raw) -> None:
    assert raw.pkg is not None
    other = raw.vector("e:p14")
    raw.set_vector("e:p15", other)
    raw.edit("e:p15", checksum=vector_checksum(other))
    assert raw.pkg.verify().is_consistent
    report = raw.pkg.verify(deep=10_000)
    assert found(report) == {"drifted": ["e:p15"]}
    mend(raw, report)
    assert raw.pkg.verify(deep=10_000).is_consistent


def test_junk_is_refused_or_found_and_never_stops_a_search(raw: Raw) -> None:
    assert raw.pkg is not None
    raw.junk()
    raw.pkg.search("Person 1", k=50)
    report = raw.pkg.verify()
    assert found(report) == ({} if raw.adapter == "sqlite" else {"orphaned": ["e:ghost", "r:ghost"]})
    mend(raw, report)
    if isinstance(raw, RawChroma):
        assert raw.collection().get(ids=["no key at all"])["ids"] == []


def test_an_untouched_index_is_not_read_again(raw: Raw) -> None:
    assert raw.pkg is not None
    raw.pkg.verify(incremental=True)
    rows = raw.pkg.verify(incremental=True).rows
    assert rows.graph == 0
    if raw.adapter == "sqlite":
        assert (rows.index, rows.vectors, rows.queries) == (0, 0, 1)


def test_an_old_copy_of_the_files_is_brought_up_to_date(raw: Raw, tmp_path: Path) -> None:
    pkg = raw.pkg
    assert pkg is not None
    pkg.close()
    name = "index.db" if raw.adapter == "sqlite" else "chroma"
    place, backup = raw.directory / ".slipstream" / name, tmp_path / "backup"
    copy = shutil.copy if raw.adapter == "sqlite" else shutil.copytree
    copy(place, backup)
    with opened(raw) as later:
        with later.pkg.transaction() as transaction:
            transaction.update_entity("p20", {"name": "Renamed"})
            transaction.delete_entity("p21")
            transaction.create_entity("Person", "new", {"name": "New"})
        assert later.sync.drain(timeout_s=60)
        assert later.verify().is_consistent
    if raw.adapter == "sqlite":
        for path in place.parent.glob("index.db*"):
            path.unlink()
    else:
        shutil.rmtree(place)
    copy(backup, place)
    with opened(raw) as restored:
        assert restored.sync.drain(timeout_s=60)
        report = restored.verify()
        if raw.adapter == "sqlite":  # the journal went back with the index: it has caught up by itself
            assert found(report) == {}
        else:
            assert found(report) == {"missing": ["e:new"], "orphaned": ["e:p21"], "stale": ["e:p20"]}
        mend(raw, report)
        assert [hit.entity_id for hit in restored.search("Renamed at Acme", k=1).hits] == ["p20"]
