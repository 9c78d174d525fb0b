"""Quality of real stores, with vectors that are bad on purpose."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from slipstream.app.composition import OnOtherRecipe, Options, open_pkg
from slipstream.app.composition.opening import DATA_FOLDER
from slipstream.app.config import Config, QualityConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, CorruptionError, InvalidInputError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.stamps import VectorRecord
from slipstream.quality.comparison import QualityGate, Query, comparison_as_dict
from slipstream.quality.figures import RecordFigures
from slipstream.quality.kept_runs import RECORD_RUNS_MAX, RECORDS, RUNS, RUNS_MAX, KeptRuns
from slipstream.quality.page import comparison_page, quality_page, record_page, write_page
from slipstream.quality.tracking import QualityRun, QualitySettings, Weakness
from slipstream.recipes.generations import Phase
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View

PEOPLE = 40
VIEW = View(type="Person", template="{{ name }}")


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder(dimension=512)


@pytest.fixture
def slipstream(tmp_path: Path, embedder: HashEmbedder) -> Iterator[Slipstream]:
    options = Options(views=(VIEW,), embedders=(embedder,))
    with open_pkg(tmp_path, create=True, options=options) as opened:
        for n in range(PEOPLE):
            confidence = n / PEOPLE
            opened.pkg.create_entity("Person", f"p{n:02}", {"name": f"word{n}", "extraction_confidence": confidence})
        opened.sync.drain()
        yield opened


def _overwrite(slipstream: Slipstream, entity_id: str, like: str) -> None:
    """Give a record the vector of another one, as a damaged index would."""
    index, key, other = slipstream.store.index, entity_key(entity_id), entity_key(like)
    (stamp,) = index.stamps([key])[key].records
    vector = index.vectors([other], stamp.space)[other]
    index.upsert([VectorRecord(stamp, vector)])


def test_a_healthy_index_has_nothing_weak(slipstream: Slipstream) -> None:
    report = slipstream.quality.run(QualitySettings(hub_sigmas=20))
    assert (report["records"], report["sampled"], report["self_sampled"]) == (PEOPLE, PEOPLE, PEOPLE)
    assert report["counts"] == dict.fromkeys(("invalid", "near_duplicate", "hub", "not_self_retrieved"), 0)
    assert report["self_retrieval"] == {"first": 1.0, "found": 1.0, "mrr": 1.0}
    assert report["confidence"]["known"] == PEOPLE
    assert report["types"]["Person"]["records"] == PEOPLE
    assert slipstream.quality.weak() == []


def test_near_duplicates_and_what_its_name_does_not_find(slipstream: Slipstream, embedder: HashEmbedder) -> None:
    _overwrite(slipstream, "p07", like="p30")
    report = slipstream.quality.run(QualitySettings(k=1))
    assert report["counts"]["near_duplicate"] == 2
    near = slipstream.quality.weak([Weakness.NEAR_DUPLICATE])
    assert {(weak.key, weak.other) for weak in near} == {("e:p07", "e:p30"), ("e:p30", "e:p07")}
    lost = [weak.key for weak in slipstream.quality.weak([Weakness.NOT_SELF_RETRIEVED])]
    assert "e:p07" in lost
    embedder.reset()
    assert slipstream.quality.reembed([RecordKey.decode("e:p07")], "near another") == 1
    slipstream.sync.drain()
    assert embedder.embedded == ["word7"]
    assert slipstream.quality.run(QualitySettings(k=1))["counts"]["near_duplicate"] == 0


def test_a_hub_is_found(slipstream: Slipstream) -> None:
    slipstream.pkg.create_entity("Person", "hub", {"name": " ".join(f"word{n}" for n in range(PEOPLE))})
    slipstream.sync.drain()
    slipstream.quality.run(QualitySettings(k=2))
    assert [weak.key for weak in slipstream.quality.weak([Weakness.HUB])] == ["e:hub"]


def test_the_sample_is_the_same_from_run_to_run_and_stated(slipstream: Slipstream) -> None:
    settings = QualitySettings(sample=5, self_sample=2)
    first, second = slipstream.quality.run(settings), slipstream.quality.run(settings)
    assert first["nearest_distance"] == second["nearest_distance"]
    assert first["sampled"] == 5
    assert any("5 of 40 records" in note for note in first["notes"])
    assert [run["id"] for run in slipstream.quality.trend()] == [1, 2]


def _all(**more: int) -> QualitySettings:
    return QualitySettings(sample=None, self_sample=None, **more)


def test_every_record_is_looked_at_when_all_are_asked_for(slipstream: Slipstream) -> None:
    slipstream.pkg.relate("p01", "KNOWS", "p02")
    done: list[int] = []
    report = slipstream.quality.run(_all(), done.append)
    assert (report["sampled"], report["self_sampled"], report["notes"]) == (PEOPLE, PEOPLE, [])
    assert done[-1] == 2 * PEOPLE
    assert all(slipstream.quality.record(f"p{n:02}")["runs"] for n in range(PEOPLE))
    sampled = slipstream.quality.run(QualitySettings(sample=PEOPLE, self_sample=PEOPLE))
    same = ("counts", "nearest_distance", "hubness_skewness", "self_retrieval", "types")
    assert {name: report[name] for name in same} == {name: sampled[name] for name in same}


def test_a_record_has_figures_in_every_run_and_a_trend(slipstream: Slipstream) -> None:
    _overwrite(slipstream, "p07", like="p30")
    slipstream.quality.run(_all(k=1))
    slipstream.pkg.update_entity("p07", {"extraction_confidence": 0.9})  # embedded anew: its own vector again
    slipstream.sync.drain()
    slipstream.quality.run(_all(k=1))
    found = slipstream.quality.record("p07")
    assert (found["key"], found["type"], found["confidence"]) == ("e:p07", "Person", 0.9)
    assert found["embedded_confidence"] == 0.9
    assert found["confidence_change"] == pytest.approx(0.9 - 7 / PEOPLE)
    damaged, sound = found["runs"]
    assert (damaged["run"], damaged["nearest"], damaged["nearest_distance"]) == (1, "e:p30", 0.0)
    assert (damaged["neighbour_of"], damaged["self_rank"]) == (1, 0)
    assert (sound["run"], sound["self_rank"], sound["valid"]) == (2, 1, True)
    assert sound["norm"] == pytest.approx(1.0, abs=1e-5)
    assert sound["nearest_distance"] > 0.02
    assert slipstream.quality.record("e:p07") == found


def test_a_vector_that_is_none_has_figures_too(slipstream: Slipstream, tmp_path: Path) -> None:
    damage = "UPDATE vectors SET vector = zeroblob(2048) WHERE record = (SELECT id FROM records WHERE key = 'e:p07')"
    with closing(sqlite3.connect(tmp_path / DATA_FOLDER / "index.db")) as raw, raw:
        assert raw.execute(damage).rowcount == 1
    slipstream.quality.run(QualitySettings(sample=0, self_sample=0))
    (run,) = slipstream.quality.record("p07")["runs"]
    assert (run["valid"], run["norm"], run["nearest"]) == (False, 0.0, None)
    assert slipstream.quality.record("p08")["runs"] == [], "a sample of none looks at no sound record"


def test_an_unknown_record_is_refused_and_a_lost_one_is_remembered(slipstream: Slipstream) -> None:
    slipstream.quality.run(_all())
    slipstream.pkg.delete_entity("p07")
    slipstream.sync.drain()
    assert slipstream.quality.record("p07")["confidence"] is None
    with pytest.raises(InvalidInputError) as refused:
        slipstream.quality.record("nobody")
    assert refused.value.field == "id"


def test_figures_of_records_are_bounded_and_damage_is_named(slipstream: Slipstream) -> None:
    kept = KeptRuns(slipstream.journal)
    figures = (RecordFigures("e:x", "Person", 1.0, 0.5),)
    for _ in range(RECORD_RUNS_MAX + 2):
        kept.keep(QualityRun({"at": "now"}, (), figures))
    assert [run["run"] for run in kept.record("e:x")] == list(range(3, RECORD_RUNS_MAX + 3))
    assert slipstream.journal.get(f"{RECORDS}:2") is None
    slipstream.journal.set(f"{RECORDS}:5", '[["e:x", 1]]')
    with pytest.raises(CorruptionError, match="quality-records:5"):
        kept.record("e:x")


def test_confidence_is_asked_of_the_index_as_it_is(slipstream: Slipstream) -> None:
    found = slipstream.quality.confidence_below(0.05)
    assert [(key.id, kind, value) for key, kind, value in found] == [("p00", "Person", 0.0), ("p01", "Person", 0.025)]
    with pytest.raises(InvalidInputError) as refused:
        slipstream.quality.confidence_below(2)
    assert refused.value.field == "confidence_below"


def test_without_a_run_or_a_migration_it_says_what_to_do(slipstream: Slipstream) -> None:
    with pytest.raises(ConfigError, match="slipstream quality run"):
        slipstream.quality.weak()
    with pytest.raises(ConfigError, match="slipstream migrate start"):
        slipstream.quality.compare()


def test_history_is_bounded_and_damage_is_named(slipstream: Slipstream) -> None:
    kept = KeptRuns(slipstream.journal)
    for _ in range(RUNS_MAX + 2):
        kept.keep(QualityRun({"at": "now"}, ()))
    assert [kept.runs()[0]["id"], kept.runs()[-1]["id"], len(kept.runs())] == [3, RUNS_MAX + 2, RUNS_MAX]
    slipstream.journal.set(RUNS, "{")
    with pytest.raises(CorruptionError, match="quality-runs"):
        kept.runs()


def test_a_page_shows_what_was_found_and_no_markup_of_others(slipstream: Slipstream, tmp_path: Path) -> None:
    report = slipstream.quality.run()
    page = quality_page({**report, "notes": ["<script>"]}, slipstream.quality.trend())
    assert "Quality of 40 records" in page
    assert "<script>" not in page
    (points,) = re.findall(r"mean extraction confidence.*?<polyline points=\"([^\"]*)\"", page, re.DOTALL)
    assert points == "10.0,81.5", "0.4875 of the height"
    slipstream.quality.run()
    assert quality_page(report, slipstream.quality.trend()).count("<circle") == 6
    assert "extraction confidence 0.175" in record_page(slipstream.quality.record("p07"))
    assert write_page(tmp_path / "q", page).read_text() == page
    with pytest.raises(ConfigError, match="choose another place"):
        write_page(tmp_path / "missing" / "q", page)


def _worse(root: Path, gate: QualityConfig) -> Slipstream:
    """Return a PKG whose next generation is built, and finds nothing."""
    with open_pkg(root, create=True, options=Options(views=(VIEW,), embedders=(HashEmbedder(dimension=512),))) as pkg:
        for n in range(PEOPLE):
            pkg.pkg.create_entity("Person", f"p{n:02}", {"name": f"word{n}"})
        pkg.sync.drain()
    worse = replace(VIEW, template="all alike {% if name == 'word1' %}!{% endif %}")
    options = Options(views=(worse,), embedders=(HashEmbedder(dimension=512),), on_other_recipe=OnOtherRecipe.KEEP)
    opened = open_pkg(root, config=Config(quality=gate), options=options)
    opened.migrations.start(opened.migrations.candidate())
    assert opened.migrations.wait(timeout_s=30)
    return opened


def test_the_configured_gate_vetoes_a_cut_over_unless_it_is_told_not_to(tmp_path: Path) -> None:
    with _worse(tmp_path, QualityConfig(overlap_min=0.99)) as slip:
        assert slip.quality.objections()
        with pytest.raises(ConfigError, match=r"vetoed: overlap is 0\.\d+, at least 0\.99"):
            slip.migrations.cut_over()
        assert slip.search("word7")[0].entity_id == "p07"
        slip.migrations.cut_over(gated=False)
        assert slip.migrations.status().phase is Phase.RETIRED


def test_a_veto_of_the_callers_stands_in_for_the_configured_gate(tmp_path: Path) -> None:
    with _worse(tmp_path, QualityConfig(recall_min=0.0)) as slip:
        with pytest.raises(ConfigError, match="recall_new was not measured"):
            slip.migrations.cut_over()
        slip.migrations.cut_over(veto=lambda: slip.quality.objections([Query("word7", ("p07",))]))
        assert slip.migrations.status().phase is Phase.RETIRED


def test_a_gate_that_asks_for_nothing_compares_nothing(tmp_path: Path) -> None:
    with _worse(tmp_path, QualityConfig()) as slip:
        slip.migrations.pause()
        with pytest.raises(ConfigError, match="no generation to compare"):
            slip.quality.compare()
        assert slip.quality.objections() == ()


def test_what_a_query_expects_has_to_be_in_the_graph(tmp_path: Path) -> None:
    with _worse(tmp_path, QualityConfig()) as slip:
        slip.pkg.relate("p01", "KNOWS", "p02")
        known = Query("word7", ("p07", "KNOWS:p01:p02"))
        slip.quality.check([known])
        for ids in (("nobody",), ("KNOWS:p02:p01", "nobody"), ("a:b:c:d:e",)):
            with pytest.raises(InvalidInputError, match=rf"{len(ids)} expected ids .*{ids[-1]}") as refused:
                slip.quality.compare([known, Query("word1", ids)])
            assert refused.value.field == "queries: expected"


def test_a_relationship_view_of_one_generation_is_compared_before_and_behind(slipstream: Slipstream) -> None:
    slipstream.pkg.relate("p01", "KNOWS", "p02")
    slipstream.sync.drain()
    view = View("KNOWS", "{{ source.name }} knows {{ target.name }}", is_relationship=True)
    query = Query("word1 knows word2", ("KNOWS:p01:p02",))
    slipstream.migrations.start(slipstream.migrations.candidate(views=[view]))
    assert slipstream.migrations.wait(timeout_s=30)
    before = slipstream.quality.compare([query]).summary()
    assert (before["mrr_old"], before["mrr_new"]) == (0.0, 1.0)
    slipstream.migrations.cut_over()
    assert slipstream.search(query.text, k=1)[0].entity_id == "KNOWS:p01:p02"
    behind = slipstream.quality.compare([query]).summary()
    assert (behind["mrr_old"], behind["mrr_new"]) == (1.0, 0.0)
    slipstream.migrations.roll_back()
    assert slipstream.quality.compare([query]).summary() == before


def test_generations_are_compared_and_a_veto_holds(tmp_path: Path, embedder: HashEmbedder) -> None:
    with open_pkg(tmp_path, create=True, options=Options(views=(VIEW,), embedders=(embedder,))) as opened:
        for n in range(PEOPLE):
            opened.pkg.create_entity("Person", f"p{n:02}", {"name": f"word{n}"})
        opened.sync.drain()
    worse = replace(VIEW, template="all alike {% if name == 'word1' %}!{% endif %}")
    options = Options(views=(worse,), embedders=(HashEmbedder(dimension=512),), on_other_recipe=OnOtherRecipe.KEEP)
    with open_pkg(tmp_path, options=options) as opened:
        opened.migrations.start(opened.migrations.candidate())
        opened.migrations.wait()
        comparison = opened.quality.compare([Query("word7", ("p07",))], sample=20)
        assert (len(comparison.samples), comparison.skipped) == (20, 0)
        summary = comparison.summary()
        assert summary["mrr_old"] == 1.0
        assert summary["mrr_new"] < 1.0
        reasons = QualityGate(mrr_min=1.0).reasons(comparison)
        with pytest.raises(ConfigError, match="mrr_new is"):
            opened.migrations.cut_over(veto=lambda: reasons)
        assert opened.search("word7")[0].entity_id == "p07"
        data = json.loads(json.dumps(comparison_as_dict(comparison, reasons)))
        assert "Vetoed" in comparison_page(data)
