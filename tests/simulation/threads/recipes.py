"""The views that the simulated PKG has, one edition after the other, and the models that embed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from slipstream.domain.entities import Direction
from slipstream.domain.models import ModelSpec
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.ports.embedder import Embedder
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View
from slipstream.views.viewset import ViewSet
from slipstream.views.words import WordViews
from tests.simulation.threads.ports import Faults

POISON = "poison"
"""No text that holds this word can be embedded."""
PERSON, PLACE, WORKS_AT = "Person", "Organization", "WORKS_AT"
_ROUTES = {PLACE: "twin"}
_EMPLOYER = {"employer": Via(WORKS_AT, Direction.OUT, ("name",), limit=3)}
_ENDS = View(type=WORKS_AT, template="{{ source.name }} at {{ target.name }} as {{ role }}", is_relationship=True)
_EDITIONS = (
    (
        View(type=PERSON, template="{{ name }} at {% for o in employer %}{{ o.name }} {% endfor %}", via=_EMPLOYER),
        View(type=PLACE, template="{{ name }}"),
        _ENDS,
    ),
    (
        View(type=PERSON, template="{{ name }}: {{ bio }}"),
        View(type=PLACE, template="the place {{ name }} {{ bio }}"),
        _ENDS,
    ),
)


@cache
def word_views() -> WordViews:
    """Return what word rows are made by: the same in each edition, which differ by their templates alone."""
    first, *others = (WordViews(views) for views in _EDITIONS)
    assert all(other.digest == first.digest for other in others)
    return first


@cache
def editions() -> tuple[ViewSet, ...]:
    """Return the views of each edition, compiled once: they are pure."""
    return tuple(ViewSet(views) for views in _EDITIONS)


@cache
def models() -> tuple[HashEmbedder, ...]:
    """Return the models themselves, which fail never."""
    return HashEmbedder(dimension=4, id="hash"), HashEmbedder(dimension=4, id="twin")


class SimulatedEmbedder:
    """A model whose calls are switch points, and that can not embed poison."""

    def __init__(self, inner: HashEmbedder, faults: Faults, note: Callable[[str], None]) -> None:
        self._inner, self._faults, self._note = inner, faults, note

    @property
    def spec(self) -> ModelSpec:
        """As of the model below."""
        return self._inner.spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Note the texts, and embed them."""
        self._faults.embedding("embed")
        for text in texts:
            if POISON in text:
                raise ValueError(f"{text!r} can not be embedded")
            self._note(text)
        vectors = self._inner.embed(texts)
        self._faults.point("embed done")
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """As of the model below."""
        return self._inner.count_tokens(texts)

    def close(self) -> None:
        """Nothing to release."""


def service_of(embedders: Sequence[Embedder]) -> MultiModelEmbeddingService:
    """Return an embedding service of its own, as each process has one."""
    registry = ModelRegistry()
    for embedder in embedders:
        registry.register(embedder)
    return MultiModelEmbeddingService(registry, ModelRouter(registry, _ROUTES))


@cache
def true_recipes() -> tuple[ViewRecipe, ...]:
    """Return what each edition makes of the graph, without anything that could fail."""
    service = service_of(models())
    return tuple(ViewRecipe(views, service) for views in editions())
