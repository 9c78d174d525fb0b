"""The registry and the router of models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from slipstream.domain.errors import AlreadyExistsError, ConfigError, UnavailableError
from slipstream.embedding import ENTITY_TYPES, ModelRegistry, ModelRouter
from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder


class Factory:
    """Makes hash embedders and counts them."""

    def __init__(self, model_id: str = "lazy") -> None:
        self.model_id = model_id
        self.made: list[HashEmbedder] = []

    def __call__(self) -> Embedder:
        self.made.append(HashEmbedder(id=self.model_id))
        return self.made[-1]


def registry_of(*ids: str) -> ModelRegistry:
    registry = ModelRegistry()
    for model_id in ids:
        registry.register(HashEmbedder(id=model_id))
    return registry


def test_the_first_model_is_the_default_unless_another_is_named() -> None:
    registry = registry_of("a", "b")
    assert registry.default == "a"
    registry.register(HashEmbedder(id="c"), default=True)
    assert registry.default == "c"
    assert registry.ids == ("a", "b", "c")


def test_without_a_model_there_is_no_default() -> None:
    with pytest.raises(ConfigError, match="register one"):
        _ = ModelRegistry().default


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'c'; known models: a, b"):
        registry_of("a", "b").get("c")
    with pytest.raises(ConfigError, match="known models: none"):
        ModelRegistry().spec("c")


def test_an_id_can_not_be_taken_twice() -> None:
    with pytest.raises(AlreadyExistsError, match="'a'"):
        registry_of("a", "a")


def test_a_lazy_model_is_made_when_it_is_needed_and_only_once() -> None:
    registry, factory = ModelRegistry(), Factory()
    registry.register_lazy("lazy", factory, spec=HashEmbedder(id="lazy").spec)
    assert registry.spec("lazy").dimension == 64
    assert factory.made == []
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(registry.get, ["lazy"] * 8))
    assert len(factory.made) == 1
    assert all(embedder is factory.made[0] for embedder in got)


def test_a_lazy_model_without_a_spec_is_made_to_learn_it() -> None:
    registry, factory = ModelRegistry(), Factory()
    registry.register_lazy("lazy", factory)
    assert registry.spec("lazy").id == "lazy"
    assert registry.get("lazy") is factory.made[0]


def test_a_factory_that_makes_another_model_is_refused() -> None:
    registry, factory = ModelRegistry(), Factory("other")
    registry.register_lazy("lazy", factory)
    with pytest.raises(ConfigError, match="lazy"):
        registry.get("lazy")
    with pytest.raises(UnavailableError):
        factory.made[0].embed(["closed"])
    with pytest.raises(ConfigError, match="one id"):
        registry.register_lazy("third", factory, spec=HashEmbedder(id="other").spec)


def test_a_factory_that_fails_is_asked_again() -> None:
    attempts: list[int] = []

    def factory() -> Embedder:
        attempts.append(1)
        if len(attempts) == 1:
            raise UnavailableError("not yet")
        return HashEmbedder(id="lazy")

    registry = ModelRegistry()
    registry.register_lazy("lazy", factory)
    with pytest.raises(UnavailableError):
        registry.get("lazy")
    assert registry.get("lazy").spec.id == "lazy"


def test_what_a_model_is_that_can_not_be_made_is_not_asked_for_each_record() -> None:
    attempts: list[int] = []

    def factory() -> Embedder:
        attempts.append(1)
        raise UnavailableError("not yet")

    registry = ModelRegistry()
    registry.register_lazy("lazy", factory)
    for _ in range(100):
        with pytest.raises(UnavailableError, match="not yet") as caught:
            registry.spec("lazy")
        assert caught.value.model_id == "lazy"
    assert len(attempts) < 100


def test_closing_closes_what_was_made_and_makes_nothing_more() -> None:
    registry, factory, embedder = ModelRegistry(), Factory(), HashEmbedder()
    registry.register(embedder)
    registry.register_lazy("lazy", factory)
    registry.close()
    registry.close()
    with pytest.raises(UnavailableError):
        embedder.embed(["a"])
    with pytest.raises(UnavailableError, match="closed"):
        registry.get("lazy")
    assert factory.made == []


def test_every_named_type_goes_to_the_default() -> None:
    router = ModelRouter(registry_of("a", "b"))
    assert {router.model_for(entity_type) for entity_type in (*ENTITY_TYPES, "Unheard")} == {"a"}
    assert set(router.routes) == set(ENTITY_TYPES)
    assert router.models == ("a",)


def test_types_follow_their_routes() -> None:
    router = ModelRouter(registry_of("a", "b"), {"Person": "b", "Gene": "b"})
    assert [router.model_for(kind) for kind in ("Person", "Gene", "Event")] == ["b", "b", "a"]
    assert router.model_for("Person", "a") == "a"
    assert set(router.models) == {"a", "b"}


def test_the_default_route_can_be_set_in_two_ways_but_not_in_two_at_once() -> None:
    registry = registry_of("a", "b")
    assert ModelRouter(registry, default="b").model_for("Event") == "b"
    assert ModelRouter(registry, {"default": "b"}).model_for("Event") == "b"
    with pytest.raises(ConfigError, match="two default models"):
        ModelRouter(registry, {"default": "b"}, default="a")


def test_routes_to_unknown_models_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="'Person': unknown embedding model 'c'; known models: a"):
        ModelRouter(registry_of("a"), {"Person": "c"})
    with pytest.raises(ConfigError, match="unknown embedding model 'c'"):
        ModelRouter(registry_of("a"), default="c")
    with pytest.raises(ConfigError, match="known models: a"):
        ModelRouter(registry_of("a")).model_for("Person", "c")
