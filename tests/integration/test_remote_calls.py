"""A real PKG asked by a guest: every operation of the table, with the results that the owner's own calls give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.remote.calling import Caller
from slipstream.app.remote.frontier import PublishedFrontier
from slipstream.app.remote.guest import GuestSlipstream, GuestSync, asked_parts
from slipstream.app.remote.migrating import GuestMigrations
from slipstream.app.remote.operations import OPERATIONS
from slipstream.app.slipstream import Parts, Slipstream
from slipstream.audit.findings import report_as_dict
from slipstream.domain.errors import ConfigError, NotFoundError, UnsupportedError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.evolution.selector import ReembeddingSelector
from slipstream.quality.comparison import QualityComparison, Query
from slipstream.quality.tracking import QualitySettings
from slipstream.recipes.generations import Phase
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View

PEOPLE = 40
LONG_S = 60.0


@dataclass
class Sides:
    owner: Slipstream
    guest: GuestSlipstream
    caller: Caller


def guest_parts(own: Parts, caller: Caller, frontier: PublishedFrontier) -> Parts:
    asked = asked_parts(
        caller,
        GuestSync(caller, frontier, frontier),
        migrations=GuestMigrations(caller, own.journal, own.migrations.candidate()),
        reembedding=own.reembedding,
        quality=own.quality,
    )
    return replace(own, **asked, write_back=None)


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    embedders = (HashEmbedder(dimension=16, id="old"), HashEmbedder(dimension=32, id="new"))
    owner = open_pkg(tmp_path, config=Config(), options=Options(embedders=embedders))
    with owner.pkg.transaction() as tx:
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        for number in range(PEOPLE):
            tx.create_entity("Person", f"p{number}", {"name": f"name {number}", "motto": f"motto {number}"})
        tx.relate("p0", "WORKS_AT", "acme")
    assert owner.sync.drain(timeout_s=LONG_S)
    path, clock = tmp_path / ".slipstream" / "index.db", SystemClock()
    elsewhere = SqliteStore(path, shared=True)
    caller = Caller(elsewhere.requests, elsewhere.audits, clock, patience_s=LONG_S)
    frontier = PublishedFrontier(elsewhere.journal, elsewhere.watch)
    yield Sides(owner, GuestSlipstream(guest_parts(owner._parts, caller, frontier), caller), caller)
    owner.close()
    elsewhere.close()


def _damage(sides: Sides, *ids: str) -> None:
    sides.owner.store.index.delete([Deletion(entity_key(identity), Position(10_000)) for identity in ids])


def test_every_operation_is_there(sides: Sides) -> None:
    for name, operation in OPERATIONS.items():
        if operation.perform is not operation.declared:  # else it is made of several calls
            found = attrgetter(name)(sides.owner)
            assert operation.is_value or callable(found), name


def test_status_and_waiting(sides: Sides) -> None:
    told: list[int] = []
    assert sides.guest.sync.drain(on_progress=lambda status: told.append(status.head), migration=False)
    assert told
    assert sides.guest.status().head == sides.guest.sync.status().head == sides.owner.status().head
    assert sides.guest.sync.engine.intake_stage.progress() == {}


def test_a_kept_audit_is_the_same_on_both_sides(sides: Sides) -> None:
    _damage(sides, "p1", "p2")
    told: list[int] = []
    report = sides.guest.verify(told.append, hurry=True)
    assert sorted(key.id for key in report.divergences["missing"]) == ["p1", "p2"]
    assert told[-1] >= PEOPLE
    again = sides.owner.verify(incremental=True)
    assert report_as_dict(report)["divergences"] == report_as_dict(again)["divergences"]
    assert report.kept_id == again.kept_id - 1


def test_a_repair(sides: Sides) -> None:
    _damage(sides, "p1", "p2", "p3")
    report = sides.guest.verify(hurry=True)
    assert sides.guest.repairer.plan(report.kept_id).keys == {"missing": 3}
    assert sides.guest.repairer.unfinished is None
    told: list[tuple[int, int]] = []
    with sides.guest.scrubber.aside():
        result = sides.guest.repairer.repair(report.kept_id, on_progress=lambda *counts: told.append(counts))
    assert (result.marked, told) == ({"missing": 3}, [(3, 3)])
    assert sides.guest.sync.drain(timeout_s=LONG_S)
    assert sides.guest.repairer.verify(result).is_consistent
    _damage(sides, "p4")
    assert sides.guest.repair(sides.guest.verify(hurry=True)) == 1
    assert sides.guest.sync.drain(timeout_s=LONG_S)
    assert sides.guest.verify(incremental=True).is_consistent


def test_one_record(sides: Sides) -> None:
    explained = sides.guest.explain("p1")
    assert explained.as_dict() == sides.owner.explain("p1").as_dict()
    with pytest.raises(NotFoundError):
        sides.guest.explain("nobody")
    assert sides.guest.sync_state("nobody") is None
    assert sides.guest.sync_state("p1") == sides.owner.sync_state("p1") is not None


def test_the_scrubber_and_alerts(sides: Sides) -> None:
    sides.guest.scrubber.pause()
    assert sides.owner.scrubber.state.paused
    assert sides.guest.scrubber.summary()["paused"] is True
    sides.guest.scrubber.resume()
    assert not sides.owner.scrubber.state.paused
    assert sides.guest.scrubber.health == sides.owner.scrubber.health
    assert [reading.rule for reading in sides.guest.watch.readings()]
    assert sides.guest.watch.metrics().alerts.keys() == sides.owner.watch.metrics().alerts.keys()


def test_dead_letters(sides: Sides) -> None:
    assert (sides.guest.replay_dead_letters(), sides.guest.discard_dead_letters(["nothing"])) == (0, 0)


def test_a_migration_from_beginning_to_end(sides: Sides) -> None:
    migrations = sides.guest.migrations
    candidate = migrations.candidate(routes={"Person": "new"})
    assert migrations.plan(candidate).texts == PEOPLE
    assert migrations.start(candidate).phase is Phase.BUILDING
    with pytest.raises(ConfigError, match="under way"):
        migrations.start(candidate)
    assert migrations.wait(LONG_S)
    assert migrations.generations.phase is Phase.BUILT
    assert migrations.audit().is_consistent
    compared: list[QualityComparison] = []
    query = Query("name 7", ("p7",))
    report = sides.guest.cut_over([query], sample=5, on_comparison=compared.append)
    assert report.is_consistent
    assert [figures.text for figures in compared[0].queries] == ["name 7"]
    assert migrations.status().phase is Phase.RETIRED
    rolled_back = migrations.roll_back()
    assert rolled_back is not None
    migrations.drop()
    assert sides.guest.sync.drain(timeout_s=LONG_S)
    assert migrations.status().phase is Phase.ALONE
    assert not migrations.is_declared or migrations.generations == sides.owner.migrations.generations


def test_a_cut_over_is_the_same_step_for_the_owner(sides: Sides) -> None:
    sides.owner.migrations.start(sides.owner.migrations.candidate(views=[View("Person", template="{{ motto }}")]))
    assert sides.owner.migrations.wait(LONG_S)
    compared: list[QualityComparison] = []
    assert sides.owner.cut_over(sample=5, on_comparison=compared.append).is_consistent
    assert len(compared) == 1


def test_a_function_of_the_guests_own_is_refused(sides: Sides) -> None:
    with pytest.raises(UnsupportedError, match="veto"):
        sides.guest.migrations.cut_over(veto=list)


def test_quality(sides: Sides) -> None:
    told: list[int] = []
    found = sides.guest.quality.run(QualitySettings(sample=10, self_sample=5), told.append)
    assert told
    assert found == sides.guest.quality.trend()[-1]
    assert sides.guest.quality.reembed([entity_key("p1")], "low") == 1
    assert sides.guest.quality.gate == sides.owner.quality.gate


def test_embedding_anew(sides: Sides) -> None:
    selector = ReembeddingSelector(entity_types=("Person",))
    assert sides.guest.reembedding.plan(selector).records == {"Person": PEOPLE}
    done: list[int] = []
    result = sides.guest.reembedding.trigger_reembedding(
        selector=selector, on_progress=lambda progress: done.append(progress.done)
    )
    assert result.selected == PEOPLE
    assert done
    assert sides.guest.reembedding.changes(1, 2).new_version == 2


def test_searching_there_is_searching_here(sides: Sides) -> None:
    asking = GuestSlipstream(sides.guest._parts, sides.caller, asks_searches=True)
    here, there = sides.owner.search("name 3", 5, expand=1), asking.search("name 3", 5, expand=1)
    assert [(hit.entity_id, hit.properties, hit.neighbours) for hit in there] == [
        (hit.entity_id, hit.properties, hit.neighbours) for hit in here
    ]


def test_what_only_the_owner_can_do_is_refused_by_name(sides: Sides) -> None:
    with pytest.raises(UnsupportedError, match="auditor"):
        sides.guest.auditor.audit_keys([entity_key("p1")])
    with pytest.raises(UnsupportedError, match="migrations"):
        sides.guest.migrations.finish_drop()
