"""The vectors in a server's answer, in the order of the texts: by `index`, or as they come; numbers or base64."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.adapters.embedders.openai.refusals import RefusedError
from slipstream.domain.errors import ConfigError

Rows = npt.NDArray[np.float32]

_NORM_MIN = 1e-12


def unit_rows(body: str, texts: int, dimension: int | None, where: str, shown: str) -> Rows:
    """
    Return unit-length vectors, one for each text.

    Raises `ConfigError` for an answer that no retry can mend, and `RefusedError` when a text may be at fault: too few
    vectors, or one without a direction.
    """
    vectors = [_numbers(item, where) for item in _in_order(_items(body, where, shown), texts, where)]
    expected = dimension or vectors[0].size
    wrong = {vector.size for vector in vectors if vector.size != expected or not vector.size}
    if wrong:
        raise ConfigError(
            f"{where} returned vectors of dimension {sorted(wrong)}, not {expected}: another model answers under "
            "that name now; register it with its own dimension and version, and migrate to it"
        )
    matrix = np.stack(vectors)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    spoiled = np.flatnonzero(~(np.isfinite(norms) & (norms > _NORM_MIN))[:, 0])
    if spoiled.size:
        raise RefusedError(
            f"{where} returned NaN, infinity or the zero vector for {spoiled.size} of {texts} texts: no direction to "
            "search by",
            200,
        )
    unit: Rows = (matrix / norms).astype(np.float32)
    return unit


def _items(body: str, where: str, shown: str) -> list[dict[str, Any]]:
    try:
        return [dict(item) for item in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{where} answered 200, but not with embeddings: {shown}. Check that base_url is that of an "
            "OpenAI-compatible server"
        ) from error


def _in_order(items: Sequence[dict[str, Any]], texts: int, where: str) -> list[dict[str, Any]]:
    if len(items) != texts:
        raise RefusedError(f"{where} returned {len(items)} vectors for {texts} texts", 200, "too many")
    told = [item.get("index") for item in items]
    if all(index is None for index in told):
        return list(items)  # many servers leave `index` out, and answer in order
    by_index = {index: item for index, item in zip(told, items, strict=True) if isinstance(index, int)}
    if sorted(by_index) != list(range(texts)):
        raise ConfigError(
            f"{where} returned items without a distinct index ({told[:5]}): which vector is of which text can not be "
            "told. It does not speak /v1/embeddings as OpenAI does"
        )
    return [by_index[index] for index in range(texts)]


def _numbers(item: dict[str, Any], where: str) -> npt.NDArray[np.float64]:
    try:
        embedding = item["embedding"]
        if isinstance(embedding, str):
            embedding = np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        return np.asarray(embedding, dtype=np.float64).reshape(-1)  # null becomes NaN
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ConfigError(
            f"{where} returned an embedding without numbers, neither a list nor base64 of float32 ({error!r}): it "
            "does not speak /v1/embeddings as OpenAI does"
        ) from error
