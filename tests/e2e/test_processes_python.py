"""`slipstream.open` from Python, beside a process that runs the engine: every part of the facade that users use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import slipstream
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, NotFoundError, UnsupportedError
from slipstream.domain.keys import entity_key
from slipstream.quality.comparison import Query
from slipstream.quality.tracking import QualitySettings
from slipstream.recipes.generations import Phase
from slipstream.views.declaration import View
from tests.e2e.processes import KINDS, LONG_S, STATIC, Process, made, owned

PEOPLE = 40


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return made(tmp_path / "pkg")


@pytest.fixture(params=KINDS)
def owner(directory: Path, request: pytest.FixtureRequest) -> Iterator[Process]:
    with owned(directory, request.param) as process:
        yield process


@pytest.fixture
def guest(directory: Path, owner: Process) -> Iterator[Slipstream]:
    with slipstream.open(directory) as pkg:
        assert not pkg.runs_engine
        with pkg.pkg.transaction() as tx:
            tx.create_entity("Organization", "acme", {"name": "Acme"})
            for number in range(PEOPLE):
                tx.create_entity("Person", f"p{number}", {"name": f"Person {number}", "motto": f"motto {number}"})
            tx.relate("p0", "WORKS_AT", "acme")
        assert pkg.sync.wait(tx.position, LONG_S)
        yield pkg


def test_what_is_written_here_is_found_here_and_there(directory: Path, guest: Slipstream) -> None:
    position = guest.pkg.create_entity("Person", "ada", {"name": "Ada Lovelace"})
    found = guest.search("Ada Lovelace", 3, after=position, timeout_s=LONG_S)
    assert found.hits[0].entity_id == "ada"
    assert found.frontier >= position
    with slipstream.open(directory, run=False) as other:
        assert other.search("Ada Lovelace", 3, after=position, timeout_s=LONG_S).hits[0].entity_id == "ada"
        assert other.pkg.counts() == {"Person": PEOPLE + 1, "Organization": 1, "WORKS_AT": 1}
        gone = other.pkg.delete_entity("ada")
    assert "ada" not in {hit.entity_id for hit in guest.search("Ada Lovelace", 3, after=gone, timeout_s=LONG_S)}


def test_numbers_and_states(guest: Slipstream) -> None:
    told: list[int] = []
    assert guest.sync.drain(LONG_S, lambda status: told.append(status.head))
    assert told
    status = guest.status()
    assert (status.head, status.pending, status.dead_letters) == (status.frontier, 0, 0)
    assert guest.sync.running
    assert guest.sync.failure is None
    assert guest.sync.reached(status.head, 0.0)
    assert guest.sync.write_back(LONG_S)
    state = guest.sync_state("p1")
    assert state is not None
    assert state.state == "fresh"
    assert guest.explain("p1").text == "Person 1\nmotto: motto 1" or guest.explain("p1").text
    with pytest.raises(NotFoundError):
        guest.explain("nobody")
    assert guest.list_dead_letters() == []
    assert (guest.replay_dead_letters(), guest.discard_dead_letters()) == (0, 0)
    assert [reading.rule for reading in guest.watch.readings()]
    assert guest.scrubber.summary()["paused"] is False


def test_questions(guest: Slipstream) -> None:
    assert guest.pkg.query("MATCH (p:Person) RETURN count(p) AS n") == [{"n": PEOPLE}]
    assert guest.pkg.query_sql("SELECT count(*) AS n FROM entity") == [{"n": PEOPLE + 1}]
    written = guest.pkg.execute("CREATE (:Person {id: 'late', name: 'Late'})")
    assert guest.search("Late", 1, after=written, timeout_s=LONG_S).hits[0].entity_id == "late"
    assert guest.pkg.schema().version >= 1
    assert {view.type for view in guest.views.views} == set()


def _damage(directory: Path, *ids: str) -> None:
    with closing(sqlite3.connect(directory / ".slipstream" / "index.db")) as raw, raw:
        for identity in ids:
            key = (f"e:{identity}",)
            raw.execute("DELETE FROM vectors WHERE record = (SELECT id FROM records WHERE key = ?)", key)
            assert raw.execute("DELETE FROM records WHERE key = ?", key).rowcount == 1


def test_audits_and_repairs(directory: Path, guest: Slipstream) -> None:
    told: list[int] = []
    assert guest.verify(told.append).is_consistent
    assert told
    _damage(directory, "p1", "p2")
    report = guest.verify(incremental=True, hurry=True)
    assert sorted(key.id for key in report.divergences["missing"]) == ["p1", "p2"]
    assert guest.repairer.plan(report.kept_id).keys == {"missing": 2}
    assert guest.repairer.unfinished is None
    result = guest.repairer.repair(report.kept_id)
    assert guest.sync.drain(LONG_S)
    assert guest.repairer.verify(result).is_consistent
    _damage(directory, "p3")
    assert guest.repair() == 1
    assert guest.sync.drain(LONG_S)
    assert guest.verify(deep=5).is_consistent
    assert guest.audits.audits(None, 10)[0].report["consistency"] == 1.0
    assert guest.validator.validate_consistency()["consistency"] == 1.0
    _damage(directory, "p4")
    assert guest.validator.repair_inconsistencies(guest.validator.validate_consistency()) == 1
    assert guest.sync.drain(LONG_S)
    assert guest.auditor.audit_changes().is_consistent


def test_quality_and_embedding_anew(guest: Slipstream) -> None:
    told: list[int] = []
    found = guest.quality.run(QualitySettings(sample=10, self_sample=5), told.append)
    assert told
    assert found == guest.quality.trend()[-1]
    assert guest.quality.record("p1")["runs"] is not None
    assert guest.quality.reembed([entity_key("p1")], "low") == 1
    selector = slipstream.ReembeddingSelector(entity_types=("Person",))
    assert guest.reembedding.plan(selector).records == {"Person": PEOPLE}
    assert guest.reembedding.trigger_reembedding(selector=selector).selected == PEOPLE


def test_a_migration(guest: Slipstream) -> None:
    migrations = guest.migrations
    candidate = migrations.candidate(views=[View("Person", template="{{ motto }}")])
    assert migrations.plan(candidate).texts == PEOPLE
    assert migrations.start(candidate).phase is Phase.BUILDING
    assert migrations.wait(LONG_S)
    assert guest.cut_over([Query("motto 7", ("p7",))], sample=5).is_consistent
    assert guest.search("motto 7", 1).hits[0].text == "motto 7"
    assert migrations.roll_back() is not None
    assert guest.search("motto 7", 1).hits[0].text != "motto 7"
    assert guest.cut_over(compared=False).is_consistent
    migrations.drop()
    assert guest.sync.drain(LONG_S)
    assert migrations.status().phase is Phase.ALONE
    assert [view.template for view in guest.views.views] == ["{{ motto }}"]
    assert guest.verify().is_consistent


def test_what_is_for_the_owner_alone_is_refused_by_name(guest: Slipstream) -> None:
    with pytest.raises(UnsupportedError, match=r"handler\.on_mutation|handler"):
        guest.handler.deliver()
    with pytest.raises(UnsupportedError, match="veto"):
        guest.migrations.cut_over(veto=list)


def test_other_models_than_those_in_force_are_refused_as_alone(directory: Path, guest: Slipstream) -> None:
    config = directory / "slipstream.toml"
    config.write_text(config.read_text().replace(STATIC, "minilm-l6-v2"))
    with pytest.raises(ConfigError, match="slipstream migrate start"):
        slipstream.open(directory)
