"""Any server that answers the OpenAI-compatible `/v1/embeddings`: Ollama, TEI, vLLM, OpenAI itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import (
    ConfigError,
    PoisonEventError,
    RateLimitedError,
    SlipstreamError,
    UnavailableError,
)
from slipstream.domain.models import ModelSpec

_RETRY_AFTER_DEFAULT_S = 5.0
_EXCERPT_CHARACTERS_MAX = 200
_CHARACTERS_PER_TOKEN = 4
_TOLERANCE = 1e-3  # half precision and server-side batching; measure your server to declare less

_TEXT_REFUSED = frozenset({400, 413, 422})
_FIXES: Mapping[int, str] = MappingProxyType(
    {401: "check api_key", 403: "check what api_key may do", 404: "check base_url and model"}
)


class OpenAIEmbedder:
    """
    Embeds over HTTP. Proxies and certificates of the environment are not looked at.

    `base_url` with or without `/v1`. `dimension` is what the vectors must have; None asks the server once, now.
    With `shorten` the server is asked for that dimension (matryoshka models). `version` names the weights behind
    the model's name: change it when they change, for no server tells. `count_tokens` estimates.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        version: str = "1",
        dimension: int | None = None,
        shorten: bool = False,
        tokens_max: int = 512,
        batch_max: int = 32,
        timeout_s: float = 30.0,
        tolerance: float = _TOLERANCE,
    ) -> None:
        if batch_max < 1 or timeout_s <= 0 or (shorten and dimension is None):
            raise ConfigError("batch_max and timeout_s must be positive, and shorten needs a dimension")
        self._url = _endpoint(base_url)
        self._model = model
        self._api_key = api_key
        self._batch_max = batch_max
        self._asked = {"dimensions": dimension} if shorten else {}
        self._client = _client(api_key, timeout_s)
        self._closed = False
        self._dimension = dimension or self._discovered()
        self._spec = ModelSpec(model, version, self._dimension, tokens_max, tolerance, counts_tokens=False)

    def __repr__(self) -> str:
        return f"OpenAIEmbedder(base_url={self._url!r}, model={self._model!r})"

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return self._spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, in the order of the texts, `batch_max` to a call."""
        self._check_open()
        parts = [
            self._rows(texts[start : start + self._batch_max]) for start in range(0, len(texts), self._batch_max)
        ]
        return np.concatenate([np.empty((0, self._dimension), dtype=np.float32), *parts])

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Estimate how many tokens each text has: four characters to one."""
        return [1 + len(text) // _CHARACTERS_PER_TOKEN for text in texts]

    def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        self._closed = True
        self._client.close()

    def _discovered(self) -> int:
        try:
            return int(self._vectors(["dimension"])[0].size)
        except SlipstreamError:
            self.close()
            raise

    def _rows(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = self._vectors(texts)
        sizes = {row.size for row in rows} - {self._dimension}
        if sizes:
            raise ConfigError(
                f"{self._where} returned vectors of dimension {sorted(sizes)}, not {self._dimension}: another model "
                "answers under that name now; register it with its own dimension and version"
            )
        matrix = np.stack(rows)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        spoiled = np.flatnonzero(~(np.isfinite(norms) & (norms > 1e-12))[:, 0])
        if spoiled.size:
            raise PoisonEventError(
                f"{self._where} returned NaN, infinity or the zero vector for {spoiled.size} of {len(texts)} texts: "
                "no direction to search by"
            )
        unit: npt.NDArray[np.float32] = (matrix / norms).astype(np.float32)
        return unit

    def _vectors(self, texts: Sequence[str]) -> list[npt.NDArray[np.float64]]:
        """Return what the server says, one array a text, in the order of the texts."""
        data = self._post({"model": self._model, "input": list(texts), "encoding_format": "float", **self._asked})
        if len(data) != len(texts):
            raise PoisonEventError(
                f"{self._where} returned {len(data)} vectors for {len(texts)} texts; "
                "embed them one by one to find the text that it drops"
            )
        by_index: dict[int, npt.NDArray[np.float64]] = {}
        try:
            for item in data:
                by_index[int(item["index"])] = np.asarray(item["embedding"], dtype=np.float64)  # null becomes NaN
            return [by_index[index].reshape(-1) for index in range(len(texts))]
        except (KeyError, TypeError, ValueError) as error:
            raise UnavailableError(
                f"{self._where} returned items without a distinct index or without numbers ({error!r}): "
                "it does not speak /v1/embeddings as OpenAI does"
            ) from error

    def _post(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        import httpx

        try:
            response = self._client.post(self._url, content=_json(body, self._where))
        except httpx.TimeoutException as error:
            raise UnavailableError(f"{self._where} did not answer in time: is the server loaded?") from error
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed meanwhile
            raise UnavailableError(f"{self._where} can not be reached: {self._redacted(str(error))}") from error
        if response.status_code != 200:
            raise self._refusal(response.status_code, response.headers, response.text)
        try:
            data = response.json()["data"]
            return [dict(item) for item in data]
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(
                f"{self._where} answered 200, but not with embeddings: {self._redacted(response.text)}"
            ) from error

    def _refusal(self, status: int, headers: Mapping[str, str], text: str) -> SlipstreamError:
        said = f"{self._where} answered {status}: {self._redacted(text)}"
        if status == 429:
            return RateLimitedError(said, retry_after_s=_retry_after_s(headers.get("retry-after")))
        if status in _TEXT_REFUSED:
            return PoisonEventError(said)
        if status == 408 or status >= 500:
            return UnavailableError(said)
        return ConfigError(f"{said} ({_FIXES.get(status, 'check base_url')})")

    def _redacted(self, text: str) -> str:
        shown = text.replace(self._api_key, "[api_key]") if self._api_key else text
        return " ".join(shown.split())[:_EXCERPT_CHARACTERS_MAX]

    def _check_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the client of {self._where} is closed: make a new embedder")

    @property
    def _where(self) -> str:
        return f"model {self._model!r} at {self._url}"


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


def _endpoint(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("base_url must look like http://host:port/v1")
    try:
        _ = parts.port
    except ValueError as error:
        raise ConfigError("the port of base_url is not a number") from error
    if parts.username or parts.password:
        raise ConfigError("base_url must not hold a password, it is shown in errors: use api_key")
    base = base_url.rstrip("/")
    return f"{base}/embeddings" if base.endswith("/v1") else f"{base}/v1/embeddings"


def _json(body: Mapping[str, Any], where: str) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise PoisonEventError(f"a text for {where} is not valid Unicode (a lone surrogate): correct it") from error


def _retry_after_s(header: str | None) -> float:
    """Read a Retry-After header: seconds or an HTTP date."""
    if not header:
        return _RETRY_AFTER_DEFAULT_S
    try:
        return max(0.0, float(header))
    except ValueError:
        pass  # then it is a date
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return _RETRY_AFTER_DEFAULT_S
