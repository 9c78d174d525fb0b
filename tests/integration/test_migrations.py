"""Migrations: the next generation is built beside the live one, and readers see one of them, never a mix."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.app.composition import OnOtherRecipe, Options, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Direction
from slipstream.domain.errors import ConfigError, InvalidInputError, UnavailableError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import Deletion, SearchFilter, Stamp
from slipstream.domain.work import Lane
from slipstream.engine.settings import SyncSettings
from slipstream.recipes.generations import Phase
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View
from tests.until import until

OLD, NEW, TWIN = "old", "new", "twin"
PEOPLE = 60
PROBE = "slipstream"
"""What `start` embeds to see whether a model is there."""


def old() -> HashEmbedder:
    return HashEmbedder(dimension=16, id=OLD)


def new() -> HashEmbedder:
    return HashEmbedder(dimension=32, id=NEW)


def twin() -> HashEmbedder:
    """Return a model of the old one's dimension, and another identity."""
    return HashEmbedder(dimension=16, id=TWIN)


def opened(root: Path, *embedders: HashEmbedder, index: str = "sqlite", **more: object) -> Slipstream:
    options = Options(embedders=embedders or (old(), new()), **more)  # type: ignore[arg-type]
    return open_pkg(root, config=Config(index=IndexConfig.model_validate({"adapter": index})), options=options)


def fill(slip: Slipstream, people: int = PEOPLE) -> None:
    with slip.pkg.transaction() as tx:
        tx.create_entity("Organization", "acme", {"name": "Acme"})
        for number in range(people):
            tx.create_entity("Person", f"p{number}", {"name": f"name {number}", "motto": f"motto {number}"})
        tx.relate("p0", "WORKS_AT", "acme")
    assert slip.sync.drain(timeout_s=60)


@pytest.fixture(params=["sqlite"])
def slip(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path, index=request.param) as slip:
        fill(slip)
        yield slip


on_each_index = pytest.mark.parametrize("slip", ["sqlite", "chroma"], indirect=True)
"""For what an index decides: that two generations are kept apart, and that one of them can be removed."""


def stamps(slip: Slipstream) -> list[Stamp]:
    return list(slip.store.index.scan(None, 100_000))


def models(slip: Slipstream, entity_type: str = "Person") -> dict[tuple[str, int], int]:
    """Return how many records of a type there are, by model and generation."""
    found: dict[tuple[str, int], int] = {}
    for stamp in stamps(slip):
        if stamp.entity_type == entity_type:
            place = (stamp.space.model_id, stamp.space.generation)
            found[place] = found.get(place, 0) + 1
    return found


def build(slip: Slipstream, default: str = NEW) -> None:
    slip.migrations.start(slip.migrations.candidate(default=default))
    assert slip.migrations.wait(timeout_s=60)


# ---------------------------------------------------------------------- building


@on_each_index
def test_the_next_generation_stands_beside_the_live_one(slip: Slipstream) -> None:
    build(slip)
    assert models(slip) == {(OLD, 1): PEOPLE, (NEW, 2): PEOPLE}
    assert slip.migrations.status().phase is Phase.BUILT
    assert {hit.model_id for hit in slip.search("name 7", k=20)} == {OLD}
    assert slip.verify().is_consistent
    assert slip.verify(incremental=True).is_consistent
    report = slip.migrations.audit()
    assert report.is_consistent
    assert report.total_embeddings == PEOPLE + 1


@on_each_index
def test_mutations_reach_both_generations(slip: Slipstream) -> None:
    build(slip)
    slip.pkg.update_entity("p1", {"name": "changed"})
    slip.pkg.delete_entity("p2")
    position = slip.pkg.create_entity("Person", "late", {"name": "late"})
    assert slip.sync.wait(position, timeout_s=60)
    assert slip.sync.drain(timeout_s=30)
    assert models(slip) == {(OLD, 1): PEOPLE, (NEW, 2): PEOPLE}
    assert slip.verify().is_consistent
    assert slip.migrations.audit().is_consistent


