"""What happens beside a migration, and between the steps of one: changes, outages, repairs, other threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slipstream import ReembeddingSelector
from slipstream.app.slipstream import Slipstream
from slipstream.audit.findings import AuditReport
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.models import Space
from slipstream.domain.stamps import Deletion
from slipstream.engine.settings import SyncSettings
from slipstream.migration.swapping import LiveSwap, Progress
from slipstream.recipes.generations import Phase
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View
from tests.integration.test_migrations import NEW, OLD, PEOPLE, build, fill, new, old, opened, stamps
from tests.until import LONG_S, until

DOWN = UnavailableError("the new model's server is down")


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path) as slip:
        fill(slip)
        yield slip


@pytest.fixture
def held_up(tmp_path: Path) -> Iterator[tuple[Slipstream, HashEmbedder, HashEmbedder]]:
    """A migration whose next model went down before it embedded anything."""
    live, after = old(), new()
    with opened(tmp_path, live, after, settings=SyncSettings(pending_max=40)) as slip:
        fill(slip)
        slip.sync.stop()
        slip.migrations.start(slip.migrations.candidate(default=NEW))
        after.fail_with = DOWN
        slip.sync.start()
        until(lambda: slip.migrations.status().outage is not None)
        yield slip, live, after
        after.fail_with = None


def space_of(slip: Slipstream, model_id: str) -> Space:
    return next(stamp.space for stamp in stamps(slip) if stamp.space.model_id == model_id)


def damage(slip: Slipstream, model_id: str, numbers: Sequence[int]) -> None:
    """Delete records of one generation behind the engine's back."""
    space, head = space_of(slip, model_id), slip.pkg.feed.head()
    slip.store.index.delete([Deletion(entity_key(f"p{number}"), head, space) for number in numbers])


# ---------------------------------------------------------------------- between audit and swap


def test_of_two_cut_overs_at_once_one_is_refused(slip: Slipstream) -> None:
    build(slip)
    both, results = threading.Barrier(2), list[str]()

    def meet() -> list[str]:
        both.wait(30)
        return []

    def cut_over() -> None:
        try:
            slip.migrations.cut_over(veto=meet)
            results.append("done")
        except ConfigError as error:
            results.append(str(error))

    threads = [threading.Thread(target=cut_over) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.partition(":")[0] for result in results) == [
        "another step was taken meanwhile, and the migration is retired",
        "done",
    ]
    assert {hit.model_id for hit in slip.search("name 7", k=5)} == {NEW}


def test_a_generation_that_was_paused_behind_its_audit_is_not_cut_over_to(slip: Slipstream) -> None:
    build(slip)

    def pause_and_change() -> list[str]:
        slip.migrations.pause()
        with slip.pkg.transaction() as tx:
            for number in range(PEOPLE):
                tx.update_entity(f"p{number}", {"name": f"renamed {number}"})
        assert slip.sync.drain(timeout_s=30)
        slip.migrations.resume()
        return []

    with pytest.raises(ConfigError, match="another step was taken meanwhile"):
        slip.migrations.cut_over(veto=pause_and_change)
    assert {hit.model_id for hit in slip.search("name 7", k=5)} == {OLD}
    assert slip.migrations.wait(timeout_s=30)
    assert slip.migrations.cut_over().is_consistent
    assert slip.verify().is_consistent


def test_a_record_that_fails_behind_the_audit_is_found_before_the_swap(slip: Slipstream) -> None:
    view = View("Person", "{{ motto }}{% if rank %}{{ rank - 1 }}{% endif %}")
    slip.migrations.start(slip.migrations.candidate(views=[view]))
    assert slip.migrations.wait(timeout_s=30)
    asked = 0

    def break_one() -> list[str]:
        nonlocal asked
        asked += 1
        slip.pkg.update_entity("p1", {"rank": "x"})
        assert slip.sync.drain(timeout_s=30)
        return []

    with pytest.raises(ConfigError, match=r"not complete \(unrenderable 1\)"):
        slip.migrations.cut_over(veto=break_one, patience_s=5)
    assert asked == 1
    assert slip.migrations.status().phase is Phase.BUILT
    assert slip.search("motto 1", k=1, entity_type="Person")
    assert slip.verify().is_consistent


def test_what_the_live_recipe_can_not_render_either_refuses_nothing(tmp_path: Path) -> None:
    view = View("Organization", "{{ name }}{% if rank %}{{ rank - 1 }}{% endif %}")
    with opened(tmp_path, views=(view,)) as slip:
        fill(slip)
        slip.pkg.create_entity("Organization", "bad", {"name": "Bad", "rank": "x"})
        assert slip.sync.drain(timeout_s=60)
        slip.migrations.start(slip.migrations.candidate(routes={"Person": NEW}))
        assert slip.migrations.wait(timeout_s=30)
        assert slip.migrations.cut_over(patience_s=5).unrenderable == [entity_key("bad")]
        assert {hit.model_id for hit in slip.search("name 7", k=5, entity_type="Person")} == {NEW}


