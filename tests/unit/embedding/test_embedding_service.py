"""The embedding service: routing, order, cache, fusion, checks and counters."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.adapters.embedders.memory_cache import MemoryEmbeddingCache
from slipstream.domain.errors import ConfigError, PoisonEventError, UnavailableError
from slipstream.domain.models import ModelSpec
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.embedding import (
    EmbeddingRequest,
    FusionWeights,
    ModelRegistry,
    ModelRouter,
    MultiModelEmbeddingService,
    cache_key,
)
from slipstream.embedding.temporal import fuse, time_text
from slipstream.ports.embedder import EmbeddingCache
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.testkit.embedders import HashEmbedder

CONTEXT = TemporalEmbeddingContext(timestamp=datetime(2024, 3, 1, tzinfo=UTC))


class Asking(HashEmbedder):
    """Embeds a query as the text behind its question mark."""

    @property
    def spec(self) -> ModelSpec:
        return replace(super().spec, asks_otherwise=True)

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed([query.removeprefix("?") for query in queries])


class Spoiling(HashEmbedder):
    """Spoils what it returns for the text `spoiled`, in the way it is told."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = super().embed(texts)
        if self.how == "narrow":
            return rows[:, 1:]
        spoiled = [text == "spoiled" for text in texts]
        if self.how == "dropped":
            return rows[[not here for here in spoiled]]
        rows[spoiled] = {"nan": np.nan, "zero": 0.0, "infinite": np.inf, "long": 3.0}[self.how]
        return rows


class Estimating(HashEmbedder):
    """Does not know its tokens."""

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec("estimating", "1", 64, counts_tokens=False)


def service_of(*embedders: HashEmbedder, cache: EmbeddingCache | None = None) -> MultiModelEmbeddingService:
    registry = ModelRegistry()
    for embedder in embedders:
        registry.register(embedder)
    routes = {"Person": embedders[1].spec.id} if len(embedders) > 1 else {}
    return MultiModelEmbeddingService(registry, ModelRouter(registry, routes), cache)


def requests_of(*texts: str) -> list[EmbeddingRequest]:
    return [EmbeddingRequest("Concept", text) for text in texts]


def test_it_fulfils_the_port_of_the_engine() -> None:
    assert isinstance(service_of(HashEmbedder()), EmbeddingService)


def test_a_result_says_which_model_made_it() -> None:
    result = service_of(HashEmbedder(dimension=32, version="7")).embed("Concept", "graph", metadata={"a": 1})
    assert (result.model_id, result.model_version, result.dimension) == ("hash", "7", 32)
    assert result.embedding.shape == (32,)
    assert (result.cached, result.quality_score, result.metadata) == (False, 1.0, {"a": 1})


def test_results_come_in_the_order_of_the_requests_across_models() -> None:
    default, people = HashEmbedder(), HashEmbedder(id="people", dimension=16)
    service = service_of(default, people)
    types = ["Concept", "Person", "Concept", "Person", "Unheard"]
    results = service.embed_batch([EmbeddingRequest(kind, f"text {n}") for n, kind in enumerate(types)])
    assert [result.model_id for result in results] == ["hash", "people", "hash", "people", "hash"]
    for number, (result, model) in enumerate(zip(results, [default, people, default, people, default], strict=True)):
        np.testing.assert_allclose(result.embedding, model.embed([f"text {number}"])[0], atol=1e-6)
    assert service.stats.calls == 2


def test_equal_texts_are_embedded_once() -> None:
    embedder = HashEmbedder()
    results = service_of(embedder).embed_batch(requests_of("a", "b", "a", "a"))
    assert embedder.embedded == ["a", "b"]
    np.testing.assert_array_equal(results[0].embedding, results[3].embedding)


def test_shared_vectors_can_not_be_changed() -> None:
    vector = service_of(HashEmbedder()).embed("Concept", "a").embedding
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1


def test_no_requests_give_no_results() -> None:
    assert service_of(HashEmbedder()).embed_batch([]) == []


def test_the_cache_answers_the_second_time() -> None:
    embedder = HashEmbedder()
    service = service_of(embedder, cache=MemoryEmbeddingCache())
    first = service.embed("Concept", "a")
    second = service.embed_batch(requests_of("a", "b"))
    assert [result.cached for result in (first, *second)] == [False, True, False]
    np.testing.assert_array_equal(first.embedding, second[0].embedding)
    assert embedder.embedded == ["a", "b"]
    stats = service.stats
    assert (stats.requests, stats.computed, stats.cached, stats.calls) == (3, 2, 1, 2)


