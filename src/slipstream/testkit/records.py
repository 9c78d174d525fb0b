"""Builders of stamps and vectors for suites and tests: explicit where it matters, filled in where it does not."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import numpy as np

from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp, Vector, VectorRecord, vector_checksum

SPACE = Space("suite-model", "1", 8)
OTHER_SPACE = Space("suite-model", "1", 8, generation=2)

_CREATED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def unit_vector(seed: object, dimension: int = 8) -> Vector:
    """Return the unit vector that belongs to a seed: the same one on every machine."""
    digest = hashlib.blake2b(repr(seed).encode(), digest_size=8).digest()
    values = np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(dimension)
    vector: Vector = (values / np.linalg.norm(values)).astype(np.float32)
    return vector


def make_stamp(key: RecordKey | str, position: int = 1, space: Space = SPACE, **fields: Any) -> Stamp:
    """Return a stamp; a plain string is an entity id, and `fields` override the defaults."""
    filled: dict[str, Any] = {
        "entity_type": "Person",
        "fingerprint": f"fingerprint-{position}",
        "schema_version": 1,
        "schema_hash": "0" * 16,
        "checksum": "",
        "created_at": _CREATED,
        **fields,
    }
    return Stamp(
        key=entity_key(key) if isinstance(key, str) else key, position=Position(position), space=space, **filled
    )


def make_record(
    key: RecordKey | str, position: int = 1, space: Space = SPACE, vector: Vector | None = None, **fields: Any
) -> VectorRecord:
    """Return a record whose vector depends on key, position and space, with its checksum in the stamp."""
    stamp = make_stamp(key, position, space, **fields)
    if vector is None:
        vector = unit_vector((stamp.key.encode(), position, space), space.dimension)
    fields.setdefault("checksum", vector_checksum(vector))
    return VectorRecord(make_stamp(key, position, space, **fields), vector)