def test_a_retired_generation_is_proven_before_it_answers_again(slip: Slipstream) -> None:
    build(slip)
    slip.migrations.cut_over()
    damage(slip, OLD, range(20))
    report = slip.migrations.roll_back()
    assert report is not None
    assert report.is_consistent
    assert slip.verify().is_consistent


def test_the_engine_waits_for_no_step_to_drop_what_is_over_its_grace_time(tmp_path: Path) -> None:
    clock = ManualClock()
    with opened(tmp_path, clock=clock) as slip:
        fill(slip)
        build(slip)
        slip.migrations.cut_over()
        with slip.migrations._stepping:  # as a roll-back holds it
            clock.advance(timedelta(hours=25).total_seconds())
            slip.pkg.update_entity("p1", {"name": "still live"})
            assert slip.sync.wait(slip.pkg.feed.head(), timeout_s=60)
            assert slip.migrations.status().phase is Phase.RETIRED
        until(lambda: slip.migrations.status().phase is Phase.ALONE)


def test_a_forced_roll_back_asks_for_no_proof(slip: Slipstream) -> None:
    build(slip)
    slip.migrations.cut_over()
    damage(slip, OLD, range(20))
    assert slip.migrations.roll_back(force=True) is None
    assert len(slip.verify().divergences["missing"]) == 20


# ---------------------------------------------------------------------- while the model beside is down


def test_a_roll_back_to_a_model_that_is_down_is_refused_and_live_changes_go_on(tmp_path: Path) -> None:
    before = old()
    with opened(tmp_path, before, new()) as slip:
        fill(slip)
        build(slip)
        slip.migrations.cut_over()
        before.fail_with = UnavailableError("the old model is gone")
        slip.pkg.update_entity("p1", {"name": "changed"})
        until(lambda: slip.migrations.status().outage is not None)
        refused: list[str] = []

        def roll_back() -> None:
            for force in (False, True):
                try:
                    slip.migrations.roll_back(patience_s=0.5, force=force)
                except UnavailableError as error:
                    refused.append(str(error))

        thread = threading.Thread(target=roll_back)
        thread.start()
        while thread.is_alive():
            slip.pkg.update_entity("p2", {"name": "still live"})
            assert slip.sync.wait(slip.pkg.feed.head(), timeout_s=60)
        thread.join()
        assert [text.partition(": ")[2] for text in refused] == ["UnavailableError: the old model is gone"] * 2
        assert {hit.model_id for hit in slip.search("name 7", k=5)} == {NEW}
        before.fail_with = None


def test_a_live_record_is_repaired_all_the_same(
    held_up: tuple[Slipstream, HashEmbedder, HashEmbedder],
) -> None:
    slip, _, _ = held_up
    damage(slip, OLD, [5])
    assert slip.repair() == 1
    until(lambda: slip.verify().is_consistent)
    assert slip.migrations.status().outage is not None


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_more_is_owed_than_memory_holds_and_live_changes_go_on(
    held_up: tuple[Slipstream, HashEmbedder, HashEmbedder], order: int
) -> None:
    slip, _, after = held_up  # of its 60 people, 40 dirty keys fit into memory
    for number in range(PEOPLE)[::order]:
        slip.pkg.update_entity(f"p{number}", {"name": f"renamed {number}"})
        assert slip.sync.wait(slip.pkg.feed.head(), timeout_s=60)
    damage(slip, OLD, range(30))
    assert slip.repair() == 30
    until(lambda: slip.verify().is_consistent)
    assert slip.sync.engine.state.room >= 10, "a quarter is left for live changes"
    after.fail_with = None
    assert slip.migrations.wait(timeout_s=60)
    assert slip.migrations.cut_over().is_consistent
    assert slip.verify().is_consistent


@pytest.mark.parametrize(
    ("lane", "allowed"),
    [("live", True), ("retry", True), ("migration", True), ("repair", False), ("backfill", False), ("schema", False)],
)
def test_what_the_swap_waits_for_itself_does_not_refuse_it(
    slip: Slipstream, monkeypatch: pytest.MonkeyPatch, lane: str, allowed: bool
) -> None:
    """Of a small graph that changes all the time each audit comes upon something owed."""
    build(slip)
    audited = LiveSwap.audit
    audits = list[int]()

    def audit(swap: LiveSwap, on_progress: Progress | None = None) -> AuditReport:
        report = audited(swap, on_progress)
        audits.append(len(report.owed))
        report.note("owed", entity_key("p1"), "Person", lane)
        return report

    monkeypatch.setattr(LiveSwap, "audit", audit)
    if allowed:
        assert slip.migrations.cut_over().owed_by_lane == {lane: 1}
        assert audits == [0]
    else:
        with pytest.raises(ConfigError, match="owed 1"):
            slip.migrations.cut_over()
        assert len(audits) == 3
    assert slip.migrations.status().phase is (Phase.RETIRED if allowed else Phase.BUILT)