@on_each_index
def test_live_changes_go_on_beside_the_build(slip: Slipstream) -> None:
    slip.sync.stop()
    slip.migrations.start(slip.migrations.candidate(default=NEW))
    slip.sync.start()
    for number in range(PEOPLE):
        position = slip.pkg.update_entity(f"p{number}", {"name": f"live {number}"})
        if number % 20 == 0:
            assert slip.sync.wait(position, timeout_s=30)
            assert slip.search(f"live {number}. motto: motto {number}", k=1)[0].entity_id == f"p{number}"
    slip.pkg.delete_entity("p2")
    assert slip.migrations.wait(timeout_s=60)
    assert slip.sync.drain(timeout_s=60)
    assert models(slip) == {(OLD, 1): PEOPLE - 1, (NEW, 2): PEOPLE - 1}
    assert slip.verify().is_consistent
    assert slip.migrations.cut_over().is_consistent
    hit = slip.search("live 7. motto: motto 7", k=1)[0]
    assert (hit.entity_id, hit.model_id) == ("p7", NEW)


def test_a_migration_of_one_type_embeds_that_type_only(tmp_path: Path) -> None:
    before, after = old(), new()
    with opened(tmp_path, before, after) as slip:
        fill(slip)
        before.embedded.clear()
        slip.migrations.start(slip.migrations.candidate(routes={"Organization": NEW}))
        assert slip.migrations.wait(timeout_s=30)
        assert [text for text in after.embedded if text != PROBE] == ["Acme"]
        slip.migrations.cut_over()
        assert models(slip, "Organization") == {(OLD, 1): 1, (NEW, 2): 1}
        assert models(slip) == {(OLD, 1): PEOPLE}
        hits = slip.search("Acme", k=100)
        assert {(hit.entity_type, hit.model_id) for hit in hits} == {("Organization", NEW), ("Person", OLD)}
        assert len(hits) == PEOPLE + 1, "the retired record of Acme must neither show nor take a place"
        assert [text for text in before.embedded if text != "Acme"] == []


def test_a_new_template_is_built_beside_the_old_one(slip: Slipstream) -> None:
    view = View("Organization", "{{ name }} with {% for p in staff %}{{ p.name }}{% endfor %}", {"staff": _STAFF})
    slip.migrations.start(slip.migrations.candidate(views=[view]))
    assert slip.migrations.wait(timeout_s=30)
    assert slip.search("Acme", k=1)[0].text == "Acme"
    slip.pkg.update_entity("p0", {"name": "Zoe"})  # only the new view renders it
    assert slip.sync.drain(timeout_s=30)
    slip.migrations.cut_over()
    assert slip.search("Acme", k=1, entity_type="Organization")[0].text == "Acme with Zoe"
    assert slip.views.view_for("Organization") == view
    assert slip.verify().is_consistent


_STAFF = Via("WORKS_AT", Direction.IN)


# ---------------------------------------------------------------------- cutting over


@on_each_index
def test_a_cut_over_changes_what_answers_and_a_roll_back_changes_it_back(slip: Slipstream) -> None:
    build(slip)
    report = slip.migrations.cut_over()
    assert report.consistency == 1.0
    assert {hit.model_id for hit in slip.search("name 7", k=20)} == {NEW}
    assert slip.verify().is_consistent
    slip.pkg.update_entity("p1", {"name": "changed"})
    assert slip.sync.drain(timeout_s=30)
    slip.migrations.roll_back()
    assert {hit.model_id for hit in slip.search("name 7", k=20)} == {OLD}
    assert slip.search("changed. motto: motto 1", k=1)[0].entity_id == "p1", "the retired generation follows the log"
    assert slip.verify().is_consistent
    slip.migrations.cut_over()
    assert {hit.model_id for hit in slip.search("name 7", k=20)} == {NEW}


