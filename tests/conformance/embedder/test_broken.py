"""Deliberately broken embedders fail the suite, each at the test that is there for its fault."""

import pytest

from slipstream.ports.embedder import Embedder
from slipstream.testkit.broken.embedder import BROKEN
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.suites.embedder import EmbedderSuite, failures_of


class _Suite(EmbedderSuite):
    def __init__(self, kind: type[HashEmbedder]) -> None:
        self.kind = kind

    def make_embedder(self) -> Embedder:
        return self.kind()


@pytest.mark.parametrize(("kind", "noticed_by"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_embedder_is_noticed(kind: type[HashEmbedder], noticed_by: str) -> None:
    assert noticed_by in failures_of(_Suite(kind), kind)


def test_a_sound_embedder_passes_the_same_run() -> None:
    assert failures_of(_Suite(HashEmbedder), HashEmbedder) == []
