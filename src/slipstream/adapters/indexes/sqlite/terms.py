"""Rows to digests, without stamps in between: of all that a stamp says a digest asks for a few columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from slipstream.adapters.indexes.sqlite.codec import Row, blob_vector
from slipstream.domain.digests import UNFIT, RangeDigest, digests_by_type, kept_text, record_term, unlike_checksums
from slipstream.domain.errors import CorruptionError
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


def digest_of_rows(rows: Sequence[Row], spaces: Mapping[int, Space]) -> RangeDigest:
    """
    Return what `domain.digests.digest_of` returns for the stamps of these rows.

    Raises `CorruptionError` for a row that stands for no stamp.
    """
    if not rows:
        return RangeDigest()
    keys, numbers, types, fingerprints, checksums, *kept, unfit, versions, positions, blobs = zip(*rows, strict=True)
    try:
        held_in = [spaces[number] for number in numbers]
        texts = _kept_texts(kept)
    except (ValueError, KeyError) as error:
        raise CorruptionError(
            f"a stamp between {keys[0]!r} and {keys[-1]!r} can not be read ({error}); audit and repair"
        ) from error
    stamped = [(space.dimension, checksum) for space, checksum in zip(held_in, checksums, strict=True)]
    damaged = unlike_checksums(stamped, [None if blob is None else blob_vector(blob) for blob in blobs])
    marked = [
        text + UNFIT if is_damaged or is_unfit else text
        for text, is_damaged, is_unfit in zip(texts, damaged, unfit, strict=True)
    ]
    terms = map(record_term, keys, types, held_in, fingerprints, marked)
    return RangeDigest(
        digests_by_type(zip(types, terms, strict=True)),
        min(versions),
        max(versions),
        Position(max(positions)),
    )


def _kept_texts(columns: Iterable[Sequence[object]]) -> list[str]:
    return [
        kept_text(version, confidence, source, {} if metadata is None else json.loads(metadata))
        for version, confidence, source, metadata in zip(*columns, strict=True)
    ]
