"""What the scripts of `bench/` share: result files, the work of peers, graphs of any size, targets."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from bench import result_files
from bench.growth.graph import Graph, WordsEmbedder
from bench.growth.plot import plot
from bench.growth.shown import FIGURES
from bench.peers.work import SHOWN_MAX, Node, edited, embed, read_graph
from bench.targets.rows import Row, table


def _dump(path: Path, nodes: int) -> Path:
    rows = [
        {
            "type": "node",
            "id": f"n{n}",
            "labels": ["Noun"],
            "properties": {"name": f"name {n}", "description": f"gloss {n}"},
        }
        for n in range(nodes)
    ]
    links = [
        {"type": "relationship", "label": "HYPERNYM", "start": {"id": f"n{n}"}, "end": {"id": f"n{n // 2}"}}
        for n in range(1, nodes)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows + links), encoding="utf-8")
    return path


def test_the_newest_run_of_a_kind_is_found_by_day_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_files, "FOLDER", tmp_path)
    for name, kind in (("11-28-bench-11", "bench"), ("11-29-bench-9", "bench"), ("11-29-bench-10", "bench")):
        (tmp_path / f"2026-{name}-cpu-2-cores.json").write_text(json.dumps({"kind": kind}), encoding="utf-8")
    (tmp_path / "2026-11-30-bench-audits-1-cpu-2-cores.json").write_text('{"kind": "bench-audits"}', encoding="utf-8")
    newest = result_files.newest("bench")
    assert newest is not None
    assert newest.name.startswith("2026-11-29-bench-10-")
    assert result_files.newest("peers") is None


def test_vectors_for_free_depend_on_the_text_alone_and_are_far_apart() -> None:
    texts = [f"text {n}" for n in range(50)]
    vectors = embed(texts)
    assert np.array_equal(vectors[7], embed(["text 7"])[0])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert np.abs(vectors @ vectors.T - np.eye(50, dtype=np.float32)).max() < 0.5


def test_the_texts_of_peers_show_neighbours_and_leaves_are_shown_nowhere(tmp_path: Path) -> None:
    graph = read_graph(_dump(tmp_path / "dump.jsonl", 30))
    nodes = {node.id: node for node in graph.nodes}
    assert nodes["n9"].text == "name 9: gloss 9 Is a name 4."
    assert {node.id for node in graph.leaves} == {f"n{n}" for n in range(15, 30)}
    assert edited(nodes["n9"], 1).text != edited(nodes["n9"], 2).text
    assert len(Node("x", "Noun", "x", "x").broader) <= SHOWN_MAX


def test_graphs_of_any_size_are_copies_that_are_linked_to_each_other(tmp_path: Path) -> None:
    graph = Graph(_dump(tmp_path / "dump.jsonl", 40), 100)
    ids = [identity for identity, _, _ in graph.nodes()]
    links = list(graph.links())
    assert len(ids) == len(set(ids)) == 100
    assert all({source, target} <= set(ids) for source, _, target in links)
    assert {kind for _, kind, _ in links} == {"HYPERNYM", "COPY_OF"}
    assert len(links) == len(set(links))


def test_texts_that_share_words_are_near_each_other() -> None:
    one, near, far = WordsEmbedder().embed(["a large grey animal", "a large animal", "some other text"])
    assert one @ near > 0.7 > one @ far


def test_a_row_says_whether_its_bound_is_kept() -> None:
    rows = [Row("a", "b", 1.2, 1.3, at_most=True), Row("a", "b", 1.2, 1.3), Row("a", "b", None, note="no AMX here")]
    assert [row.met for row in rows] == [True, False, None]
    assert [line.count("**missed**") for line in table(rows).splitlines()[2:]] == [0, 1, 0]
    assert "no AMX here" in table(rows)


def test_the_plot_has_a_line_for_each_figure() -> None:
    rng = random.Random(1)
    sizes = [{"entities": n, **{name: rng.random() + 0.1 for name in FIGURES}} for n in (10_000, 100_000, 1_000_000)]
    assert plot(sizes).count("<polyline") == plot(sizes[:1]).count("<polyline") > 3
