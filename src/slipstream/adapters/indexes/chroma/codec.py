"""Stamps to Chroma's flat metadata and back, and filters to its `where`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from slipstream.domain.errors import CorruptionError, InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import MetadataValue, SearchFilter, Stamp

T = TypeVar("T")
D = TypeVar("D")

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


def metadata_stamp(identity: str, space: Space, stored: Mapping[str, Any] | None) -> Stamp:
    """
    Return the stamp of a stored record; what is not there, or can not be, reads as nothing.

    So a record that somebody else wrote or damaged is one that an audit finds, and a repair replaces, like any
    other; it has no fingerprint that a text could have, and no checksum that a vector could have.
    """
    found = stored or {}
    return Stamp(
        key=RecordKey.decode(identity),
        space=space,
        position=stored_position(found),
        entity_type=_as(str, found, "entity_type", ""),
        fingerprint=_as(str, found, "fingerprint", ""),
        schema_version=_as(int, found, "schema_version", 0),
        schema_hash=_as(str, found, "schema_hash", ""),
        checksum=_as(str, found, "checksum", ""),
        created_at=_moment(found, "created_at") or _EPOCH,
        extraction_template_version=_as(str, found, "extraction_template_version", ""),
        extraction_confidence=_as(float, found, "extraction_confidence", None),
        embedding_quality_score=_as(float, found, "embedding_quality_score", None),
        source_document_id=_as(str, found, "source_document_id", None),
        last_validated=_moment(found, "last_validated"),
        needs_reembedding=_as(bool, found, "needs_reembedding", False),
        reembedding_reason=_as(str, found, "reembedding_reason", None),
        metadata={name[len(USER) :]: value for name, value in found.items() if name.startswith(USER)},
    )


def stored_position(stored: Mapping[str, Any] | None) -> Position:
    """Return the position of a stored record, the first one where it has none."""
    return Position(_as(int, stored or {}, "position", 0))


def is_ours(identity: str) -> bool:
    """Whether an id is the text of a key."""
    return identity.startswith(("e:", "r:")) and len(identity) > 2


def _as(kind: type[T], found: Mapping[str, Any], name: str, otherwise: D) -> T | D:
    value = found.get(name)
    if kind is float and type(value) is int:
        value = float(value)
    return value if type(value) is kind else otherwise


def _moment(found: Mapping[str, Any], name: str) -> datetime | None:
    value = found.get(name)
    try:
        return None if type(value) is not int else _EPOCH + value * _MICROSECOND
    except OverflowError:  # no time that there could have been
        return None


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