@on_each_index
def test_a_dropped_generation_leaves_nothing(slip: Slipstream) -> None:
    build(slip)
    slip.migrations.cut_over()
    slip.migrations.drop()
    assert slip.sync.drain(timeout_s=30)
    assert models(slip) == {(NEW, 2): PEOPLE}
    assert slip.migrations.status().phase is Phase.ALONE
    assert slip.verify().is_consistent


@on_each_index
def test_an_unwanted_generation_is_dropped(slip: Slipstream) -> None:
    build(slip)
    slip.migrations.drop()
    assert slip.sync.drain(timeout_s=30)
    assert models(slip) == {(OLD, 1): PEOPLE}
    slip.migrations.start(slip.migrations.candidate(default=NEW))
    assert slip.migrations.wait(timeout_s=30)
    assert models(slip) == {(OLD, 1): PEOPLE, (NEW, 3): PEOPLE}, "no number is used twice"


def test_a_retired_generation_is_dropped_when_its_grace_time_is_over(tmp_path: Path) -> None:
    clock = ManualClock()
    with opened(tmp_path, clock=clock) as slip:
        fill(slip)
        build(slip)
        slip.migrations.cut_over()
        clock.advance(timedelta(hours=23).total_seconds())
        assert slip.migrations.status().phase is Phase.RETIRED
        clock.advance(timedelta(hours=2).total_seconds())
        until(lambda: slip.migrations.status().phase is Phase.ALONE)
        assert models(slip) == {(NEW, 2): PEOPLE}


@on_each_index
def test_damage_beside_is_repaired_before_the_cut_over(slip: Slipstream) -> None:
    build(slip)
    beside = next(stamp for stamp in stamps(slip) if stamp.space.model_id == NEW)
    slip.store.index.delete([Deletion(beside.key, beside.position, beside.space)])
    assert not slip.migrations.audit().is_consistent
    assert slip.verify().is_consistent
    assert slip.migrations.cut_over().is_consistent
    assert models(slip)[NEW, 2] == PEOPLE


def test_an_incomplete_generation_is_refused(slip: Slipstream) -> None:
    view = View("Person", "{{ motto - 1 }}")
    slip.migrations.start(slip.migrations.candidate(views=[view]))
    assert slip.migrations.wait(timeout_s=30)
    with pytest.raises(ConfigError, match="not complete"):
        slip.migrations.cut_over(patience_s=5)
    assert len(slip.search("name 7", k=20)) == 20
    assert slip.dead_letters.letter_count() == PEOPLE
    slip.pkg.update_entity("p1", {"name": "still works"})
    assert slip.sync.wait(slip.pkg.feed.head(), timeout_s=60), "a recipe that fails must not stop the live one"
    assert slip.search("still works. motto: motto 1", k=1)[0].entity_id == "p1"


def test_a_veto_keeps_the_live_generation(slip: Slipstream) -> None:
    build(slip)
    with pytest.raises(ConfigError, match=r"overlap is 0\.2"):
        slip.migrations.cut_over(veto=lambda: ["overlap is 0.2"])
    assert {hit.model_id for hit in slip.search("name 7", k=5)} == {OLD}


def test_a_cut_over_needs_a_generation_that_is_built(slip: Slipstream) -> None:
    with pytest.raises(ConfigError, match="can not cut over: the migration is alone"):
        slip.migrations.cut_over()
    with pytest.raises(ConfigError, match="can not roll back"):
        slip.migrations.roll_back()
    with pytest.raises(ConfigError, match="nothing to migrate"):
        slip.migrations.start()
    with pytest.raises(ConfigError, match="unknown embedding model 'nope'"):
        slip.migrations.start(slip.migrations.candidate(default="nope"))
    build(slip)
    with pytest.raises(ConfigError, match="a migration is under way"):
        slip.migrations.start(slip.migrations.candidate(default=NEW))


# ---------------------------------------------------------------------- pausing, restarting, failing


