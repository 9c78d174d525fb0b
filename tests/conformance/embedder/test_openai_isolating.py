"""Whose fault a refusal is: the text's, the request's size, or the model's. As real servers answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from slipstream.adapters.embedders.openai import OpenAIEmbedder, RequestLimits, TooLong
from slipstream.domain.errors import ConfigError, PoisonEventError, RateLimitedError, UnavailableError
from slipstream.testkit.embedders import HashEmbedder
from tests.conformance.embedder.server import Answer, EmbeddingServer, serving

Fault = Callable[[dict[str, Any]], Answer | None]
TEXTS = [f"pebbles {number}" for number in range(12)]
LONG = "stone " * 100


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serving() as running:
        yield running


Client = Callable[..., OpenAIEmbedder]


@pytest.fixture
def client(server: EmbeddingServer) -> Iterator[Client]:
    with ExitStack() as stack:

        def made(limits: RequestLimits | None = None, **options: Any) -> OpenAIEmbedder:
            limits = limits or RequestLimits(texts_max=16)
            embedder = OpenAIEmbedder(server.url, "served", dimension=64, timeout_s=60, limits=limits, **options)
            stack.callback(embedder.close)
            return embedder

        yield made


def refusing(status: int, word: str, message: str = "") -> Fault:
    """Refuse whatever has a text with the word in it, and say no more than real servers do."""
    return lambda body: (status, {}, message) if any(word in text for text in body["input"]) else None


def embedding(body: dict[str, Any]) -> list[list[float]]:
    return [row.tolist() for row in HashEmbedder().embed(body["input"])]


LLAMA = json.dumps({"error": {"code": 500, "message": "input (602 tokens) is too large to process. increase the "}})
NAN = "failed to encode response: json: unsupported value: NaN"


@pytest.mark.parametrize("status", [400, 413, 422, 424, 500, 501])
@pytest.mark.parametrize("at", [0, 7, 11])
def test_one_text_that_is_refused_while_others_pass_is_at_fault(
    server: EmbeddingServer, client: Client, status: int, at: int
) -> None:
    server.fault = refusing(status, "mushroom", NAN)
    embedder = client(limits=RequestLimits(texts_max=16, too_long=TooLong.REFUSE))
    texts = [*TEXTS[:at], "a mushroom", *TEXTS[at:]]
    with pytest.raises(PoisonEventError, match=rf"answered {status}: .*NaN") as caught:
        embedder.embed(texts)
    assert list(caught.value.texts) == ["a mushroom"]
    np.testing.assert_allclose(embedder.embed(TEXTS), HashEmbedder().embed(TEXTS), atol=1e-6)


def test_several_texts_at_fault_are_named_at_once(server: EmbeddingServer, client: Client) -> None:
    server.fault = refusing(500, "bad")
    with pytest.raises(PoisonEventError, match="and 2 more") as caught:
        client().embed([*TEXTS, "bad 1", "bad 2", "bad 3"])
    assert sorted(caught.value.texts) == ["bad 1", "bad 2", "bad 3"]


def test_a_refusal_that_does_not_come_again_blames_nobody(server: EmbeddingServer, client: Client) -> None:
    crashes: Iterator[Answer] = iter([(400, {}, 'do embedding request: Post "http://127.0.0.1:1/embedding": EOF')])
    server.fault = lambda body: next(crashes, None) if body["input"] != ["test"] else None
    assert client().embed(["a text"]).shape == (1, 64)


@pytest.mark.parametrize(
    "spoiled", [[0.0] * 64, [float("nan")] * 64, [None] * 64, [float("inf")] * 64], ids=["zero", "nan", "null", "inf"]
)
def test_a_text_without_a_direction_is_at_fault(server: EmbeddingServer, client: Client, spoiled: list[Any]) -> None:
    def spoil(body: dict[str, Any]) -> Answer:
        rows = [spoiled if "bad" in t else row for t, row in zip(body["input"], embedding(body), strict=True)]
        return 200, {}, json.dumps({"data": [{"index": n, "embedding": row} for n, row in enumerate(rows)]})

    server.fault = spoil
    with pytest.raises(PoisonEventError, match="no direction to search by") as caught:
        client().embed([*TEXTS, "bad"])
    assert list(caught.value.texts) == ["bad"]


def test_a_text_that_the_server_drops_is_at_fault(server: EmbeddingServer, client: Client) -> None:
    def drop(body: dict[str, Any]) -> Answer:
        kept = [r for t, r in zip(body["input"], embedding(body), strict=True) if "bad" not in t]
        return 200, {}, json.dumps({"data": [{"index": n, "embedding": row} for n, row in enumerate(kept)]})

    server.fault = drop
    with pytest.raises(PoisonEventError, match="0 vectors for 1 texts") as caught:
        client().embed([*TEXTS, "bad"])
    assert list(caught.value.texts) == ["bad"]


@pytest.mark.parametrize(("status", "error"), [(400, ConfigError), (422, ConfigError), (500, UnavailableError)])
def test_when_all_are_refused_the_model_is_at_fault_and_few_requests_find_out(
    server: EmbeddingServer, client: Client, status: int, error: type[Exception]
) -> None:
    server.fault = lambda _: (status, {}, "input must be a string")
    with pytest.raises(error, match="whatever the text is"):
        client().embed(TEXTS)
    assert [len(body["input"]) for body in server.bodies] == [12, 1]


def test_when_all_but_the_known_good_text_are_refused_the_model_is_at_fault_too(
    server: EmbeddingServer, client: Client
) -> None:
    server.fault = refusing(400, "pebbles")
    with pytest.raises(ConfigError, match="every text but the shortest"):
        client().embed(TEXTS)


# ---------------------------------------------------------------------- answers that are understood


def test_without_index_the_order_of_the_answer_is_taken(server: EmbeddingServer, client: Client) -> None:
    server.fault = lambda body: (200, {}, json.dumps({"data": [{"embedding": row} for row in embedding(body)]}))
    np.testing.assert_allclose(client().embed(TEXTS), HashEmbedder().embed(TEXTS), atol=1e-6)


def test_base64_of_little_endian_float32_is_read(server: EmbeddingServer, client: Client) -> None:
    def coded(body: dict[str, Any]) -> Answer:
        rows = [base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode() for row in embedding(body)]
        return 200, {}, json.dumps({"data": [{"index": n, "embedding": row} for n, row in enumerate(rows)]})

    server.fault = coded
    np.testing.assert_allclose(client().embed(TEXTS), HashEmbedder().embed(TEXTS), atol=1e-6)


# ---------------------------------------------------------------------- limits of a request


def test_a_limit_of_texts_is_learned(server: EmbeddingServer, client: Client) -> None:
    def tei(body: dict[str, Any]) -> Answer | None:
        texts = len(body["input"])
        return (422, {}, f"batch size {texts} > maximum allowed batch size 4") if texts > 4 else None

    server.fault, embedder = tei, client()
    np.testing.assert_allclose(embedder.embed(TEXTS), HashEmbedder().embed(TEXTS), atol=1e-6)
    server.bodies.clear()
    embedder.embed(TEXTS)
    assert [len(body["input"]) for body in server.bodies] == [3, 3, 3, 3]


def test_a_limit_of_bytes_is_learned(server: EmbeddingServer, client: Client) -> None:
    texts = [f"{number} {LONG}" for number in range(8)]
    server.fault = lambda body: (413, {}, "") if len(json.dumps(body)) > 2_500 else None
    embedder = client()
    assert embedder.embed(texts).shape == (8, 64)
    embedder.embed(texts)
    assert [len(body["input"]) for body in server.bodies] == [8, 4, 4, 4, 4]


def test_a_limit_of_requests_at_once_is_met_with_smaller_ones(server: EmbeddingServer, client: Client) -> None:
    server.fault = lambda body: (429, {}, "Model is overloaded") if len(body["input"]) > 2 else None
    assert client().embed(TEXTS).shape == (12, 64)


def test_an_overloaded_server_is_waited_for_not_blamed(server: EmbeddingServer, client: Client) -> None:
    server.fault = lambda _: (429, {}, "Model is overloaded")
    with pytest.raises(RateLimitedError):
        client().embed(TEXTS)
    server.fault = lambda _: (503, {"retry-after": "9"}, "Loading model")
    with pytest.raises(RateLimitedError) as caught:
        client().embed(TEXTS)
    assert caught.value.retry_after_s == 9


def test_the_settings_bound_each_request(server: EmbeddingServer, client: Client) -> None:
    limits = RequestLimits(texts_max=5, bytes_max=1_500, tokens_max=40)
    client(limits=limits).embed([*TEXTS, LONG, LONG + "x"])
    # Three tokens a text by the estimate, so the number of texts counts; the long ones go by themselves.
    assert [len(body["input"]) for body in server.bodies] == [5, 5, 2, 1, 1]


# ---------------------------------------------------------------------- texts that are too long


def too_long(tokens_max: int, status: int, message: str) -> Fault:
    def answer(body: dict[str, Any]) -> Answer | None:
        given = max(len(text.split()) for text in body["input"])
        said = message.replace("GIVEN", str(given)).replace("LIMIT", str(tokens_max))
        return (status, {}, said) if given > tokens_max else None

    return answer


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "input (GIVEN tokens) is too large to process. current batch size: LIMIT"),
        (422, "Input validation error: `inputs` must have less than LIMIT tokens. Given: GIVEN"),
        (400, "the input length exceeds the context length"),
        (413, ""),
    ],
    ids=["llama", "tei", "ollama", "413"],
)
def test_a_text_that_is_too_long_is_cut_and_the_share_is_told(
    server: EmbeddingServer, client: Client, status: int, message: str
) -> None:
    server.fault = too_long(60, status, message)
    embedder = client()
    matrix = embedder.embed([*TEXTS, LONG])
    (kept,) = [body["input"] for body in server.bodies if len(body["input"]) == 1][-1]
    assert LONG.startswith(kept)
    assert 30 <= len(kept.split()) <= 60
    np.testing.assert_allclose(matrix[-1], HashEmbedder().embed([kept])[0], atol=1e-6)
    assert embedder.shares([*TEXTS, LONG]) == [None] * 12 + [pytest.approx(len(kept) / len(LONG))]


def test_other_long_texts_then_go_alone_and_hold_up_no_batch(server: EmbeddingServer, client: Client) -> None:
    server.fault = too_long(60, 500, LLAMA)
    embedder = client()
    embedder.embed([LONG])
    server.bodies.clear()
    embedder.embed([*TEXTS, LONG + "more"])
    assert [len(body["input"]) for body in server.bodies if any(t in TEXTS for t in body["input"])] == [12]


def test_by_setting_a_text_that_is_too_long_is_refused_with_the_reason(
    server: EmbeddingServer, client: Client
) -> None:
    server.fault = too_long(60, 500, LLAMA)
    embedder = client(limits=RequestLimits(too_long=TooLong.REFUSE))
    with pytest.raises(PoisonEventError, match="602 tokens") as caught:
        embedder.embed([*TEXTS, LONG])
    assert list(caught.value.texts) == [LONG]


def test_by_setting_the_beginning_is_taken_and_that_is_another_model(server: EmbeddingServer, client: Client) -> None:
    embedder = client(limits=RequestLimits(characters_max=60), version="7")
    np.testing.assert_allclose(embedder.embed([LONG]), HashEmbedder().embed([LONG[:60]]), atol=1e-6)
    assert embedder.shares([LONG, "short"]) == [0.1, None]
    assert embedder.spec.version == "7+first60"


# ---------------------------------------------------------------------- what never goes over the wire, and who dies


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_what_no_server_can_embed_is_not_sent(server: EmbeddingServer, client: Client, text: str) -> None:
    with pytest.raises(PoisonEventError, match=r"empty|surrogate") as caught:
        client().embed(["a", text])
    assert list(caught.value.texts) == [text]
    assert not server.bodies


def test_a_text_that_ends_the_server_is_found(server: EmbeddingServer, client: Client) -> None:
    server.dies = lambda body: any("bad" in text for text in body["input"])
    embedder = client()
    with pytest.raises(PoisonEventError, match="broke the connection") as caught:
        embedder.embed([*TEXTS, "bad"])
    assert list(caught.value.texts) == ["bad"]


def test_a_server_that_ends_each_time_and_is_away_for_a_while_is_not_ended_for_ever(
    server: EmbeddingServer, client: Client
) -> None:
    is_away = False

    def dies(body: dict[str, Any]) -> bool:
        nonlocal is_away
        was_away, is_away = is_away, any("bad" in text for text in body["input"])
        return was_away or is_away

    server.dies, embedder = dies, client()
    refused: list[str] = []
    for _ in range(12):  # as the engine does: the same texts again and again, without those at fault
        try:
            embedder.embed([text for text in [*TEXTS, "bad"] if text not in refused])
        except PoisonEventError as error:
            refused += error.texts
        except UnavailableError:
            continue
        else:
            break
    assert refused == ["bad"]


def test_the_name_at_the_server_may_be_another_one(server: EmbeddingServer) -> None:
    embedder = OpenAIEmbedder(server.url, "served-v2", served_as="served", version="2", dimension=64)
    embedder.embed(["a"])
    assert (embedder.spec.id, embedder.spec.version, server.bodies[0]["model"]) == ("served-v2", "2", "served")
    embedder.close()
