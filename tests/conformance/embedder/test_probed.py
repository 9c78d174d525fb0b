"""A model that is compared with what it was: it fulfils the contract, and notices when it is another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.adapters.wrappers.probed import EVERY_S, PROBE, ProbedEmbedder
from slipstream.domain.errors import ConfigError, LeaseLostError, PoisonEventError, UnavailableError
from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.suites.embedder import EmbedderSuite


class Memory(dict[str, str]):
    """What the journal is to it."""

    is_ours = True

    def set(self, name: str, value: str | None) -> None:
        if not self.is_ours:
            raise LeaseLostError("another process runs the engine")
        assert value is not None
        self[name] = value


class Swapped(HashEmbedder):
    """Answers under the old name and version with other weights."""

    def __init__(self, distance: float = 1.0) -> None:
        super().__init__()
        self._other, self._distance = HashEmbedder(version="another file"), distance

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        mixed = super().embed(texts) * (1 - self._distance) + self._other.embed(texts) * self._distance
        unit: npt.NDArray[np.float32] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        return unit


class TestProbed(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return ProbedEmbedder(HashEmbedder(), Memory())


def test_what_is_met_first_is_remembered_and_recognised() -> None:
    memory, inner = Memory(), HashEmbedder()
    ProbedEmbedder(inner, memory).embed(["a"])
    ProbedEmbedder(inner, memory).embed(["b"])
    assert inner.embedded == [PROBE, "a", PROBE, "b"]
    assert len(memory) == 1


@pytest.mark.parametrize("distance", [1.0, 0.05])
def test_other_weights_under_an_old_name_embed_nothing(distance: float) -> None:
    memory = Memory()
    ProbedEmbedder(HashEmbedder(), memory).embed(["a"])
    swapped = ProbedEmbedder(Swapped(distance), memory)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"weights behind its name were replaced.*migrate start"):
            swapped.embed(["b"])
    assert ProbedEmbedder(HashEmbedder(version="2"), memory).embed(["b"]).shape == (1, 64)  # which says that it is


def test_noise_is_no_other_model() -> None:
    memory = Memory()
    ProbedEmbedder(HashEmbedder(), memory).embed(["a"])
    assert ProbedEmbedder(Swapped(0.001), memory).embed(["b"]).shape == (1, 64)


def test_it_is_asked_again_after_a_while_and_after_an_outage_and_not_else() -> None:
    inner, now = HashEmbedder(), 0.0
    embedder = ProbedEmbedder(inner, Memory(), lambda: now)
    for text in "ab":
        embedder.embed([text])
    now = EVERY_S
    embedder.embed(["c"])
    inner.fail_with = UnavailableError("down")
    with pytest.raises(UnavailableError):
        embedder.embed(["d"])
    inner.fail_with = None
    embedder.embed(["d"])
    assert inner.embedded == [PROBE, "a", "b", PROBE, "c", PROBE, "d"]


def test_a_process_that_may_not_write_compares_all_the_same() -> None:
    memory = Memory()
    memory.is_ours = False
    ProbedEmbedder(HashEmbedder(), memory).embed(["a"])
    assert not memory
    memory.is_ours = True
    ProbedEmbedder(HashEmbedder(), memory).embed(["a"])
    memory.is_ours = False
    with pytest.raises(ConfigError, match="replaced"):
        ProbedEmbedder(Swapped(), memory).embed(["a"])


def test_a_model_that_refuses_a_plain_sentence_is_set_up_wrongly() -> None:
    inner = HashEmbedder()
    inner.fail_with = PoisonEventError("no")
    with pytest.raises(ConfigError, match="does not embed a plain sentence: no"):
        ProbedEmbedder(inner, Memory()).embed(["a"])
