"""Evolution over the real stores: how many embeddings each kind of change costs, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.engine.settings import SyncSettings
from slipstream.evolution.reembedding import ReembeddingProgress
from slipstream.evolution.selector import ReembeddingSelector
from slipstream.testkit.embedders import NotingEmbedder
from slipstream.views.declaration import Chain, Via, View

VIEWS = (
    View(
        "Person",
        "{{ name }}{% if title %}, {{ title }}{% endif %} at {{ employer|map(attribute='name')|join(', ') }}",
        {"employer": Via("WORKS_AT")},
    ),
)
PEOPLE = 30


@pytest.fixture
def embedder() -> NotingEmbedder:
    return NotingEmbedder()


@pytest.fixture(params=["sqlite", "chroma"])
def slip(request: pytest.FixtureRequest, tmp_path: Path, embedder: NotingEmbedder) -> Iterator[Slipstream]:
    config = Config(index=IndexConfig.model_validate({"adapter": request.param}))
    settings = SyncSettings(batch_min=1, batch_max=4)
    options = Options(views=VIEWS, embedders=(embedder,), settings=settings)
    with open_pkg(tmp_path, config=config, options=options) as opened:
        with opened.pkg.transaction() as tx:
            for company in ("acme", "zuse"):
                tx.create_entity("Company", company, {"name": company, "extraction_confidence": 0.99})
            for n in range(PEOPLE):
                tx.create_entity("Person", f"p{n}", {"name": f"person {n}", "extraction_confidence": n / PEOPLE})
                tx.relate(f"p{n}", "WORKS_AT", "acme" if n < 4 else "zuse")
        assert opened.sync.drain(timeout_s=60)
        embedder.seen.clear()
        yield opened


def _settled(slip: Slipstream) -> None:
    assert slip.sync.drain(timeout_s=60)
    report = slip.verify()
    assert report.is_consistent, report.divergences
    version = slip.pkg.schema().version
    assert {stamp.schema_version for stamp in slip.store.index.scan(None, 1_000)} == {version}


def test_an_unrelated_type_embeds_nothing_but_itself(slip: Slipstream, embedder: NotingEmbedder) -> None:
    slip.pkg.create_entity("Ship", "ms1", {"name": "Mary", "length_m": 12.5})
    _settled(slip)
    assert embedder.seen == ["Mary"]


def test_a_property_that_a_template_names_embeds_exactly_those_that_have_it(
    slip: Slipstream, embedder: NotingEmbedder
) -> None:
    before = slip.pkg.schema().version
    with slip.pkg.transaction() as tx:
        for name in ("p3", "p7"):
            tx.update_entity(name, {"title": "Dr."})
    _settled(slip)
    assert sorted(embedder.seen) == ["person 3, Dr. at acme", "person 7, Dr. at zuse"]
    changes = slip.reembedding.detect_schema_changes(before, slip.pkg.schema().version)
    assert changes["changed_properties"] == {"Person": {"added": ["title"], "removed": [], "retyped": []}}
    assert changes["views_affected"] == ["Person"]
    assert changes["requires_reembedding"] is True


def test_a_property_that_no_template_names_embeds_nothing(slip: Slipstream, embedder: NotingEmbedder) -> None:
    before = slip.pkg.schema().version
    slip.pkg.update_entity("p3", {"shoe_size": 44})
    _settled(slip)
    assert embedder.seen == []
    assert slip.pkg.schema().version == before + 1
    assert slip.reembedding.changes(before, before + 1).requires_reembedding is False


def test_renaming_a_neighbour_embeds_exactly_those_that_show_it(slip: Slipstream, embedder: NotingEmbedder) -> None:
    slip.pkg.update_entity("acme", {"name": "Acme Ltd"})
    _settled(slip)
    assert sorted(embedder.seen) == ["Acme Ltd", *(f"person {n} at Acme Ltd" for n in range(4))]


def test_selected_records_are_embedded_by_falling_confidence(slip: Slipstream, embedder: NotingEmbedder) -> None:
    told: list[ReembeddingProgress] = []
    selector = ReembeddingSelector(entity_types=("Person",), confidence_below=0.5)
    result = slip.reembedding.trigger_reembedding(
        selector=selector, reason="low", batch_size=4, on_progress=told.append
    )
    assert result.selected == PEOPLE // 2
    assert [text.split(" at ")[0] for text in embedder.seen] == [
        f"person {n}" for n in range(PEOPLE // 2 - 1, -1, -1)
    ]
    assert told[-1].done == told[-1].total
    (found,) = slip.store.get_metadata("p3")
    assert (found.needs_reembedding, found.reembedding_reason) == (False, "low")
    _settled(slip)


def test_it_goes_on_beside_live_changes_and_after_a_reopen(
    tmp_path: Path, slip: Slipstream, embedder: NotingEmbedder
) -> None:
    selections = slip.sync.engine.intake_stage.selections
    slip.sync.stop()
    selections.add(ReembeddingSelector(schema_version=1_000), "asked", force=True, page_size=5)
    selections.step()
    slip.sync.start()
    position = slip.pkg.update_entity("p29", {"name": "live"})
    assert slip.sync.wait(position, timeout_s=60)
    slip.reembedding.resume()
    assert {text.split(" at ")[0] for text in embedder.seen} == {
        *(f"person {n}" for n in range(PEOPLE - 1)), "live", "acme", "zuse"
    }  # fmt: skip
    _settled(slip)


def _reopened(directory: Path, seen: list[str], *views: View) -> Slipstream:
    options = Options(views=views, embedders=(NotingEmbedder(seen=seen),))
    return open_pkg(directory, config=Config(), options=options)


def test_an_edited_template_embeds_exactly_the_records_whose_text_it_changes(tmp_path: Path) -> None:
    seen: list[str] = []
    with _reopened(tmp_path, seen, View("Person", "{{ name }}")) as slip:
        for n in range(6):
            slip.pkg.create_entity("Person", f"p{n}", {"name": f"person {n}", **({"title": "Dr."} if n < 2 else {})})
        slip.pkg.create_entity("Company", "acme", {"name": "Acme"})
        assert slip.sync.drain(timeout_s=60)
    seen.clear()
    edited = View("Person", "{{ name }}{% if title %}, {{ title }}{% endif %}")
    with _reopened(tmp_path, seen, edited) as slip:
        _settled(slip)
        assert sorted(seen) == ["person 0, Dr.", "person 1, Dr."]
        versions = {stamp.extraction_template_version for stamp in slip.store.index.scan(None, 100)}
        assert len(versions) == 2, "of Person's new template, all of them, and of Company"
        assert slip.status().counters["restamped"] == 4
    seen.clear()
    same_text = View("Person", "{{ name }}{% if title is defined %}, {{ title }}{% endif %}")
    with _reopened(tmp_path, seen, same_text) as slip:
        _settled(slip)
        assert seen == []
        assert slip.status().counters["restamped"] == 6


def test_a_change_of_a_cause_embeds_its_effects_within_the_depth(tmp_path: Path) -> None:
    seen: list[str] = []
    view = View("Event", "{{ name }}", causes=Chain("CAUSED_BY", depth=2, properties=("name", "timestamp")))
    with _reopened(tmp_path, seen, view) as slip:
        with slip.pkg.transaction() as tx:
            for n in range(5):
                tx.create_entity("Event", f"e{n}", {"name": f"event {n}", "timestamp": f"2026-01-0{n + 1}T00:00:00Z"})
            for n in range(1, 5):
                tx.relate(f"e{n}", "CAUSED_BY", f"e{n - 1}")
            tx.relate("e0", "CAUSED_BY", "e4")  # a cycle
        assert slip.sync.drain(timeout_s=60)

        def fingerprints() -> dict[str, str]:
            return {stamp.entity_id: stamp.fingerprint for stamp in slip.store.index.scan(None, 100)}

        def changed_by(change: Callable[[], object]) -> set[str]:
            before, embedded = fingerprints(), _embedded(slip)
            change()
            _settled(slip)
            now = fingerprints()
            changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
            assert _embedded(slip) - embedded == len(changed & now.keys())
            return changed

        found = slip.explain("e2")
        assert found.temporal_context is not None
        assert found.temporal_context["causal_chain"][0].startswith("event 1, 2026-01-02")
        assert found.neighbours == {"causes": ["e:e1", "e:e0"]}
        assert changed_by(lambda: slip.pkg.update_entity("e0", {"name": "renamed"})) == {"e0", "e1", "e2"}
        assert changed_by(lambda: slip.pkg.update_entity("e0", {"phone": "123"})) == set()
        assert changed_by(lambda: slip.pkg.delete_entity("e1")) == {"e1", "e2", "e3"}
    with _reopened(tmp_path, seen, view) as slip:
        _settled(slip)


def _embedded(slip: Slipstream) -> int:
    counters = slip.status().counters
    return counters.get("embedded", 0) + counters.get("cached", 0)
