"""Rows to digests, without stamps in between: of all that a stamp says a digest asks for a few columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from slipstream.adapters.indexes.sqlite.codec import Row, blob_vector
from slipstream.domain.digests import UNFIT, RangeDigest, digests_by_type, kept_text, record_term, unlike_checksums
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
"""Columns of `records` that decide a digest; the vector comes behind them."""
_TYPE, _VERSION, _POSITION = (DIGESTED_COLUMNS.index(name) for name in ("entity_type", "schema_version", "position"))


def digests_of_groups(groups: Sequence[Sequence[Row]], spaces: Mapping[int, Space]) -> list[RangeDigest]:
    """
    Return what `domain.digests.digest_of` returns for the stamps of each group of rows.

    Many at once cost much less than one by one. A row that stands for no stamp is not there, as it is for whoever
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


def _terms(rows: Sequence[Row], spaces: Mapping[int, Space]) -> Sequence[int]:
    if not rows:
        return []
    keys, numbers, types, fingerprints, checksums, *kept, unfit, _, _, blobs = zip(*rows, strict=True)
    held_in = [spaces[number] for number in numbers]
    texts = _kept_texts(kept)
    stamped = [(space.dimension, checksum) for space, checksum in zip(held_in, checksums, strict=True)]
    damaged = unlike_checksums(stamped, [None if blob is None else blob_vector(blob) for blob in blobs])
    marked = [
        text + UNFIT if is_damaged or is_unfit else text
        for text, is_damaged, is_unfit in zip(texts, damaged, unfit, strict=True)
    ]
    return list(map(record_term, keys, types, held_in, fingerprints, marked))


def _is_readable(row: Row, spaces: Mapping[int, Space]) -> bool:
    metadata = row[DIGESTED_COLUMNS.index("metadata")]
    try:
        return row[1] in spaces and (metadata is None or isinstance(json.loads(metadata), dict))
    except ValueError:
        return False


def _kept_texts(columns: Iterable[Sequence[object]]) -> list[str]:
    return [
        kept_text(version, confidence, source, {} if metadata is None else json.loads(metadata))
        for version, confidence, source, metadata in zip(*columns, strict=True)
    ]
