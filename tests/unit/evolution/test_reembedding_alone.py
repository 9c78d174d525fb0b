"""Re-embedding in the calling thread: what may happen between reading, embedding, writing and forgetting the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import EmbeddingRequest, EmbeddingResult
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.recipes.in_force import RecipePair
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.testkit.embedders import NotingEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from slipstream.views.viewset import ViewSet


def _filled() -> tuple[MemorySystem, NotingEmbedder]:
    embedder = NotingEmbedder()
    system = MemorySystem(embedder=embedder)
    for number in range(6):
        system.graph.create_entity("Person", f"n{number}", {"name": f"n{number}"})
    system.settle()
    embedder.seen.clear()
    return system, embedder


def test_work_that_was_written_and_not_forgotten_costs_a_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies between the index's write and the journal's: the index stands apart, so its write stays."""
    system, embedder = _filled()
    service = ReembeddingService(system.store, system.service, system.graph)

    def dies(keys: Sequence[RecordKey]) -> None:
        raise UnavailableError(f"{len(keys)} items are not forgotten")

    with monkeypatch.context() as patched:
        patched.setattr(system.journal, "remove_work", dies)
        with pytest.raises(UnavailableError, match="6 items are not forgotten"):
            service.trigger_reembedding(schema_version=1_000)
    assert system.journal.work_count() == 6
    again = ReembeddingService(system.store, system.service, system.graph).resume()
    assert (again.failed, system.journal.work_count()) == ({}, 0)
    assert sorted(embedder.seen) == [
        f"n{number}" for number in range(6)
    ]  # once each: its new vector took the flag away
    assert system.audit().is_consistent


def test_what_is_written_is_of_the_recipe_in_force_by_then() -> None:
    system, embedder = _filled()
    recipes = system.engine.recipes
    edited = ViewRecipe(ViewSet([View("Person", "{{ name }} anew")]), system.service)

    class Swapping:
        """Puts edited views in force while the first batch is embedded."""

        def __getattr__(self, name: str) -> Any:
            return getattr(system.service, name)

        def embed_batch(self, requests: Sequence[EmbeddingRequest]) -> Sequence[EmbeddingResult]:
            results = system.service.embed_batch(requests)
            if recipes.pair.live is not edited:
                recipes.swap(RecipePair(edited))
            return results

    service = ReembeddingService(system.store, Swapping(), system.graph, views=recipes)
    assert service.trigger_reembedding(schema_version=1_000).failed == {}
    assert embedder.seen[6:] == [f"{text} anew" for text in embedder.seen[:6]]
    assert system.journal.work_count() == 0
    assert system.audit().is_consistent
