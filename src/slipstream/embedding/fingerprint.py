"""Digests over everything that decides a vector. Pure, and stable between processes and machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

from slipstream.domain.models import ModelSpec
from slipstream.domain.temporal import TemporalEmbeddingContext

_DIGEST_BYTES = 16
RULES = "2"
"""Changes when the same text, context and model get another fingerprint: then the next open compares everything."""


def fingerprint(
    *,
    text: str,
    temporal_context: TemporalEmbeddingContext | None,
    spec: ModelSpec,
    fusion_rule: str,
) -> str:
    """
    Return the digest of what decides a record's vector, 32 hexadecimal digits.

    The text decides, not the template that it came from (docs/adr/0018). Each part goes in with its length before it,
    so that no two lists of parts can run together. Without a `fusion_rule` (no fusion applies) the temporal context
    decides nothing and stays out.
    """
    if not fusion_rule:
        return text_fingerprint(text, spec)
    context = canonical_context(temporal_context)
    return _digest(_joined((text, context, spec.id, spec.version, str(spec.dimension), fusion_rule)))


def text_fingerprint(text: str, spec: ModelSpec) -> str:
    """Return the `fingerprint` of a text to which no fusion applies: text and model alone decide it."""
    data = text.encode("utf-8", "surrogatepass")
    return _digest(len(data).to_bytes(8, "big") + data + _plain_end(spec.id, spec.version, spec.dimension))


def cache_key(spec: ModelSpec, text: str) -> str:
    """Return the key under which the vector of one text by one model is cached."""
    return _digest(_joined((spec.id, spec.version, str(spec.dimension), text)))


def canonical_context(context: TemporalEmbeddingContext | None) -> str:
    """Return the one JSON text of a temporal context (times are in UTC by its own rule); empty for None."""
    if context is None:
        return ""
    content = context.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=256)
def _plain_end(model_id: str, model_version: str, dimension: int) -> bytes:
    """Return all parts behind the text, when nothing is fused: the same for a million records of a type."""
    return _joined(("", model_id, model_version, str(dimension), ""))


def _joined(parts: Iterable[str]) -> bytes:
    # A lone surrogate is no text, but its fingerprint is needed before the error that says so.
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join([piece for data in encoded for piece in (len(data).to_bytes(8, "big"), data)])


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
