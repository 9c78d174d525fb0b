"""Converts rows to digests without making stamps: a digest needs only a few columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from slipstream.adapters.indexes.sqlite.codec import VECTOR_TYPE, Row
from slipstream.domain.digests import (
    UNFIT,
    Content,
    RangeDigest,
    damaged_rows,
    digests_by_type,
    kept_text,
    record_term,
    space_text,
)
from slipstream.domain.models import Space
from slipstream.domain.positions import Position

DIGESTED_COLUMNS = (
    "key",
    "space",
    "entity_type",
    "fingerprint",
    "checksum",
    "template_version",
    "confidence",
    "source_document",
    "metadata",
    "needs_reembedding",
    "schema_version",
    "position",
)
"""Columns of `records` that decide a digest; the vector comes after them."""
_TYPE, _VERSION, _POSITION = (DIGESTED_COLUMNS.index(name) for name in ("entity_type", "schema_version", "position"))


def digests_of_groups(groups: Sequence[Sequence[Row]], spaces: Mapping[int, Space]) -> list[RangeDigest]:
    """
    Return what `domain.digests.digest_of` returns for the stamps of each group of rows.

    Many groups at once cost much less than one by one. Rows that can not be read are left out, as by everything that
    reads stamps.
    """
    try:
        terms = _terms([row for group in groups for row in group], spaces)
    except (ValueError, KeyError, TypeError, AttributeError):
        readable = [[row for row in group if _is_readable(row, spaces)] for group in groups]
        terms = _terms([row for group in readable for row in group], spaces)
        groups = readable
    remaining = iter(terms)
    return [_digest(group, list(islice(remaining, len(group)))) for group in groups]


def _digest(rows: Sequence[Row], terms: Sequence[int]) -> RangeDigest:
    if not rows:
        return RangeDigest()
    versions, positions = [row[_VERSION] for row in rows], [row[_POSITION] for row in rows]
    by_type = digests_by_type(zip((row[_TYPE] for row in rows), terms, strict=True))
    return RangeDigest(by_type, min(versions), max(versions), Position(max(positions)))


def _terms(rows: Sequence[Row], spaces: Mapping[int, Space]) -> list[int]:
    if not rows:
        return []
    return [record_term(*content) for content in contents_of(list(zip(*rows, strict=True)), spaces)]


def contents_of(columns: Sequence[Sequence[Any]], spaces: Mapping[int, Space]) -> list[Content]:
    """Return the contents of rows, given as `DIGESTED_COLUMNS` and the vectors, which are checked."""
    keys, numbers, types, fingerprints, checksums, versions, *beside, unfit, _, _, blobs = columns
    texts = {number: space_text(space) for number, space in spaces.items()}
    dimensions = {number: space.dimension for number, space in spaces.items()}
    damaged = _unlike([dimensions[number] for number in numbers], checksums, blobs)
    kept = [
        text + UNFIT if is_damaged or is_unfit else text
        for text, is_damaged, is_unfit in zip(_kept_texts(versions, *beside), damaged, unfit, strict=True)
    ]
    return list(map(Content, keys, types, [texts[number] for number in numbers], fingerprints, kept))


def _unlike(dimensions: Sequence[int], checksums: Sequence[str], blobs: Sequence[bytes | None]) -> list[bool]:
    """Return for each blob whether it differs from the vector that was written, as `damaged_vectors` does."""
    found = [True] * len(blobs)
    by_size: dict[int, list[int]] = {}
    for at, (dimension, blob) in enumerate(zip(dimensions, blobs, strict=True)):
        # One to three surplus bytes make no number of a vector: ignore them.
        if blob and len(blob) // VECTOR_TYPE.itemsize == dimension:
            by_size.setdefault(len(blob), []).append(at)
    for size, places in by_size.items():
        whole = size - size % VECTOR_TYPE.itemsize
        joined = b"".join([blob[:whole] for at in places if (blob := blobs[at]) is not None])
        block = np.frombuffer(joined, dtype=VECTOR_TYPE).astype(np.float32, copy=False).reshape(len(places), -1)
        damaged = damaged_rows(block, [checksums[at] for at in places])
        for at, is_damaged in zip(places, damaged, strict=True):
            found[at] = is_damaged
    return found


def _is_readable(row: Row, spaces: Mapping[int, Space]) -> bool:
    metadata = row[DIGESTED_COLUMNS.index("metadata")]
    try:
        return row[1] in spaces and (metadata is None or isinstance(json.loads(metadata), dict))
    except ValueError:
        return False


def _kept_texts(
    versions: Sequence[str],
    confidences: Sequence[float | None],
    sources: Sequence[str | None],
    metadata: Sequence[str | None],
) -> list[str]:
    return [
        version
        if confidence is None and source is None and text is None
        else kept_text(version, confidence, source, {} if text is None else json.loads(text))
        for version, confidence, source, text in zip(versions, confidences, sources, metadata, strict=True)
    ]
