"""Searching with every arm over a whole PKG: names, slips, phrases, the model down, guests, Chroma, incidents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import slipstream
from slipstream.app.composition.opening import open_pkg
from slipstream.app.composition.options import Options
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import UnavailableError
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View, Words
from tests.e2e.processes import LONG_S, made, owned

_VIEWS = (View("Person", words=Words(keys=("email",))),)
_ADAPTERS = ["sqlite", "chroma"]


class _Fragile(HashEmbedder):
    """A model that can be taken down."""

    is_down = False

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.is_down:
            raise UnavailableError("the model is down")
        return super().embed(texts)


def _opened(directory: Path, adapter: str, model: HashEmbedder) -> Slipstream:
    return open_pkg(
        directory,
        config=Config(index=IndexConfig(adapter=adapter)),  # type: ignore[arg-type]
        options=Options(views=_VIEWS, embedders=(model,)),
    )


def _fill(slip: Slipstream) -> None:
    with slip.pkg.transaction() as tx:
        for number in range(60):
            tx.create_entity("Note", f"n{number}", {"name": f"note {number}", "description": "about the night train"})
        tx.create_entity("Person", "ada", {"name": "Ada Lovelace", "aliases": ["AAL"], "email": "ada@x.org"})
        tx.create_entity("Person", "grace", {"name": "Grace Hopper", "description": "wrote compilers"})
        tx.create_entity("CodeEntity", "fn", {"name": "lovelace", "description": "a function"})
        tx.create_entity("Place", "pku", {"name": "北京大学"})
    slip.search("all of it", after=tx.position, timeout_s=LONG_S)


@pytest.fixture(scope="module", params=_ADAPTERS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipstream]:
    with _opened(tmp_path_factory.mktemp("whole"), request.param, HashEmbedder(dimension=32)) as slip:
        _fill(slip)
        yield slip


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("ada", "ada"),
        ("Ada LOVELACE", "ada"),
        ("aal", "ada"),
        ("ADA@x.org", "ada"),
        ("ada lovelcae", "ada"),
        ("grcae hopper", "grace"),
        ("lovelace code entity", "fn"),
        ("note 17", "n17"),
        ("北京大学", "pku"),
    ],
)
def test_names_stand_in_front_and_slips_are_forgiven(whole: Slipstream, text: str, first: str) -> None:
    results = whole.search(text, explain=True)
    assert results[0].entity_id == first
    assert results.degraded == ()
    assert results.frontiers.keys() == {"vector", "keyword"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("writing compiler", {"grace"}),
        ('"night train" -17', set()),
        ('"wrote compilers"', {"grace"}),
        ("name:lovelace", {"ada", "fn"}),
        ("near(wrote compilers, 3)", {"grace"}),
        ("compil*", {"grace"}),
        ("北京", {"pku"}),
    ],
)
def test_words_and_the_query_language(whole: Slipstream, text: str, found: set[str]) -> None:
    hits = {hit.entity_id for hit in whole.search(text, mode="keyword", k=100)}
    if found:
        assert hits == found
    else:
        assert len(hits) == 60, "-17 is no exclusion: a number is a word"


def test_why_something_is_no_hit(whole: Slipstream) -> None:
    assert whole.why_not("night train", "ada", k=3).reason == "rank"
    assert whole.why_not("night train", "ada", k=3, mode="keyword").reason == "no_such_word"
    assert whole.why_not("Ada", "ada", entity_type="Note").reason == "filtered"
    assert whole.why_not("Ada", "nobody").reason == "unknown"
    whole.pkg.create_entity("Note", "brief", {"name": "brief"})
    gone = whole.pkg.delete_entity("brief")
    whole.search("brief", after=gone, timeout_s=LONG_S)
    told = whole.why_not("brief", "brief")
    assert (told.reason, told.line) == ("deleted", "it was deleted from the graph")


@pytest.mark.parametrize("adapter", _ADAPTERS)
def test_a_commit_is_found_by_words_while_the_model_is_down(tmp_path: Path, adapter: str) -> None:
    model = _Fragile(dimension=32)
    with _opened(tmp_path / "pkg", adapter, model) as slip:
        _fill(slip)
        model.is_down = True
        position = slip.pkg.create_entity("Person", "mary", {"name": "Mary Somerville"})
        results = slip.search("Somerville", after=position, timeout_s=LONG_S)
        assert results[0].entity_id == "mary"
        assert results.degraded == ("vector",)
        assert results.frontier >= position
        with pytest.raises(UnavailableError):
            slip.search("Somerville", mode="vector")
        model.is_down = False
        slip.sync.wait(position, LONG_S)
        whole = slip.search("Somerville", after=position, timeout_s=LONG_S)
        while whole.degraded:  # a model that has just failed is left alone for some seconds
            whole = slip.search("Somerville", after=position, timeout_s=LONG_S)
        assert whole[0].model_id == model.spec.id


@pytest.mark.parametrize("adapter", _ADAPTERS)
def test_another_process_searches_with_every_arm(tmp_path: Path, adapter: str) -> None:
    more = () if adapter == "sqlite" else ('[index]\nadapter = "sqlite"', '[index]\nadapter = "chroma"')
    directory = made(tmp_path / "pkg", *more)
    with owned(directory), slipstream.open(directory) as guest:
        assert not guest.runs_engine
        _fill(guest)
        results = guest.search("ada lovelcae", explain=True)
        assert results[0].entity_id == "ada"
        assert results.frontiers.keys() == {"vector", "keyword"}
        explained: Any = results[0].explanation
        assert {"fuzzy", "corrected"} <= {share.arm for share in explained.arms}
        assert results.explanation is not None
        assert results.explanation.corrected == "ada lovelace"
        assert [hit.entity_id for hit in guest.search("aal", mode="exact")] == ["ada"]
        assert guest.why_not("night train", "ada", k=3, mode="keyword").reason == "no_such_word"


def test_an_incident_is_answered_by_the_index_alone(tmp_path: Path) -> None:
    with _opened(tmp_path / "pkg", "sqlite", HashEmbedder(dimension=32)) as slip:
        _fill(slip)
    for path in (tmp_path / "pkg").rglob("graph.db*"):
        path.unlink()
    with _opened(tmp_path / "pkg", "sqlite", HashEmbedder(dimension=32)) as slip:
        results = slip.search("Ada Lovelace", k=5)
        assert results.degraded == ("graph",)
        assert len(results) == 5
