"""One request to `/v1/embeddings`, and its answer or error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from slipstream.adapters.embedders.openai.answers import Rows, unit_rows
from slipstream.adapters.embedders.openai.refusals import DiedError, RefusedError, refusal
from slipstream.domain.errors import ConfigError, UnavailableError

_EXCERPT_CHARACTERS_MAX = 200
_LARGE_BYTES = 1_000_000
"""A server that takes less often closes the connection while a larger request is still being sent."""


class Wire:
    """
    The client of one model at one address. Proxies and certificates of the environment are not looked at.

    Keys are never shown, and an address that holds one is refused, since errors and logs show addresses.
    """

    def __init__(
        self, base_url: str, model: str, *, api_key: str | None, timeout_s: float, asked: Mapping[str, Any]
    ) -> None:
        self._url = _endpoint(base_url, model)
        self._model, self._api_key, self._asked = model, api_key, asked
        self._client = _client(api_key, timeout_s)
        self._closed = False
        self.dimension: int | None = None
        """What vectors must have; None takes any."""

    @property
    def where(self) -> str:
        """The model and its address, as errors name them."""
        return f"model {self._model!r} at {self._url}"

    def rows(self, texts: Sequence[str]) -> Rows:
        """
        Return unit vectors in the order of the texts, by one request.

        Raises `RefusedError` when a text may be at fault, `DiedError` when the server died during the request,
        `TransientError` when it can not answer now, `ConfigError` when it never will.
        """
        import httpx

        if self._closed:
            raise UnavailableError(f"the client of {self.where} is closed: make a new embedder")
        content = json.dumps({"model": self._model, "input": list(texts), **self._asked}, ensure_ascii=False).encode()
        try:
            response = self._client.post(self._url, content=content)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise UnavailableError(f"{self.where} can not be reached: {self._redacted(str(error))}") from error
        except httpx.TimeoutException as error:
            raise DiedError(f"{self.where} did not answer in time: is the server loaded?") from error
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed meanwhile
            said = f"{self.where} broke the connection: {self._redacted(str(error))}"
            if len(content) > _LARGE_BYTES and len(texts) > 1:
                raise RefusedError(said, 413) from error
            raise DiedError(said) from error
        if response.status_code != 200:
            said = f"{self.where} answered {response.status_code}: {self._redacted(response.text)}"
            raise refusal(said, response.status_code, response.headers, response.text, len(texts))
        return unit_rows(response.text, len(texts), self.dimension, self.where, self._redacted(response.text))

    def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        self._closed = True
        self._client.close()

    def _redacted(self, text: str) -> str:
        shown = text.replace(self._api_key, "[api_key]") if self._api_key else text
        return " ".join(shown.split())[:_EXCERPT_CHARACTERS_MAX]

    def __repr__(self) -> str:
        return f"base_url={self._url!r}, model={self._model!r}"


def _client(api_key: str | None, timeout_s: float) -> Any:
    try:
        import httpx
    except ImportError as error:
        raise ConfigError("embedding over HTTP needs httpx: install slipstream-pkg[openai]") from error
    headers = {"content-type": "application/json"}
    if api_key:
        if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
            raise ConfigError("api_key holds a blank or a character that no HTTP header can carry (a line end?)")
        headers["authorization"] = f"Bearer {api_key}"
    return httpx.Client(headers=headers, timeout=timeout_s, trust_env=False)


def _endpoint(base_url: str, model: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"model {model!r}: base_url must look like http://host:port/v1")
    try:
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"model {model!r}: the port of base_url is not a number") from error
    if parts.username or parts.password:
        raise ConfigError(
            f"model {model!r}: base_url must not hold a user or a password, it is shown in errors: use api_key"
        )
    if parts.query or parts.fragment or "?" in base_url or "#" in base_url:
        raise ConfigError(
            f"model {model!r}: base_url must end before any ? or #, it is shown in errors: a key goes into api_key"
        )
    base = base_url.rstrip("/")
    return f"{base}/embeddings" if base.endswith("/v1") else f"{base}/v1/embeddings"
