"""Chroma's own database is tampered with while nobody has it open: tables of ids, metadata and segments, an index."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.app.composition import DATA_FOLDER
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.audit.findings import AuditReport
from slipstream.domain.errors import CorruptionError
from tests.integration.tamper_cases import RefusedError, cases_of, tamper
from tests.integration.tamper_harmless import name_of
from tests.integration.tamper_world import made, opened, settle
from tests.integration.test_tamper_structure import lose_entry, mended

CONFIG = Config(index=IndexConfig.model_validate({"adapter": "chroma"}))
FILE = Path(DATA_FOLDER) / "chroma" / "chroma.sqlite3"
TABLES = ("embeddings", "embedding_metadata", "segments", "max_seq_id")
WAYS = ("another", "one more", "null")
_REPLAYED = "how far a segment has read the log: what it reads once more is written once more, and is the same"
_ANEW = "a segment that has no files is built anew from the log"
HARMLESS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "embeddings.seq_id": (("one more",), "when a record was written: nobody reads it"),
    "embeddings.created_at": (("another",), "when a record was written: nobody reads it"),
    "segments[VECTOR].id": (("another",), _ANEW),
    "segments[METADATA].id": (("another",), _ANEW),
    "max_seq_id.segment_id": (("another", "null"), _REPLAYED),
    "max_seq_id.seq_id": (("one more", "null"), _REPLAYED),
}
LOST = "sqlite_autoindex_embeddings_1"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tamper") / "pkg", CONFIG)


@pytest.fixture
def directory(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "pkg")


def agrees(slipstream: Slipstream) -> bool:
    report = slipstream.verify(deep=DEEP_ALL)
    return (report.damage, report.verdict, report.consistency) == ([], "consistent", 1.0)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_found_and_mended_told_by_name_or_harmless(
    template: Path, tmp_path: Path, table: str
) -> None:
    harmless: set[tuple[str, str]] = set()
    told: list[str] = []
    for number, case in enumerate(cases_of(template / FILE, [table])):
        if case.way not in WAYS:
            continue
        directory = shutil.copytree(template, tmp_path / str(number))
        try:
            tamper(directory / FILE, case)
        except RefusedError:
            continue
        try:
            with opened(directory, CONFIG) as slipstream:
                report = slipstream.verify(deep=DEEP_ALL)
                if report.is_consistent:
                    harmless.add((name_of(case), case.way))
                else:
                    assert mended(slipstream, report).is_consistent, case
                assert [hit.entity_id for hit in slipstream.search("renamed person of Bern at Acme", k=1)] == ["p5"]
        except CorruptionError as error:
            told.append(str(error))
        shutil.rmtree(directory)
    assert all("chroma" in words and "delete the directory" in words for words in told)
    assert harmless == {
        (name, way) for name, (ways, _) in HARMLESS.items() for way in ways if re.match(rf"{table}\b", name)
    }


def test_a_segment_that_is_ahead_of_the_log_is_found_and_mended(directory: Path) -> None:
    """It would take the next writes for done."""
    with closing(sqlite3.connect(directory / FILE)) as connection, connection:
        connection.execute("UPDATE max_seq_id SET seq_id = 1000000")
    with opened(directory, CONFIG) as slipstream:
        report = slipstream.verify()
        assert [damage.place for damage in report.damage] == ["max_seq_id.seq_id"]
        assert mended(slipstream, report).is_consistent
        slipstream.pkg.update_entity("p3", {"name": "written behind it"})
        settle(slipstream)
        assert agrees(slipstream)


def test_an_entry_lost_from_chromas_index_is_found_and_mended(directory: Path) -> None:
    lose_entry(directory / FILE, LOST, 3, second="e:p3")
    with opened(directory, CONFIG) as slipstream:
        report = slipstream.verify()
        assert [(damage.store, damage.place) for damage in report.damage] == [("chroma", f"index {LOST}")]
        slipstream.repair(report)
        settle(slipstream)
        assert agrees(slipstream)


def test_a_key_that_is_there_twice_behind_it_is_a_duplicate_and_is_mended(directory: Path) -> None:
    lose_entry(directory / FILE, LOST, 3, second="e:p3")
    with closing(sqlite3.connect(directory / FILE)) as connection, connection:
        connection.execute(
            "INSERT INTO embeddings(segment_id, embedding_id, seq_id) SELECT segment_id, 'e:p3', seq_id "
            "FROM embeddings WHERE embedding_id = 'e:p4'"
        )
        connection.execute(
            "INSERT INTO embedding_metadata SELECT (SELECT max(id) FROM embeddings), key, string_value, int_value, "
            "float_value, bool_value FROM embedding_metadata WHERE id = (SELECT min(id) FROM embeddings NOT INDEXED "
            "WHERE embedding_id = 'e:p3')"
        )
        twice = connection.execute(
            "SELECT count(*) FROM embeddings NOT INDEXED WHERE embedding_id = 'e:p3'"
        ).fetchone()
        assert twice == (2,)
    with opened(directory, CONFIG) as slipstream:
        report: AuditReport = slipstream.verify()
        assert [key.id for key in report.divergences["duplicate"]] == ["p3"]
        assert mended(slipstream, report).is_consistent
        assert agrees(slipstream)
    with closing(sqlite3.connect(directory / FILE)) as connection:
        held = connection.execute(
            "SELECT count(*) FROM embeddings NOT INDEXED WHERE embedding_id = 'e:p3'"
        ).fetchone()
        assert held == (1,)
