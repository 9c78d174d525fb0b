"""What the OpenAI-compatible client makes of servers that refuse, fail or talk nonsense."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import numpy as np
import pytest

from slipstream.adapters.embedders.openai import OpenAIEmbedder, RequestLimits
from slipstream.domain.errors import (
    ConfigError,
    RateLimitedError,
    SlipstreamError,
    UnavailableError,
)
from slipstream.testkit.embedders import HashEmbedder
from tests.conformance.embedder.server import Answer, EmbeddingServer, serving

KEY = "sk-very-secret"
VECTOR = [1.0] + [0.0] * 63


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serving() as running:
        yield running


@pytest.fixture
def embedder(server: EmbeddingServer) -> Iterator[OpenAIEmbedder]:
    made = OpenAIEmbedder(
        server.url, "served", api_key=KEY, dimension=64, limits=RequestLimits(texts_max=16), timeout_s=60
    )
    yield made
    made.close()


def saying(*items: Any) -> Callable[[dict[str, Any]], Answer]:
    return lambda _: (200, {}, json.dumps({"data": items}))


def item(index: int, vector: Any) -> dict[str, Any]:
    return {"index": index, "embedding": vector}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ConfigError),
        (413, ConfigError),
        (422, ConfigError),
        (424, ConfigError),
        (405, ConfigError),
        (401, ConfigError),
        (403, ConfigError),
        (404, ConfigError),
        (302, ConfigError),
        (408, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
        (429, RateLimitedError),
    ],
)
def test_a_refusal_of_every_text_is_the_models(
    server: EmbeddingServer, embedder: OpenAIEmbedder, status: int, error: type[SlipstreamError]
) -> None:
    server.fault = lambda _: (status, {}, f"the server's reason, and a leaked {KEY}")
    with pytest.raises(error, match=f"'served' at .* answered {status}: the server's reason") as caught:
        embedder.embed(["a"])
    assert KEY not in str(caught.value)
    server.fault = None
    assert embedder.embed(["a"]).shape == (1, 64)


def _in_a_minute() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [("7", 7, 7), ("1.5", 1.5, 1.5), ("-3", 0, 0), ("soon", 5, 5), (None, 5, 5), (_in_a_minute, 30, 60)],
)
def test_the_wait_of_a_rate_limit_is_read(
    server: EmbeddingServer, embedder: OpenAIEmbedder, header: Any, least_s: float, most_s: float
) -> None:
    value = header() if callable(header) else header
    server.fault = lambda _: (429, {"retry-after": value} if value else {}, "slow down")
    with pytest.raises(RateLimitedError) as caught:
        embedder.embed(["a"])
    assert least_s <= caught.value.retry_after_s <= most_s


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (saying(), ConfigError, "0 vectors for 1 texts"),
        (saying(*(item(n, VECTOR) for n in range(3))), ConfigError, "3 vectors for 1 texts"),
        (saying(item(0, VECTOR), item(0, VECTOR)), ConfigError, "distinct index"),
        (saying(item(1, VECTOR), item(2, VECTOR)), ConfigError, "distinct index"),
        (saying({"embedding": VECTOR}, item(1, VECTOR)), ConfigError, "distinct index"),
        (saying(item(0, VECTOR), item(1, "text")), ConfigError, "without numbers"),
        (saying(item(0, VECTOR), item(1, "no base64!")), ConfigError, "without numbers"),
        (saying(item(0, VECTOR), item(1, {"a": 1})), ConfigError, "without numbers"),
        (saying(item(0, VECTOR), item(1, VECTOR[1:])), ConfigError, r"dimension \[63\], not 64"),
        (saying(item(0, VECTOR), item(1, [])), ConfigError, r"dimension \[0\], not 64"),
        (saying("text", "text"), ConfigError, "not with embeddings"),
        (lambda _: (200, {}, "<html>a proxy's page</html>"), ConfigError, "a proxy's page"),
        (lambda _: (200, {}, '{"error": "busy"}'), ConfigError, "not with embeddings"),
    ],
)
def test_nonsense_that_no_retry_can_mend_is_told_at_once(
    server: EmbeddingServer,
    embedder: OpenAIEmbedder,
    answer: Callable[[dict[str, Any]], Answer],
    error: type[SlipstreamError],
    said: str,
) -> None:
    server.fault = answer
    with pytest.raises(error, match=said):
        embedder.embed(["a", "b"])


def test_vectors_are_put_in_order_by_their_index_and_normalised(
    server: EmbeddingServer, embedder: OpenAIEmbedder
) -> None:
    server.fault = saying(item(1, [0.0] * 63 + [4.0]), item(0, [2.0] + [0.0] * 63))
    matrix = embedder.embed(["a", "b"])
    assert (matrix[0, 0], matrix[1, 63]) == (1.0, 1.0)


def test_what_goes_over_the_wire(server: EmbeddingServer, embedder: OpenAIEmbedder) -> None:
    texts = [f"text {number}" for number in range(20)]
    np.testing.assert_allclose(embedder.embed(texts), HashEmbedder().embed(texts), atol=1e-6)
    assert [len(body["input"]) for body in server.bodies] == [16, 4]
    assert server.bodies[1] == {"model": "served", "input": texts[16:]}  # what else there is, some servers refuse
    assert set(server.authorizations) == {f"Bearer {KEY}"}


def test_the_dimension_is_asked_for_once(server: EmbeddingServer) -> None:
    embedder = OpenAIEmbedder(f"{server.url}/v1/", "served")
    assert embedder.spec.dimension == 64
    assert len(server.bodies) == 1
    assert server.authorizations == [None]
    embedder.close()


def test_a_shorter_dimension_is_asked_of_the_server(server: EmbeddingServer) -> None:
    server.embedder = HashEmbedder(dimension=16)
    embedder = OpenAIEmbedder(server.url, "served", dimension=16, shorten=True)
    assert embedder.embed(["a"]).shape == (1, 16)
    assert server.bodies[0]["dimensions"] == 16
    embedder.close()


def test_a_failing_probe_is_an_error_of_the_constructor(server: EmbeddingServer) -> None:
    server.fault = lambda _: (401, {}, "no")
    with pytest.raises(ConfigError, match="check api_key"):
        OpenAIEmbedder(server.url, "served")


def test_no_server_at_all_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match="can not be reached"):
        OpenAIEmbedder(f"http://127.0.0.1:{port}", "served")


def test_a_server_that_does_not_answer_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody reads
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="did not answer in time"):
            OpenAIEmbedder(url, "served", timeout_s=0.05)


def test_the_key_is_shown_nowhere(embedder: OpenAIEmbedder) -> None:
    assert KEY not in repr(embedder)
    assert KEY not in str(embedder.spec)


@pytest.mark.parametrize("key", ["two words", "line\nend", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key") as caught:
        OpenAIEmbedder("http://127.0.0.1:1", "served", api_key=key, dimension=64)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("localhost:8080", "must look like"),
        ("ftp://host", "must look like"),
        ("", "must look like"),
        ("http://host:port", "port"),
        ("http://me:secret@host", "use api_key"),
        ("http://secret@host/v1", "use api_key"),
        ("https://host/v1?key=secret", "goes into api_key"),
        ("https://host/v1/?api-key=secret&v=2", "goes into api_key"),
        ("https://host/v1#secret", "goes into api_key"),
    ],
)
def test_useless_addresses_are_refused(base_url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        OpenAIEmbedder(base_url, "served", dimension=64)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["texts_max", "bytes_max", "tokens_max", "characters_max"])
def test_useless_limits_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=f"{wrong}=0"):
        RequestLimits(**{wrong: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"timeout_s": 0.0}, {"shorten": True}])
def test_useless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be positive"):
        OpenAIEmbedder("http://127.0.0.1:1", "served", **wrong)


def test_tokens_are_only_estimated(embedder: OpenAIEmbedder) -> None:
    assert not embedder.spec.counts_tokens
    assert list(embedder.count_tokens(["", "x" * 400])) == [1, 101]