def test_bypassing_the_cache_computes_anew_and_mends_the_cache() -> None:
    embedder, cache = HashEmbedder(), MemoryEmbeddingCache()
    service = service_of(embedder, cache=cache)
    damaged = np.eye(1, 64, dtype=np.float32)[0]
    cache.put({cache_key(embedder.spec, "a"): damaged})
    np.testing.assert_array_equal(service.embed("Concept", "a").embedding, damaged)
    mended = service.embed_batch([EmbeddingRequest("Concept", "a", bypass_cache=True), *requests_of("a")])
    assert [result.cached for result in mended] == [False, False]
    assert embedder.embedded == ["a"]
    np.testing.assert_array_equal(service.embed("Concept", "a").embedding, mended[0].embedding)


def test_models_do_not_share_cached_vectors() -> None:
    cache = MemoryEmbeddingCache()
    old, new = HashEmbedder(version="1"), HashEmbedder(version="2")
    service_of(old, cache=cache).embed("Concept", "a")
    assert not service_of(new, cache=cache).embed("Concept", "a").cached


def test_a_cached_vector_of_another_dimension_counts_as_absent() -> None:
    embedder, cache = HashEmbedder(), MemoryEmbeddingCache()
    cache.put({cache_key(embedder.spec, "a"): np.ones(3, dtype=np.float32)})
    assert service_of(embedder, cache=cache).embed("Concept", "a").dimension == 64
    assert embedder.embedded == ["a"]


@pytest.mark.parametrize("how", ["nan", "zero", "infinite", "dropped"])
def test_a_spoiled_vector_refuses_the_batch_and_the_others_pass_alone(how: str) -> None:
    service = service_of(Spoiling(how))
    with pytest.raises(PoisonEventError, match="hash"):
        service.embed_batch(requests_of("a", "spoiled", "b"))
    with pytest.raises(PoisonEventError):
        service.embed("Concept", "spoiled")
    assert len(service.embed_batch(requests_of("a", "b"))) == 2


def test_a_wrong_dimension_is_refused() -> None:
    with pytest.raises(PoisonEventError, match=r"shape \(63,\), expected \(64,\)"):
        service_of(Spoiling("narrow")).embed("Concept", "a")


def test_a_vector_of_another_length_is_normalised() -> None:
    vector = service_of(Spoiling("long")).embed("Concept", "spoiled").embedding
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-6)


def test_nothing_spoiled_gets_into_the_cache() -> None:
    cache, embedder = MemoryEmbeddingCache(), Spoiling("nan")
    with pytest.raises(PoisonEventError):
        service_of(embedder, cache=cache).embed("Concept", "spoiled")
    assert cache.get([cache_key(embedder.spec, "spoiled")]) == {}


def test_time_is_fused_into_the_vector() -> None:
    embedder = HashEmbedder()
    service = service_of(embedder)
    fused = service.embed("Event", "release", CONTEXT)
    content, moment = embedder.embed(["release", time_text(CONTEXT)])
    np.testing.assert_allclose(fused.embedding, fuse([content, moment], [2 / 3, 1 / 3]), atol=1e-6)
    assert service.embed("Event", "release").embedding @ fused.embedding < 0.999


def test_parts_of_events_share_one_call_and_are_cached_one_by_one() -> None:
    embedder = HashEmbedder()
    service = service_of(embedder, cache=MemoryEmbeddingCache())
    service.embed_batch([EmbeddingRequest("Event", text, CONTEXT) for text in ("release", "review")])
    assert (embedder.calls_count, len(embedder.embedded)) == (1, 3)
    assert not service.embed("Event", "planning", CONTEXT).cached
    assert service.embed("Event", "release", CONTEXT).cached
    assert len(embedder.embedded) == 4