def test_a_build_goes_on_when_all_that_waited_for_its_model_has_gone(tmp_path: Path) -> None:
    after = new()
    with opened(tmp_path, old(), after) as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert slip.sync.drain(timeout_s=30)
        slip.sync.stop()
        slip.migrations.start(slip.migrations.candidate(default=NEW))
        after.fail_with = DOWN
        slip.sync.start()
        until(lambda: slip.migrations.status().outage is not None)
        slip.pkg.delete_entity("ada")  # nothing is left that would ask whether the model is back
        assert slip.sync.wait(slip.pkg.feed.head(), timeout_s=60)
        after.fail_with = None
        assert slip.migrations.wait(timeout_s=60)
        assert slip.migrations.cut_over().is_consistent


def test_topics_are_delivered_and_stamps_follow_the_schema(
    held_up: tuple[Slipstream, HashEmbedder, HashEmbedder],
) -> None:
    slip, _, _ = held_up
    delivered = 0
    deliver = slip.sync.on_idle

    def count() -> None:
        nonlocal delivered
        delivered += 1
        if deliver is not None:
            deliver()

    slip.sync.on_idle = count
    slip.pkg.create_entity("Ship", "mary", {"name": "Mary"})
    version = slip.pkg.schema().version
    until(lambda: delivered > 0 and {s.schema_version for s in stamps(slip)} == {version})
    assert slip.verify().is_consistent


# ---------------------------------------------------------------------- what is embedded, and in which order


def test_of_two_generations_only_the_records_selected_are_embedded(tmp_path: Path) -> None:
    before, after = old(), new()
    with opened(tmp_path, before, after) as slip:
        fill(slip)
        build(slip)
        for model_id, chosen, spared in ((OLD, before, after), (NEW, after, before)):
            chosen.embedded.clear()
            spared.embedded.clear()
            selector = ReembeddingSelector(entity_types=("Person",), model_id=model_id)
            assert slip.reembedding.trigger_reembedding(selector=selector).selected == PEOPLE
            assert (len(chosen.embedded), len(spared.embedded)) == (PEOPLE, 0)
            assert slip.store.mark_for_reembedding(model_id=model_id, entity_type="Person") == PEOPLE
            assert slip.sync.drain(timeout_s=30)
            assert (len(chosen.embedded), len(spared.embedded)) == (2 * PEOPLE, 0)
        assert slip.migrations.audit().is_consistent
        assert slip.verify().is_consistent


def test_what_is_forced_is_embedded_once_in_either_generation(tmp_path: Path) -> None:
    before, after = old(), new()
    with opened(tmp_path, before, after) as slip:
        fill(slip)
        build(slip)
        before.embedded.clear()
        after.embedded.clear()
        slip.sync.mark([entity_key("p1"), entity_key("p2")], reason="asked", force=True)
        assert slip.sync.drain(timeout_s=30)
        assert (len(before.embedded), len(after.embedded)) == (2, 2)
        assert not any(stamp.needs_reembedding for stamp in stamps(slip))


class Stopped(HashEmbedder):
    """Waits behind its first 500 texts until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(dimension=16, id=OLD)
        self.waits, self.may_go = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed, or wait."""
        if len(self.embedded) >= 500:
            self.waits.set()
            assert self.may_go.wait(LONG_S)
        return super().embed(texts)


def test_selected_records_go_before_a_scan_of_everything(tmp_path: Path) -> None:
    many = 3_000
    with opened(tmp_path, old(), new()) as slip:
        fill(slip, many)
    edited = View("Person", "{{ name }}, edited")
    live = Stopped()
    settings = SyncSettings(log_page=200, batch_max=50)
    with opened(tmp_path, live, new(), views=(edited,), settings=settings) as slip:
        assert live.waits.wait(LONG_S)
        stopping = threading.Thread(target=slip.sync.stop)
        stopping.start()
        until(slip.sync._pipeline._stopping.is_set)
        live.may_go.set()
        stopping.join()
        already = len(live.embedded)
        assert already < many // 2, "the scan is not over"
        selector = ReembeddingSelector(entity_ids=("p2999",))
        intake = slip.sync.engine.intake_stage
        intake.selections.add(selector.at(slip.store.clock.now()), "asked", force=True)
        slip.sync.start()
        assert slip.sync.drain(timeout_s=60)
        assert len(live.embedded) >= many
        assert live.embedded.index("name 2999, edited") < already + 500, "behind what was in memory, at most"
