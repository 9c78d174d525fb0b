"""Word rows in a whole PKG: audited by its engine, repaired by its schedule, and never shown where none belong."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config, IndexConfig, ScrubConfig
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.domain.errors import RepairNeedsConfirmationError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.words import WordDeletion, WordFields, word_row
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.suites.words_world import words_found

PERSONS = 40
INDEXES = ("sqlite", "chroma")


@pytest.fixture(params=INDEXES)
def config(request: pytest.FixtureRequest) -> Config:
    """Choose the index; word rows are in the journal's file behind each. Nothing is audited by a schedule."""
    return Config(index=IndexConfig(adapter=request.param), scrub=ScrubConfig(enabled=False))


@contextmanager
def opened(directory: Path, config: Config, *, run: bool = True) -> Iterator[Slipstream]:
    options = Options(embedders=(HashEmbedder(dimension=8),))
    with open_pkg(directory, run=run, create=True, config=config, options=options) as slipstream:
        yield slipstream


@pytest.fixture
def directory(tmp_path: Path, config: Config) -> Path:
    with opened(tmp_path, config) as slipstream:
        with slipstream.pkg.transaction() as tx:
            for number in range(PERSONS):
                tx.create_entity("Person", f"p{number:02}", {"name": f"Person {number}", "town": "Basel"})
        assert slipstream.sync.drain(timeout_s=60)
    return tmp_path


def tamper(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / ".slipstream" / "index.db")) as raw, raw:
        for statement in statements:
            assert raw.execute(statement).rowcount > 0, statement


FORGE = "UPDATE words_english SET body = 'Zermatt' WHERE rowid = (SELECT id FROM word_rows WHERE key = 'e:p07')"


def lose(directory: Path, *ids: str) -> None:
    """Remove whole rows: of one that is torn the self-check makes all rows anew."""
    store = SqliteStore(directory / ".slipstream" / "index.db")
    store.words.put([], [WordDeletion(entity_key(each), Position(2**62)) for each in ids])
    store.close()


def haunt(directory: Path) -> None:
    """Write a whole row of an entity that never was."""
    store = SqliteStore(directory / ".slipstream" / "index.db")
    fields = WordFields("Person", "ghost", "ghost", body="ghostly")
    store.words.put([word_row(entity_key("ghost"), Position(1), fields)])
    store.close()


FOUND = {"word_missing": {"e:p03", "e:p05"}, "word_corrupt": {"e:p07"}, "word_orphaned": {"e:ghost"}}


def test_a_whole_pkg_agrees(directory: Path, config: Config) -> None:
    with opened(directory, config) as slipstream:
        for report in (slipstream.verify(), slipstream.verify(incremental=True), slipstream.verify(deep=DEEP_ALL)):
            assert report.words is not None
            assert (report.words.expected, report.words.held, report.words.fresh) == (PERSONS,) * 3
            assert report.words.frontier == report.position
            assert report.consistency == 1.0
            assert report.is_consistent


def test_damage_is_found_and_mended(directory: Path, config: Config) -> None:
    haunt(directory)
    lose(directory, "p03", "p05")
    tamper(directory, FORGE)
    with opened(directory, config) as slipstream:
        report = slipstream.verify()
        assert words_found(report) == FOUND
        assert not any(report.divergences.values())
        assert report.consistency == report.words.consistency if report.words else False
        assert report.embedding_consistency == 1.0
        slipstream.repair(report)
        assert slipstream.sync.drain(timeout_s=60)
        after = slipstream.verify()
        assert words_found(after) == {}
        assert after.consistency == 1.0


def test_a_row_that_belongs_to_nothing_shows_in_no_search(directory: Path, config: Config) -> None:
    haunt(directory)
    with opened(directory, config) as slipstream:
        for mode in ("hybrid", "keyword", "exact"):
            for text in ("ghost", "ghostly"):
                hits = slipstream.search(text, k=50, mode=mode)
                assert "ghost" not in {hit.entity_id for hit in hits}
        assert slipstream.search("Person 9", mode="exact")[0].entity_id == "p09"


def test_the_schedule_mends_rows_by_the_classes_of_vectors(directory: Path, config: Config) -> None:
    haunt(directory)
    lose(directory, "p03", "p05")
    tamper(directory, FORGE)
    chosen = config.model_copy(update={"scrub": ScrubConfig(repair=("missing", "corrupt"))})
    with opened(directory, chosen) as slipstream:
        report = slipstream.scrubber.run("full")
        assert not report.damage
        assert words_found(report) == FOUND
        assert words_found(slipstream.verify()) == {"word_orphaned": {"e:ghost"}}
        told = slipstream.scrubber.summary()["last_repair"]
        assert told["marked"] == {"word_missing": 2, "word_corrupt": 1}


def test_the_schedule_leaves_what_the_brake_holds(directory: Path, config: Config) -> None:
    chosen = Config(index=config.index, brake={"records_min": 1}, scrub=config.scrub)  # type: ignore[arg-type]
    lose(directory, "p03", "p05", "p13", "p15")
    with opened(directory, chosen) as slipstream:
        report = slipstream.verify()
        with pytest.raises(RepairNeedsConfirmationError, match="4 to write of 36") as braked:
            slipstream.repair(report)
        slipstream.scrubber.run("full")
        brake = slipstream.scrubber.summary()["brake"]
        assert brake["plan"]["word_rows"] == 4
        assert slipstream.status().words is not None
        assert slipstream.repair(confirm=braked.value.plan["id"]) == 4
        assert slipstream.verify().is_consistent
        assert slipstream.scrubber.summary()["brake"] is None


def test_an_engine_that_does_not_run_owes_nothing(directory: Path, config: Config) -> None:
    with opened(directory, config, run=False) as slipstream:
        slipstream.pkg.update_entity("p01", {"town": "Bern"})
        report = slipstream.verify()
        assert words_found(report) == {"word_stale": {"e:p01"}}
        assert {key.id for key in report.divergences["stale"]} == {"p01"}


def test_an_edited_view_is_owed_and_not_divergent(directory: Path, config: Config) -> None:
    views = {"Person": {"template": "{{ name }}", "words": {"name": ["name"], "body": []}}}
    chosen = config.model_copy(update={"views": views})
    with opened(directory, chosen) as slipstream:
        report = slipstream.verify()
        assert words_found(report) == {}
        assert slipstream.sync.drain(timeout_s=60)
        after = slipstream.verify()
        assert after.is_consistent
        assert after.words is not None
        assert after.words.fresh == PERSONS


def test_audits_are_exact_while_rows_are_written(directory: Path, config: Config) -> None:
    with opened(directory, config) as slipstream:
        for round_ in range(6):
            with slipstream.pkg.transaction() as tx:
                for number in range(PERSONS):
                    tx.update_entity(f"p{number:02}", {"town": f"town {round_}"})
                tx.create_entity("Person", f"new{round_}", {"name": f"New {round_}"})
            report = slipstream.verify(incremental=round_ % 2 == 1)
            assert words_found(report) == {}
            assert report.words is not None
            assert report.words.unsettled == []