def test_a_paused_migration_goes_on_and_misses_nothing(tmp_path: Path) -> None:
    after = new()
    with opened(tmp_path, old(), after) as slip:
        fill(slip)
        build(slip)
        slip.migrations.pause()
        slip.pkg.update_entity("p1", {"name": "changed"})
        slip.pkg.delete_entity("p2")
        slip.pkg.create_entity("Person", "late", {"name": "late"})
        assert slip.sync.drain(timeout_s=30)
        assert slip.verify().is_consistent
        assert models(slip) == {(OLD, 1): PEOPLE, (NEW, 2): PEOPLE - 1}
        after.embedded.clear()
        slip.migrations.resume()
        assert slip.migrations.wait(timeout_s=30)
        assert sorted(after.embedded) == ["changed. motto: motto 1", "late"], (
            "what is unchanged is not embedded again"
        )
        assert slip.migrations.cut_over().is_consistent


def test_a_migration_survives_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
    with opened(tmp_path) as slip:
        slip.sync.stop()
        slip.migrations.start(slip.migrations.candidate(default=NEW))
    after = new()
    with opened(tmp_path, old(), after) as slip:
        assert slip.migrations.wait(timeout_s=30)
        slip.migrations.cut_over()
    with opened(tmp_path) as slip:  # the configuration still names the old default: the journal decides
        assert {hit.model_id for hit in slip.search("name 7", k=20)} == {NEW}
        assert slip.status().counters.get("embedded", 0) == 0
        slip.migrations.drop()
    with pytest.raises(ConfigError, match="migrate start"):
        opened(tmp_path)
    with opened(tmp_path, new()) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert models(slip) == {(NEW, 2): PEOPLE}
        assert slip.verify().is_consistent


class Broken(HashEmbedder):
    """Goes down after some texts."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed, or not."""
        if len(self.embedded) > 1_200:
            raise UnavailableError("down")
        return super().embed(texts)


def test_a_backfill_goes_on_where_it_was(tmp_path: Path) -> None:
    many = 2_500
    settings = SyncSettings(log_page=200)
    with opened(tmp_path, old(), Broken(dimension=32, id=NEW), settings=settings) as slip:
        fill(slip, many)
        slip.migrations.start(slip.migrations.candidate(default=NEW))
        while slip.migrations.status().outage is None:
            assert not slip.migrations.wait(timeout_s=0.05)
        assert slip.migrations.status().progress is not None
    with opened(tmp_path) as slip:
        half = models(slip)[NEW, 2]
        assert many // 4 < half < many
        assert slip.migrations.wait(timeout_s=60)
        assert slip.status().counters["embedded"] + slip.status().counters.get("cached", 0) == many - half
        assert slip.status().counters["unchanged"] < half // 2, "the chunks that were done are not compared again"
        assert slip.migrations.cut_over().is_consistent


def test_an_outage_of_the_next_model_stops_nothing_else(tmp_path: Path) -> None:
    after = new()
    with opened(tmp_path, old(), after) as slip:
        fill(slip)
        after.fail_with = UnavailableError("the new model's server is down")
        with pytest.raises(UnavailableError, match="server is down"):
            slip.migrations.start(slip.migrations.candidate(default=NEW))
        assert slip.migrations.status().phase is Phase.ALONE
        after.fail_with = None
        slip.sync.stop()
        slip.migrations.start(slip.migrations.candidate(default=NEW))
        after.fail_with = UnavailableError("the new model's server is down")
        slip.sync.start()
        position = slip.pkg.create_entity("Person", "live", {"name": "live goes on"})
        assert slip.sync.wait(position, timeout_s=60)
        assert slip.search("live goes on", k=1)[0].entity_id == "live"
        until(lambda: "server is down" in (slip.migrations.status().outage or ""))
        assert not slip.migrations.wait(timeout_s=0.05)
        assert slip.status().outage is None
        after.fail_with = None
        assert slip.migrations.wait(timeout_s=60)
        assert slip.migrations.cut_over().is_consistent


