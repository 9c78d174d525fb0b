"""The LangChain store and retriever: what LangChain's standard tests do not ask."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, index
from langsmith.utils import tracing_is_enabled

import slipstream
from slipstream.app.composition import Options
from slipstream.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    InvalidInputError,
    QueryLimitError,
    UnavailableError,
    UnsupportedError,
)
from slipstream.http import serve
from slipstream.integrations import finding
from slipstream.integrations.langchain import LangChainEmbedder, SlipstreamRetriever, SlipstreamVectorStore

SIZE = 8
NOWHERE = "http://127.0.0.1:9"
"""Where nobody answers; nothing is sent there before the first call."""


class Asymmetric(Embeddings):  # type: ignore[misc]  # LangChain is not followed by mypy
    """Texts by their first letter; a query by the letter behind its own, so that only `embed_query` finds them."""

    model = "asymmetric"
    outage: Exception | None = None

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.outage is not None:
            raise self.outage
        return [[3.0 * float(ord(text[0]) % SIZE == axis) for axis in range(SIZE)] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return list(self.embed_documents([chr(ord(text[0]) + 1)])[0])


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlipstreamVectorStore]:
    directory = tmp_path_factory.mktemp("pkg")
    with SlipstreamVectorStore.open(directory, DeterministicFakeEmbedding(size=SIZE), metadata=["lang"]) as store:
        yield store


@pytest.fixture
def store(opened: SlipstreamVectorStore) -> Iterator[SlipstreamVectorStore]:
    yield opened
    for entity in opened.slip.entities(limit=1_000).items:
        opened.slip.pkg.delete_entity(entity.id)


def _ids(documents: list[Document]) -> list[str]:
    return [str(document.id) for document in documents]


def _query(store: SlipstreamVectorStore, text: str) -> list[float]:
    assert store.embeddings is not None
    return list(store.embeddings.embed_query(text))


# ---------------------------------------------------------------------- writing


def test_a_document_is_an_entity_whose_relationships_outlive_its_replacement(store: SlipstreamVectorStore) -> None:
    store.add_texts(["one", "two"], [{"page": 1, "gone": True}, {}], ids=["1", "2"])
    store.slip.pkg.relate("1", "FOLLOWED_BY", "2")
    store.add_texts(["one, again"], [{"page": 2, "author": None}], ids=["1"])
    assert store.slip.get("1").properties == {"text": "one, again", "page": 2}
    assert [row.entity_id for row in store.slip.neighbours("1").items] == ["2"]


def test_every_name_and_value_of_metadata_comes_back(store: SlipstreamVectorStore) -> None:
    metadata = {
        "id": 1,
        "ID": "x",
        "metadata_id": 2,
        "_id": 3,
        "metadata__id": 4,
        "__": 5,
        "metadata_of": 6,
        "a b": 7,
    }
    metadata |= {"list": [1, "two", None], "map": {"deep": [True]}, "float": 1.0, "newline\tis": "refused"}
    with pytest.raises(InvalidInputError, match="control"):
        store.add_texts(["text"], [metadata], ids=["1"])
    del metadata["newline\tis"]
    store.add_texts(["text"], [metadata], ids=["1"])
    assert store.get_by_ids(["1"]) == [Document(id="1", page_content="text", metadata=metadata)]
    assert _ids(store.similarity_search("text", filter={"id": 1, "_id": 3})) == ["1"]
    assert store.similarity_search("text", filter={"id": True}) == []


def test_what_can_not_be_kept_is_refused_and_nothing_of_it_is_done(store: SlipstreamVectorStore) -> None:
    store.slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
    with pytest.raises(AlreadyExistsError, match="'ada' is the id of a Person already, which a Document"):
        store.add_texts(["new", "taken"], ids=["new", "ada"])
    with pytest.raises(InvalidInputError, match="metadata: has 'text', where the document's text is kept"):
        store.add_texts(["one"], [{"text": "another"}])
    with pytest.raises(InvalidInputError, match="ids: 1 for 2 texts"):
        store.add_texts(["one", "two"], ids=["1"])
    assert store.slip.pkg.counts() == {"Person": 1}
    store.delete(["ada", "nobody"])
    store.delete()
    assert store.slip.get("ada").type == "Person"


def test_delete_without_ids_deletes_all_of_the_store(
    store: SlipstreamVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.integrations.langchain._BATCH", 2)
    store.add_texts([f"text {number}" for number in range(5)], batch_size=2)
    assert store.slip.pkg.counts() == {"Document": 5}
    store.delete()
    assert store.slip.pkg.counts() == {}


def test_langchains_indexing_keeps_it_in_step_with_a_source(store: SlipstreamVectorStore) -> None:
    records = InMemoryRecordManager("of the tests")
    records.create_schema()

    def indexed(*texts: str) -> dict[str, int]:
        documents = [Document(page_content=text, metadata={"source": "s"}) for text in texts]
        done = index(documents, records, store, cleanup="full", source_id_key="source", key_encoder="sha256")
        return {name: count for name, count in done.items() if count}

    assert indexed("one", "two") == {"num_added": 2}
    assert indexed("one", "three") == {"num_added": 1, "num_skipped": 1, "num_deleted": 1}
    assert {document.page_content for document in store.similarity_search("one", k=9)} == {"one", "three"}


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize("key", ["lang", "language"], ids=["kept with the vectors", "looked at"])
def test_a_filter_finds_what_is_far_from_the_query(store: SlipstreamVectorStore, key: str) -> None:
    texts = [f"text {number}" for number in range(40)]
    store.add_texts(texts, [{key: "en" if number % 20 else "de"} for number in range(40)], ids=texts)
    assert sorted(_ids(store.similarity_search("text 7", k=4, filter={key: "de"}))) == ["text 0", "text 20"]
    assert len(store.similarity_search("text 7", k=4, filter={key: "en"})) == 4
    assert _ids(store.similarity_search("text 7", k=1, filter=lambda document: document.id != "text 7")) != ["text 7"]
    store.slip.pkg.update_entity("text 20", {key: "en"})
    assert _ids(store.similarity_search("text 7", k=4, filter={key: "de"})) == ["text 0"]
    vector = _query(store, "text 7")
    assert _ids(store.similarity_search_by_vector(vector, k=4, filter={key: "de"})) == ["text 0"]


def test_a_filter_that_looks_at_too_many_says_so(
    store: SlipstreamVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "K_MAX", 8)
    store.add_texts([f"text {number}" for number in range(9)])
    assert len(store.similarity_search("text 7", k=8)) == 8
    with pytest.raises(QueryLimitError, match=r"of the 8 nearest, 0 fit the filter, and 1 .* keep colour with"):
        store.similarity_search("text 7", k=1, filter={"colour": "red"})


def test_what_others_change_in_the_graph_is_found_changed(store: SlipstreamVectorStore) -> None:
    store.add_texts(["one", "two"], ids=["1", "2"])
    store.slip.pkg.update_entity("2", {"text": "three", "page": 3})
    ((document, score),) = store.similarity_search_with_score("three", k=1)
    assert document == Document(id="2", page_content="three", metadata={"page": 3})
    assert score == pytest.approx(1.0)
    store.slip.pkg.upsert_entity("Document", "3", {"name": "made elsewhere"})
    assert store.get_by_ids(["3", "1"])[0].page_content == "made elsewhere"
    (by_vector,) = store.similarity_search_by_vector(_query(store, "made elsewhere"), k=1)
    assert (by_vector.id, by_vector.page_content) == ("3", "made elsewhere")


def test_vectors_are_those_of_the_model_that_was_given(store: SlipstreamVectorStore) -> None:
    store.add_texts(["one", "two", "three"], ids=["1", "2", "3"])
    assert _ids(store.similarity_search_by_vector(_query(store, "two"), k=1)) == ["2"]
    with pytest.raises(InvalidInputError, match=r"query_vector: .*expected \(8,\)"):
        store.similarity_search_by_vector([1.0, 0.0])
    scored = store.similarity_search_with_relevance_scores("three", k=3)  # it warns of any beyond 0 to 1
    assert [score for _, score in scored] == sorted([score for _, score in scored], reverse=True)
    near = store.as_retriever(search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.999})
    assert _ids(near.invoke("three")) == ["3"]


def test_marginal_relevance_prefers_what_is_far_from_what_it_has(tmp_path: Path) -> None:
    with SlipstreamVectorStore.open(tmp_path, Asymmetric()) as store:
        store.add_texts(["bee", "bay", "cow"], ids=["bee", "bay", "cow"])
        assert sorted(_ids(store.similarity_search("a", k=2))) == ["bay", "bee"]
        assert "cow" in _ids(store.max_marginal_relevance_search("a", k=2, lambda_mult=0.1))
        assert store.max_marginal_relevance_search("a", k=2, filter={"page": 1}) == []


# ---------------------------------------------------------------------- models


def test_a_model_that_asks_otherwise_is_asked_otherwise_and_found_again(tmp_path: Path) -> None:
    with SlipstreamVectorStore.from_texts(
        ["ant", "bee"], Asymmetric(), ids=["ant", "bee"], directory=tmp_path
    ) as made:
        ((document, score),) = made.similarity_search_with_score("a", k=1)
        assert document.id == "bee"
        assert score == pytest.approx(1.0)
        assert made.slip.verify(deep=10).is_consistent
    with SlipstreamVectorStore.open(tmp_path, Asymmetric()) as again:
        assert _ids(again.similarity_search("a", k=1)) == ["bee"]
    with pytest.raises(ConfigError, match="Asymmetric:asymmetric"):
        SlipstreamVectorStore.open(tmp_path, DeterministicFakeEmbedding(size=SIZE))


def test_a_model_that_is_not_the_pkgs_is_refused(store: SlipstreamVectorStore) -> None:
    same = DeterministicFakeEmbedding(size=SIZE)
    made = SlipstreamVectorStore.from_texts(["one"], same, ids=["1"], slip=store.slip)
    made.close()  # the PKG is not its own
    assert _ids(store.similarity_search("one")) == ["1"]
    for other in (Asymmetric(), DeterministicFakeEmbedding(size=SIZE + 1)):
        with pytest.raises(InvalidInputError, match="embeds 'Document' with another model, 'Deterministic"):
            SlipstreamVectorStore(store.slip, embedding=other)
    with pytest.raises(InvalidInputError, match="directory: give a directory"):
        SlipstreamVectorStore.from_texts(["one"], same)
    with pytest.raises(InvalidInputError, match="directory: 'https://localhost' is a URL"):
        SlipstreamVectorStore.from_texts(["one"], same, directory="https://localhost")
    with pytest.raises(InvalidInputError, match="directory: give a directory"):
        SlipstreamVectorStore.from_texts(["one"], same, directory="here", slip=store.slip)


def test_vectors_of_a_server_stay_there() -> None:
    with slipstream.connect(NOWHERE) as slip:
        store = SlipstreamVectorStore(slip)
        assert store.embeddings is None
        assert store.as_retriever().vectorstore is store
        with pytest.raises(UnsupportedError, match="can not be had from a server"):
            store.similarity_search_by_vector([1.0])
        with pytest.raises(UnsupportedError, match="can not be had from a server"):
            store.max_marginal_relevance_search("one")
        with pytest.raises(UnsupportedError, match="can not be had from a server"):
            SlipstreamVectorStore(slip, embedding=Asymmetric())


def test_a_program_serves_a_store_with_its_model(tmp_path: Path) -> None:
    with (
        SlipstreamVectorStore.open(tmp_path, Asymmetric()) as store,
        serve(store.slip, "127.0.0.1:0") as server,
        slipstream.connect(server.url) as slip,
    ):
        far = SlipstreamVectorStore(slip)
        far.add_texts(["ant", "bee"], ids=["ant", "bee"])
        assert _ids(far.similarity_search("a", k=1)) == ["bee"]
        assert _ids(store.similarity_search("a", k=1)) == ["bee"]


def test_an_outage_of_a_model_is_told_as_one() -> None:
    model = Asymmetric()
    embedder = LangChainEmbedder(model, outages=(LookupError,))
    assert embedder.embed([]).shape == (0, SIZE)
    assert np.linalg.norm(embedder.embed(["one"])) == pytest.approx(1.0)
    for outage in (ConnectionError("refused"), LookupError("busy")):
        model.outage = outage
        with pytest.raises(UnavailableError, match=r"'Asymmetric:asymmetric' did not answer .*refused|busy"):
            embedder.embed(["one"])
    model.outage = ValueError("of this text")
    with pytest.raises(ValueError, match="of this text"):
        embedder.embed_queries(["one"])


def test_a_spec_that_promises_what_its_embedder_lacks_is_refused(tmp_path: Path) -> None:
    class Lacking:
        """A wrapper that passes on what every embedder has, and nothing else."""

        def __init__(self, inner: LangChainEmbedder) -> None:
            self.spec, self.embed, self.count_tokens = inner.spec, inner.embed, inner.count_tokens

        def close(self) -> None:
            """Do nothing."""

    embedder: Any = Lacking(LangChainEmbedder(Asymmetric()))
    with slipstream.open(tmp_path, create=True, options=Options(embedders=(embedder,))) as slip:
        slip.pkg.create_entity("Note", "1", {"name": "one"})
        with pytest.raises(ConfigError, match="has no embed_queries: add it to Lacking"):
            slip.search("one", mode="vector")


def test_a_store_without_a_model_is_a_pkg_like_any_other(tmp_path: Path) -> None:
    with SlipstreamVectorStore.open(tmp_path, entity_type="Page 1", text_property="body", metadata=["id"]) as store:
        store.add_texts(["one"], [{"id": 1, "lang": "en"}], ids=["1"])
        assert _ids(store.similarity_search("one", filter={"id": 1})) == ["1"]
    with slipstream.open(tmp_path) as slip:
        (hit,) = slip.search("one", entity_type="Page 1", metadata={"metadata_id": 1})
        assert (hit.text, slip.embedding.stats.computed) == ("one", 0)
    with SlipstreamVectorStore.open(tmp_path, entity_type="Page 1", text_property="body") as store:
        assert _ids(store.similarity_search("one")) == ["1"]


# ---------------------------------------------------------------------- the retriever


def test_the_retriever_tells_what_the_graph_knows(store: SlipstreamVectorStore) -> None:
    with store.slip.pkg.transaction() as tx:
        tx.create_entity("Person", "ada", {"name": "Ada", "born": 1815})
        tx.create_entity("Person", "bob", {"name": "Bob"})
        tx.relate("ada", "KNOWS", "bob")
    (found,) = SlipstreamRetriever(slip=store.slip, k=1, expand=1, mode="vector").invoke("Ada")
    facts = found.metadata.pop("slipstream")
    assert found == Document(id="ada", page_content="Ada", metadata={"name": "Ada", "born": 1815})
    assert (facts["type"], facts["name"], facts["score"]) == ("Person", "Ada", pytest.approx(1.0))
    assert [(row["entity_id"], row["relationship_type"], row["direction"]) for row in facts["neighbours"]] == [
        ("bob", "KNOWS", "out")
    ]
    assert _ids(SlipstreamRetriever(slip=store.slip, filter={"name": "Bob"}).invoke("Ada")) == ["bob"]
    assert SlipstreamRetriever(slip=store.slip, entity_type="Place").invoke("Ada") == []
    named = SlipstreamRetriever(slip=store.slip, k=1, text_property="born")
    assert named.invoke("Ada")[0].page_content == "Ada"  # a number is no text


def test_the_retriever_finds_names_that_a_model_does_not(store: SlipstreamVectorStore) -> None:
    with store.slip.pkg.transaction() as tx:
        for number in range(30):
            tx.create_entity("Part", f"part {number}", {"name": f"XK-{number:03}", "timestamp": f"20{number:02}"})
    by_all = SlipstreamRetriever(slip=store.slip, k=1, entity_type="Part")
    assert _ids(by_all.invoke("xk 017")) == ["part 17"]
    newest = SlipstreamRetriever(
        slip=store.slip, k=30, entity_type="Part", search_options={"since": "2027", "sort": "newest", "explain": True}
    ).invoke("XK-017")
    assert _ids(newest) == ["part 29", "part 28", "part 27"]
    assert newest[0].metadata["slipstream"]["explanation"]["arms"]
    with pytest.raises(InvalidInputError, match="search_options: expand is an argument of its own"):
        SlipstreamRetriever(slip=store.slip, search_options={"expand": 1}).invoke("x")
    with pytest.raises(InvalidInputError, match="since: "):
        SlipstreamRetriever(slip=store.slip, search_options={"since": "soon"}).invoke("x")


def test_scores_of_a_store_are_cosines_unless_it_is_told_to_look_for_words(store: SlipstreamVectorStore) -> None:
    store.add_texts(["it rains in Ulm", "the sun shines"], ids=["rain", "sun"])
    (best, score), *_ = store.similarity_search_with_score("it rains in Ulm", 2)
    assert best.id == "rain"
    assert score == pytest.approx(1.0, abs=1e-5)
    assert store.similarity_search_with_relevance_scores("it rains in Ulm", 1)[0][1] <= 1.0
    worded = SlipstreamVectorStore(store.slip, entity_type=store.entity_type, mode="keyword")
    assert _ids(worded.similarity_search("Ulm")) == ["rain"]
    everything = SlipstreamVectorStore(store.slip, entity_type=store.entity_type, mode="hybrid")
    assert everything.similarity_search("Ulm", 1)[0].id == "rain"
    with pytest.raises(UnsupportedError, match="mode='vector'"):
        everything.similarity_search_with_relevance_scores("Ulm")
    with pytest.raises(InvalidInputError, match="mode: must be one of"):
        SlipstreamVectorStore(store.slip, mode="guessing")  # type: ignore[arg-type]


def test_nothing_is_traced_unless_the_user_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGSMITH_TRACING", raising=False)
    monkeypatch.delenv("LANGCHAIN_TRACING_V2", raising=False)
    assert not tracing_is_enabled()


@pytest.mark.parametrize(("name", "needs"), [("langchain", "langchain_core"), ("llamaindex", "llama_index")])
def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, name: str, needs: str) -> None:
    for module in [each for each in sys.modules if each.startswith(("slipstream.integrations", needs))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, needs, None)
    with pytest.raises(ImportError, match=rf"install slipstream-pkg\[{name}\]"):
        importlib.import_module(f"slipstream.integrations.{name}")
