"""Stamps to Chroma's flat metadata and back, and filters to its `where`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any

from slipstream.domain.errors import CorruptionError, InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import MetadataValue, SearchFilter, Stamp

Metadata = dict[str, MetadataValue | None]
"""What goes to Chroma; a None deletes the name."""

USER = "meta."
"""Prefix of what the view keeps for filtering, so that no name of a user's can collide with ours or with Chroma's."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT_MAX = 2**63 - 1
_PLAIN = (
    "entity_type",
    "fingerprint",
    "schema_version",
    "schema_hash",
    "checksum",
    "extraction_template_version",
    "extraction_confidence",
    "embedding_quality_score",
    "source_document_id",
    "needs_reembedding",
    "reembedding_reason",
)
"""Fields that are stored as they are; one that is None is not stored."""


def collection_name(space: Space) -> str:
    """Return the name of a space's collection: the same on every machine, and valid whatever the model is called."""
    return f"slipstream-{hashlib.blake2b(space_text(space).encode(), digest_size=16).hexdigest()}"


def space_text(space: Space) -> str:
    """Return a space as JSON."""
    return json.dumps(astuple(space))


def parse_space(text: str) -> Space:
    """Return the space that `space_text` wrote; raises `CorruptionError` for anything else."""
    try:
        return Space(*json.loads(text))
    except (ValueError, TypeError) as error:
        raise CorruptionError(f"{text!r} in a collection's metadata is not a space; restore or rebuild it") from error


def stamp_metadata(stamp: Stamp) -> Metadata:
    """Return the metadata of a stamp, complete but for key and space: those are the id and the collection."""
    found: Metadata = {name: getattr(stamp, name) for name in _PLAIN}
    found["position"] = int(stamp.position)
    found["created_at"] = _microseconds(stamp.created_at)
    found["last_validated"] = None if stamp.last_validated is None else _microseconds(stamp.last_validated)
    found.update((USER + name, value) for name, value in stamp.metadata.items())
    return {name: _checked(name, value, stamp) for name, value in found.items()}


def _checked(name: str, value: MetadataValue | None, stamp: Stamp) -> MetadataValue | None:
    """Refuse what Chroma would lose without a word (NaN), refuse late (numpy's scalars), or wrap (big integers)."""
    fits = type(value) in (str, bool, float, int, type(None))
    if type(value) is float:
        fits = math.isfinite(value)
    elif type(value) is int:
        fits = -_INT_MAX <= value <= _INT_MAX
    if not fits:
        raise InvalidInputError(
            f"{name} of {stamp.key.encode()!r} is {value!r}, which Chroma can not keep; "
            "give text, a boolean, a finite float or a 64-bit integer",
            field="metadata",
        )
    return value


def replacing(new: Metadata, stored: Mapping[str, object] | None) -> Metadata:
    """Return the metadata with a None for every stored name that it lacks: Chroma merges, it does not replace."""
    return {**dict.fromkeys(stored or (), None), **new}


def metadata_stamp(identity: str, space: Space, found: Mapping[str, Any]) -> Stamp:
    """Return the stamp of a stored record; raises `CorruptionError` when it is none."""
    try:
        validated = found.get("last_validated")
        return Stamp(
            key=RecordKey.decode(identity),
            space=space,
            position=Position(found["position"]),
            entity_type=found["entity_type"],
            fingerprint=found["fingerprint"],
            schema_version=found["schema_version"],
            schema_hash=found["schema_hash"],
            checksum=found["checksum"],
            created_at=_EPOCH + timedelta(microseconds=found["created_at"]),
            extraction_template_version=found["extraction_template_version"],
            extraction_confidence=found.get("extraction_confidence"),
            embedding_quality_score=found.get("embedding_quality_score"),
            source_document_id=found.get("source_document_id"),
            last_validated=None if validated is None else _EPOCH + timedelta(microseconds=validated),
            needs_reembedding=found["needs_reembedding"],
            reembedding_reason=found.get("reembedding_reason"),
            metadata={name[len(USER) :]: value for name, value in found.items() if name.startswith(USER)},
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CorruptionError(f"the stamp of {identity!r} can not be read ({error!r}); audit and repair") from error


def _microseconds(time: datetime) -> int:
    try:
        return (time - _EPOCH) // _MICROSECOND
    except TypeError as error:
        raise InvalidInputError(f"{time!r} has no time zone", field="timestamp") from error


def where_clause(where: SearchFilter) -> dict[str, Any] | None:
    """Return the filter in Chroma's words; None lets everything through. An empty set of types has no such words."""
    terms: list[dict[str, Any]] = []
    if where.entity_types is not None:
        terms.append({"entity_type": {"$in": sorted(where.entity_types)}})
    if where.schema_version_min is not None:
        terms.append({"schema_version": {"$gte": where.schema_version_min}})
    terms.extend(_equals(USER + name, value) for name, value in where.metadata.items())
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else {"$and": terms}


def _equals(name: str, value: MetadataValue) -> dict[str, Any]:
    """Return a comparison that takes 1 and 1.0 for equal, as Python does, but neither for True."""
    if isinstance(value, bool | str) or value != int(value):
        return {name: {"$eq": value}}
    return {"$or": [{name: {"$eq": int(value)}}, {name: {"$eq": float(value)}}]}