@pytest.mark.parametrize("index", ["sqlite", "chroma"])
def test_three_models_are_kept_apart(tmp_path: Path, index: str) -> None:
    """Two dimensions, and two identities of one: a query meets the vectors of its own model, and no others."""
    embedders = (old(), new(), twin())
    with opened(tmp_path, *embedders, index=index) as slip:
        fill(slip)
        build(slip, TWIN)
        assert models(slip) == {(OLD, 1): PEOPLE, (TWIN, 2): PEOPLE}
        assert found_by_each(slip, embedders) == {OLD: OLD, TWIN: None, NEW: None}
        slip.migrations.cut_over()
        assert found_by_each(slip, embedders) == {OLD: None, TWIN: TWIN, NEW: None}
        slip.migrations.drop()
        assert slip.sync.drain(timeout_s=60)
        build(slip, NEW)
        slip.migrations.cut_over()
        assert models(slip) == {(TWIN, 2): PEOPLE, (NEW, 3): PEOPLE}
        assert found_by_each(slip, embedders) == {OLD: None, TWIN: None, NEW: NEW}
        with pytest.raises(InvalidInputError, match="query_vector"):
            slip.store.query_embeddings(embedders[0].embed(["name 7"])[0], model_id=NEW)


def found_by_each(slip: Slipstream, embedders: Sequence[HashEmbedder]) -> dict[str, str | None]:
    """
    Search what is live with a query of each model, and the index itself in the space of each.

    Returns, for each model, whose vectors answered; None when it found nothing.
    """
    text, answered = "name 7. motto: motto 7", dict[str, str | None]()
    for embedder in embedders:
        vector, name = embedder.embed([text])[0], embedder.spec.id
        hits = slip.store.query_embeddings(vector, top_k=1_000, entity_type="Person", model_id=name)
        owners = {hit.metadata.model_id for hit in hits}
        assert len(owners) <= 1
        assert not hits or (hits[0].metadata.entity_id, round(hits[0].score, 4)) == ("p7", 1.0)
        assert len(hits) in (0, PEOPLE)
        answered[name] = next(iter(owners), None)
        for space in {stamp.space for stamp in stamps(slip) if stamp.space.model_id == name}:
            raw = slip.store.index.search(space, vector, 1_000, SearchFilter(frozenset(("Person",))))
            assert {hit.stamp.space for hit in raw} == {space}
            assert (raw[0].stamp.key, round(raw[0].score, 4)) == (entity_key("p7"), 1.0)
    live = {hit.model_id for hit in slip.search(text, k=1_000, entity_type="Person")}
    assert live == {owner for owner in answered.values() if owner is not None}
    return answered


def test_an_event_is_handled_while_the_next_model_is_down(tmp_path: Path) -> None:
    after = new()
    with opened(tmp_path, old(), after) as slip:
        fill(slip)
        build(slip)
        slip.sync.stop()
        after.fail_with = UnavailableError("the new model's server is down")
        slip.pkg.update_entity("p1", {"name": "changed live"})
        assert slip.handler.handle_event(
            PKGEvent(
                event_id="from elsewhere",
                event_type=PKGEventType.ENTITY_UPDATED,
                entity_id="p1",
                entity_type="Person",
                timestamp=slip.clock.now(),
                schema_version=1,
            )
        )
        assert slip.search("changed live. motto: motto 1", k=1)[0].entity_id == "p1"
        assert [item.key for item in slip.journal.work(None, 10, Lane.MIGRATION)] == [entity_key("p1")]
    with opened(tmp_path) as slip:
        assert slip.migrations.wait(timeout_s=60)
        assert slip.sync.drain(timeout_s=60)
        assert slip.migrations.cut_over().is_consistent
        assert slip.search("changed live. motto: motto 1", k=1)[0].entity_id == "p1"


