"""The standard tests of LangChain, on each way to have a PKG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

import slipstream
from slipstream.integrations.langchain import SlipstreamRetriever, SlipstreamVectorStore
from tests.faces import worlds

TEXTS = ["the first programmer", "an engine of brass", "a loom and its cards", "a table of sines"]


@pytest.fixture(scope="class")
def of_langchain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlipstreamVectorStore]:
    """Open a PKG that embeds with the model of the standard tests."""
    embeddings = VectorStoreIntegrationTests.get_embeddings()
    with SlipstreamVectorStore.open(tmp_path_factory.mktemp("pkg"), embeddings, metadata=["id"]) as store:
        yield store


@pytest.fixture(scope="class")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlipstreamVectorStore]:
    """Open a PKG that embeds with a model of its own."""
    with slipstream.open(tmp_path_factory.mktemp("pkg"), create=True) as slip:
        yield SlipstreamVectorStore(slip)


@pytest.fixture(scope="class")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlipstreamVectorStore]:
    """Connect to a PKG that a server holds."""
    with worlds.by_socket(Path(tmp_path_factory.mktemp("pkg"))) as face:
        yield SlipstreamVectorStore(face.slip)


class _Stores(VectorStoreIntegrationTests):
    made: str

    @pytest.fixture
    def vectorstore(self, request: pytest.FixtureRequest) -> Iterator[SlipstreamVectorStore]:
        store: SlipstreamVectorStore = request.getfixturevalue(self.made)
        yield store
        store.delete(None)


class TestStoreOfLangChain(_Stores):
    """Embedded by the model that LangChain's tests give."""

    made = "of_langchain"


class TestStoreOfOwnModel(_Stores):
    """Embedded by the PKG's own model."""

    made = "own_model"


class TestStoreConnected(_Stores):
    """Held by a server."""

    made = "connected"


class _Retrievers(RetrieversIntegrationTests):
    made: str

    @pytest.fixture(autouse=True)
    def _fill(self, request: pytest.FixtureRequest) -> None:
        store: SlipstreamVectorStore = request.getfixturevalue(self.made)
        store.add_texts(TEXTS, ids=[f"t{number}" for number in range(len(TEXTS))])
        self._slip = store.slip

    @property
    def retriever_constructor(self) -> type[SlipstreamRetriever]:
        return SlipstreamRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"slip": self._slip, "k": 2}

    @property
    def retriever_query_example(self) -> str:
        return "who programmed first?"


class TestRetrieverOpened(_Retrievers):
    """Of a PKG opened in this process."""

    made = "own_model"


class TestRetrieverConnected(_Retrievers):
    """Of a PKG that a server holds."""

    made = "connected"
