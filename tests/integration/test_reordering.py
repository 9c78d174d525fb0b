"""Searches of a whole PKG that are reordered: by the graph, by a real model in ONNX, and when that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.rerankers.onnx import OnnxReranker
from slipstream.app.composition import Options, open_pkg
from slipstream.app.composition.reordering import reorderings_of
from slipstream.app.config import Config, parse_config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError
from slipstream.search.options import SearchOptions
from slipstream.search.reordering import GRAPH_ARM, RERANKER
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from tests.conformance.rerankers.models import make_model

TEXTS = {"a": "red boat", "b": "red fish", "c": "red blue", "d": "red fish fish", "e": "red other"}


def _opened(directory: Path, reranker: OnnxReranker | None) -> Slipstream:
    config = Config(views={"Thing": {"template": "{{ text }}"}})
    options = Options(embedders=(HashEmbedder(dimension=16),), reranker=reranker)
    slip = open_pkg(directory, create=True, config=config, options=options)
    with slip.pkg.transaction() as tx:
        for entity_id, text in TEXTS.items():
            tx.create_entity("Thing", entity_id, {"text": text})
        tx.create_entity("Thing", "hub", {"text": "something else"})
        tx.relate("hub", "NEAR", "c")
        tx.relate("hub", "NEAR", "d")
    assert slip.sync.drain(timeout_s=60)
    return slip


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with _opened(tmp_path / "pkg", OnnxReranker(make_model(tmp_path / "model"))) as found:
        yield found


def _ids(slip: Slipstream, k: int = 10, **asked: bool) -> list[str]:
    return [hit.entity_id for hit in slip.search("red", k, entity_type="Thing", **asked)]  # type: ignore[arg-type]


def test_a_model_that_was_handed_in_orders_the_hits_unless_told_not_to(slip: Slipstream) -> None:
    assert _ids(slip)[:2] == ["d", "b"]
    assert _ids(slip)[-1] == "c"
    assert _ids(slip, 1) == ["d"]  # also what lies behind the hits that are asked for
    assert sorted(_ids(slip, rerank=False)) == sorted(_ids(slip))
    assert slip.search("red").degraded == ()


def test_the_graph_moves_up_what_is_near_the_best(slip: Slipstream) -> None:
    plain = slip.search("red", rerank=False)
    moved = slip.search("red", rerank=False, graph_arm=True)
    assert sorted(hit.entity_id for hit in moved) == sorted(hit.entity_id for hit in plain)
    assert moved.degraded == ()


def test_a_model_that_is_not_there_costs_the_order_alone(tmp_path: Path) -> None:
    with _opened(tmp_path / "pkg", OnnxReranker(tmp_path / "nowhere")) as slip:
        found = slip.search("red")
        assert found.degraded == ("reranker",)
        assert [hit.entity_id for hit in found] == [hit.entity_id for hit in slip.search("red", rerank=False)]


def test_a_model_that_nobody_named_is_refused(tmp_path: Path) -> None:
    with _opened(tmp_path / "pkg", None) as slip, pytest.raises(InvalidInputError, match="rerank"):
        slip.search("red", rerank=True)


def test_both_are_settings(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    config = parse_config(f'[search]\ngraph_arm = true\nreranker = "{model}"\n')
    graph = MemoryGraph(ManualClock())
    chosen = reorderings_of(config, Options(), graph).chosen(SearchOptions())
    assert [each.name for each in chosen] == [GRAPH_ARM, RERANKER]
    assert reorderings_of(Config(), Options(), graph).chosen(SearchOptions()) == ()