@pytest.mark.parametrize("on_other", [OnOtherRecipe.REFUSE, OnOtherRecipe.KEEP, OnOtherRecipe.KEEP_MODELS])
@pytest.mark.parametrize(
    "changed", [HashEmbedder(dimension=16, id=OLD, version="2"), HashEmbedder(dimension=8, id=OLD)]
)
def test_a_model_that_changed_under_its_own_id_is_refused(
    tmp_path: Path, changed: HashEmbedder, on_other: OnOtherRecipe
) -> None:
    with opened(tmp_path, old()) as slip:
        fill(slip)
    spec = changed.spec
    with pytest.raises(ConfigError, match=rf"old version 1, 16-d -> old version {spec.version}, {spec.dimension}-d"):
        opened(tmp_path, changed, on_other_recipe=on_other)
    with pytest.raises(ConfigError, match="old version 1, 16-d -> "):
        opened(tmp_path, new(), changed, on_other_recipe=on_other)


def test_a_live_model_that_changed_under_its_own_id_is_refused_amid_a_migration(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        build(slip)
    with pytest.raises(ConfigError, match="old version 1, 16-d -> old version 2, 16-d"):
        opened(tmp_path, new(), HashEmbedder(dimension=16, id=OLD, version="2"))  # declares what is being built
    with opened(tmp_path, new(), old()) as slip:
        assert slip.search("name 7", k=1)[0].model_id == OLD


def test_other_models_are_kept_out_and_edited_views_let_in_where_that_is_asked_for(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
    edited = (View("Organization", "organisation {{ name }}"),)
    keep = OnOtherRecipe.KEEP_MODELS
    after = new()
    with opened(tmp_path, after, old(), views=edited, on_other_recipe=keep) as slip:
        assert slip.refused_recipe is not None
        assert "Person: old version 1, 16-d -> new version 1, 32-d" in slip.refused_recipe
        slip.pkg.create_entity("Person", "late", {"name": "late"})
        assert slip.sync.drain(timeout_s=30)
        assert slip.search("Acme", k=1, entity_type="Organization")[0].text == "Acme"
        assert slip.search("late", k=1)[0].model_id == OLD
        assert slip.verify().is_consistent
        assert after.embedded == []
    with opened(tmp_path, old(), new(), views=edited, on_other_recipe=keep) as slip:
        assert slip.refused_recipe is None
        assert slip.sync.drain(timeout_s=30)
        assert slip.search("Acme", k=1, entity_type="Organization")[0].text == "organisation Acme"


def test_a_third_recipe_is_kept_out_amid_a_migration_where_that_is_asked_for(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        build(slip)
    third = (View("Person", "a third"),)
    with pytest.raises(ConfigError, match="neither the live recipe nor"):
        opened(tmp_path, views=third)
    with opened(tmp_path, views=third, on_other_recipe=OnOtherRecipe.KEEP_MODELS) as slip:
        assert "neither the live recipe nor" in (slip.refused_recipe or "")
        assert slip.search("name 7", k=1)[0].text.startswith("name ")
        assert slip.migrations.cut_over().is_consistent


def reopened_with(root: Path, *views: View) -> Slipstream:
    config = Config.model_validate({"models": {"routes": {"Person": NEW}}})
    return open_pkg(root, config=config, options=Options(embedders=(old(), new()), views=views))


def test_an_edit_in_place_reaches_the_retired_generation_where_records_are_shared(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        slip.migrations.start(slip.migrations.candidate(routes={"Person": NEW}))
        assert slip.migrations.wait(timeout_s=30)
        slip.migrations.cut_over()
    shared, moved = View("Organization", "organisation {{ name }}"), View("Person", "person {{ name }}")
    with reopened_with(tmp_path, shared, moved) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.migrations.status().phase is Phase.RETIRED
        assert slip.verify().is_consistent
        assert slip.migrations.audit().is_consistent
        assert slip.search("name 7", k=1, entity_type="Person")[0].text.startswith("person name")
        slip.migrations.roll_back()
        assert slip.verify().is_consistent
        assert slip.search("Acme", k=1, entity_type="Organization")[0].text == "organisation Acme"
        assert slip.search("name 7. motto: motto 7", k=1, entity_type="Person")[0].text == "name 7. motto: motto 7"
    with reopened_with(tmp_path, shared, moved) as slip:
        assert slip.sync.drain(timeout_s=30)
        assert slip.status().counters.get("embedded", 0) == 0
        assert slip.migrations.status().phase is Phase.BUILT
        assert slip.verify().is_consistent
        slip.migrations.cut_over()
        assert slip.verify().is_consistent


def test_a_view_of_relationships_that_comes_and_goes_beside_a_retired_generation_can_be_rolled_back(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        slip.migrations.start(slip.migrations.candidate(routes={"Person": NEW}))
        assert slip.migrations.wait(timeout_s=30)
        slip.migrations.cut_over()
    jobs = View("WORKS_AT", "{{ source.name }} works at {{ target.name }}", is_relationship=True)
    for views in ((jobs,), ()):
        with reopened_with(tmp_path, *views) as slip:
            assert slip.sync.drain(timeout_s=30)
            assert len(models(slip, "WORKS_AT")) == len(views)
            for step in (slip.migrations.roll_back, slip.migrations.cut_over):
                step()
                assert slip.verify().is_consistent
                assert slip.migrations.audit().is_consistent


# ---------------------------------------------------------------------- readers


def test_every_search_during_a_migration_is_answered_by_one_generation(slip: Slipstream) -> None:
    """Searches, mutations, a cut-over, a roll-back and a drop at the same time."""
    wrong: list[object] = []
    searches = 0
    ended = threading.Event()

    def search() -> None:
        nonlocal searches
        while not ended.is_set():
            hits = slip.search("name 7", k=PEOPLE, mode="vector")
            searches += 1
            if len({hit.model_id for hit in hits}) != 1 or len({hit.entity_id for hit in hits}) < PEOPLE - 5:
                wrong.append(hits)

    def mutate() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            slip.pkg.update_entity(f"p{number % PEOPLE}", {"motto": f"motto {number}"})
            ended.wait(0.01)

    def searched_on() -> None:
        """Wait for searches, of which the last began behind what came before."""
        enough = searches + 4
        until(lambda: searches >= enough)

    threads = [threading.Thread(target=search) for _ in range(2)] + [threading.Thread(target=mutate)]
    for thread in threads:
        thread.start()
    try:
        build(slip)
        searched_on()
        assert slip.migrations.cut_over().is_consistent
        searched_on()
        slip.migrations.roll_back()
        searched_on()
        assert slip.migrations.cut_over().is_consistent
        slip.migrations.drop()
        searched_on()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert slip.sync.drain(timeout_s=30)
    assert slip.verify().is_consistent
    assert models(slip) == {(NEW, 2): PEOPLE}


def test_texts_and_models_of_a_search_are_of_one_generation(slip: Slipstream) -> None:
    """Searches beside cut-overs and roll-backs of a migration that changes both."""
    slip.migrations.start(slip.migrations.candidate(views=[View("Person", "edited {{ name }}")], default=NEW))
    assert slip.migrations.wait(timeout_s=60)
    seen: set[tuple[str, bool]] = set()
    ended = threading.Event()

    def search() -> None:
        while not ended.is_set():
            hits = slip.search("name 7", k=30, entity_type="Person")
            seen.update((hit.model_id, hit.text.startswith("edited")) for hit in hits)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            slip.migrations.cut_over()
            slip.migrations.roll_back()
        until(lambda: (OLD, False) in seen)
        slip.migrations.cut_over()
        until(lambda: (NEW, True) in seen)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert seen == {(OLD, False), (NEW, True)}