def test_fingerprints_follow_the_fusion_only_where_it_applies() -> None:
    registry = ModelRegistry()
    registry.register(HashEmbedder())
    one = MultiModelEmbeddingService(registry)
    two = MultiModelEmbeddingService(registry, fusion=FusionWeights(0.5, 0.4, 0.1))
    plain, event = EmbeddingRequest("Event", "release"), EmbeddingRequest("Event", "release", CONTEXT)
    empty = EmbeddingRequest("Event", "release", TemporalEmbeddingContext())
    assert one.fingerprint(plain) == two.fingerprint(plain) == one.fingerprint(empty)
    assert one.fingerprint(event) != two.fingerprint(event)
    assert one.fusion_rule(CONTEXT) != two.fusion_rule(CONTEXT)
    assert one.fusion_rule(None) == one.fusion_rule(TemporalEmbeddingContext()) == ""


def test_a_view_can_ask_for_a_model_of_its_own() -> None:
    service = service_of(HashEmbedder(), HashEmbedder(id="other"))
    assert service.embed("Concept", "a", model_id="other").model_id == "other"
    assert service.spec_for("Concept", "other").id == "other"
    of_other = service.fingerprint(EmbeddingRequest("Concept", "a", model_id="other"))
    assert service.fingerprint(EmbeddingRequest("Concept", "a")) != of_other


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    service = service_of(HashEmbedder(), HashEmbedder(id="other"))
    with pytest.raises(ConfigError, match="'gone'; known models: hash, other"):
        service.embed("Concept", "a", model_id="gone")
    with pytest.raises(ConfigError, match="known models: hash, other"):
        service.embed_query("a", "gone")


def test_a_query_has_the_vector_of_the_same_text() -> None:
    service = service_of(HashEmbedder(), cache=MemoryEmbeddingCache())
    np.testing.assert_array_equal(service.embed_query("a", "hash"), service.embed("Concept", "a").embedding)
    assert (service.stats.requests, service.stats.computed, service.stats.cached) == (1, 1, 1)


def test_quality_is_the_share_of_tokens_that_fit() -> None:
    service = service_of(HashEmbedder(tokens_max=16))
    results = service.embed_batch(requests_of("short", "word " * 32, "word " * 64))
    assert [result.quality_score for result in results] == [1.0, 0.5, 0.25]
    assert list(service.count_tokens(["one two three"])) == [3]


def test_quality_is_unknown_where_tokens_are_only_estimated() -> None:
    assert service_of(Estimating()).embed("Concept", "word " * 9_000).quality_score is None


def test_a_static_model_goes_past_the_cache() -> None:
    class Static(HashEmbedder):
        @property
        def spec(self) -> ModelSpec:
            return ModelSpec("static", "1", 64, cacheable=False)

    embedder = Static()
    service = service_of(embedder, cache=MemoryEmbeddingCache())
    assert not any(service.embed("Concept", "a").cached for _ in range(2))
    assert embedder.embedded == ["a", "a"]


def test_several_threads_get_their_own_results_and_are_all_counted() -> None:
    embedder = HashEmbedder()
    service = service_of(embedder, cache=MemoryEmbeddingCache(entries_max=5))
    texts = [f"text {number}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda text: service.embed("Concept", text), texts * 3))
    expected = HashEmbedder().embed(texts)
    for number, result in enumerate(results):
        np.testing.assert_allclose(result.embedding, expected[number % 40], atol=1e-6)
    stats = service.stats
    assert stats.requests == stats.computed + stats.cached == 120


def test_a_query_is_embedded_otherwise_where_its_model_says_so_and_is_not_cached() -> None:
    registry, model, cache = ModelRegistry(), Asking(), MemoryEmbeddingCache()
    registry.register(model)
    registry.register(HashEmbedder(id="plain"))
    service = MultiModelEmbeddingService(registry, cache=cache)
    text = service.embed("Note", "one").embedding
    assert service.embed("Note", "?one").embedding @ text < 0.9
    assert service.embed_query("?one", "hash") @ text == pytest.approx(1.0)
    assert service.embed_query("?one", "hash") @ text == pytest.approx(1.0)
    assert model.embedded == ["one", "?one", "one", "one"]
    assert (service.stats.requests, service.stats.computed, service.stats.calls) == (2, 4, 4)
    assert service.embed_query("?one", "plain") @ service.embed("Note", "?one", model_id="plain").embedding > 0.999
    model.fail_with = UnavailableError("down")
    with pytest.raises(UnavailableError) as raised:
        service.embed_query("?one", "hash")
    assert raised.value.model_id == "hash"
    assert service.calls.longest() is None
