"""The LlamaIndex retriever, alone and in a query engine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeRelationship

import slipstream
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError
from slipstream.integrations.llamaindex import SlipstreamRetriever
from slipstream.views.declaration import View
from tests.faces import worlds


@pytest.fixture(scope="module", params=["opened", "by_socket"])
def slip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipstream]:
    face = getattr(worlds, request.param)
    with face(tmp_path_factory.mktemp("pkg")) as made:
        with made.slip.pkg.transaction() as tx:
            tx.create_entity("Chapter", "engine", {"name": "The analytical engine", "page": 12})
            tx.create_entity("Chapter", "loom", {"name": "The loom and its cards", "page": 30})
            tx.create_entity("Person", "ada", {"name": "Ada Lovelace"})
            tx.relate("engine", "NEXT", "loom")
            tx.relate("engine", "ABOUT", "ada")
            tx.relate("engine", "ABOUT", "loom")
        yield made.slip


def test_a_node_has_text_properties_facts_and_relationships(slip: Slipstream) -> None:
    relations = {"NEXT": NodeRelationship.NEXT, "ABOUT": NodeRelationship.CHILD}
    retriever = SlipstreamRetriever(slip, similarity_top_k=1, expand=1, relations=relations)
    (found,) = retriever.retrieve("analytical engine")
    node, facts = found.node, found.node.metadata.pop("slipstream")
    assert (node.node_id, node.get_content()) == ("engine", "The analytical engine")
    assert node.metadata == {"name": "The analytical engine", "page": 12}
    assert (facts["type"], facts["score"]) == ("Chapter", found.score)
    assert {row["entity_id"] for row in facts["neighbours"]} == {"loom", "ada"}
    assert node.next_node is not None
    assert node.next_node.node_id == "loom"
    assert [child.node_id for child in node.child_nodes or ()] == ["ada", "loom"]


def test_filters_types_and_own_writes_hold(slip: Slipstream) -> None:
    assert [node.node_id for node in SlipstreamRetriever(slip, filters={"page": 30}).retrieve("engine")] == ["loom"]
    people = SlipstreamRetriever(slip, entity_type="Person")
    assert [node.node_id for node in people.retrieve("engine")] == ["ada"]
    slip.pkg.create_entity("Person", "bob", {"name": "Charles Babbage"})
    assert people.retrieve("Babbage")[0].node_id == "bob"
    slip.pkg.delete_entity("bob")
    assert [node.node_id for node in people.retrieve("Babbage")] == ["ada"]


def test_modes_and_other_options_are_passed_on(slip: Slipstream) -> None:
    exact = SlipstreamRetriever(slip, mode="exact").retrieve("ADA LOVELACE")
    assert [(node.node_id, node.score) for node in exact] == [("ada", 1.0)]
    told = SlipstreamRetriever(slip, search_options={"explain": True}).retrieve("ada lovelace")
    assert told[0].node.metadata["slipstream"]["explanation"]["name_kind"] == "name"
    assert SlipstreamRetriever(slip, search_options={"min_confidence": 0.5}).retrieve("engine") == []
    with pytest.raises(InvalidInputError, match="search_options: after is an argument of its own"):
        SlipstreamRetriever(slip, search_options={"after": None})


def test_a_query_engine_answers_from_what_is_found_and_opens_no_connection(
    slip: Slipstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.socket.connect

    def refused(own: socket.socket, address: Any) -> None:
        assert own.family == socket.AF_UNIX, f"connects to {address}"
        connect(own, address)

    monkeypatch.setattr(socket.socket, "connect", refused)
    engine = RetrieverQueryEngine.from_args(SlipstreamRetriever(slip, similarity_top_k=1), llm=MockLLM())
    answer = engine.query("What does the loom have?")
    assert [node.node_id for node in answer.source_nodes] == ["loom"]
    assert "The loom and its cards" in str(answer)  # the mock says what it was asked
    assert "minilm" not in answer.source_nodes[0].node.get_content(MetadataMode.LLM)


def test_an_awaited_search_is_made_in_another_thread(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[threading.Thread] = []
    search = slip.search

    def noted(*args: Any, **kwargs: Any) -> Any:
        searched.append(threading.current_thread())
        return search(*args, **kwargs)

    monkeypatch.setattr(slip, "search", noted)
    (found,) = asyncio.run(SlipstreamRetriever(slip, similarity_top_k=1).aretrieve("Lovelace"))
    assert found.node_id == "ada"
    assert searched != [threading.current_thread()]


def test_a_relationship_that_is_found_has_no_neighbours(tmp_path_factory: pytest.TempPathFactory) -> None:
    from slipstream.app.composition import Options

    views = (View("KNOWS", "{{ source.name }} knows {{ target.name }}", is_relationship=True),)
    place = tmp_path_factory.mktemp("pkg")
    with slipstream.open(place, create=True, options=Options(views=views)) as slip:
        with slip.pkg.transaction() as tx:
            for name in ("Ada", "Bob"):
                tx.create_entity("Person", name.lower(), {"name": name})
            tx.relate("ada", "KNOWS", "bob", {"since": 1833})
        retriever = SlipstreamRetriever(slip, entity_type="KNOWS", relations={"KNOWS": NodeRelationship.NEXT})
        (found,) = retriever.retrieve("who knows Bob?")
    assert found.node.get_content() == "Ada knows Bob"
    assert found.node.metadata["since"] == 1833
    assert found.node.relationships == {}
