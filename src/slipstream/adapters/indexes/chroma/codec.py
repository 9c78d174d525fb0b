"""Converts stamps to Chroma's flat metadata and back, and filters to its `where`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.stamps import MetadataValue, SearchFilter, Stamp

Metadata = dict[str, MetadataValue | None]
"""Metadata as it is written to Chroma; a None deletes the name."""

USER = "meta."
"""Prefix of the properties that a view keeps for filtering, so that they never collide with our names or Chroma's."""
_STAMP = "stamp"
"""Holds, as JSON, all fields that no search filters by: Chroma keeps and indexes a row for each name of a record."""
_EXACT = "exact"
"""Holds, within the stamp, the users' numbers that Chroma does not give back bit for bit."""
_ULPS = 4
"""How many units in the last place Chroma's reading of a long number may be off; 1 was measured."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT_MAX = 2**63 - 1
_FILTERED = ("entity_type", "schema_version")
"""Fields with a name of their own in Chroma, for filters."""
_PLAIN = (
    "fingerprint",
    "schema_hash",
    "checksum",
    "extraction_template_version",
    "extraction_confidence",
    "embedded_confidence",
    "embedding_quality_score",
    "source_document_id",
    "needs_reembedding",
    "reembedding_reason",
)
"""Fields that are written into the stamp as they are, unless they are None."""
_VALUES = (str, bool, float, int)
_TEXT, _NUMBER, _ABSENT_OR_TEXT, _ABSENT_OR_REAL = (str,), (int,), (str, NoneType), (float, int, NoneType)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "position": _NUMBER,
    "entity_type": _TEXT,
    "fingerprint": _TEXT,
    "schema_version": _NUMBER,
    "schema_hash": _TEXT,
    "checksum": _TEXT,
    "created_at": _NUMBER,
    "extraction_template_version": _TEXT,
    "extraction_confidence": _ABSENT_OR_REAL,
    "embedded_confidence": _ABSENT_OR_REAL,
    "embedding_quality_score": _ABSENT_OR_REAL,
    "source_document_id": _ABSENT_OR_TEXT,
    "last_validated": (int, NoneType),
    "needs_reembedding": (bool,),
    "reembedding_reason": _ABSENT_OR_TEXT,
}
"""The types that stored fields may have: any client can write others."""
_IN_STAMP = (*(name for name in _KINDS if name not in _FILTERED), _EXACT)
_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)  # 1 to 9999, in microseconds
_RANGES = {"position": (0, _INT_MAX), "created_at": _YEARS, "last_validated": _YEARS}
_ABSENT: Mapping[str, Any] = {
    "position": 0,
    "entity_type": "",
    "fingerprint": "",
    "schema_version": 0,
    "schema_hash": "",
    "created_at": 0,
    "extraction_template_version": "",
    "needs_reembedding": False,
}
"""Replaces fields that can not be read."""


def collection_name(space: Space) -> str:
    """Return the name of a space's collection: the same on every machine, and valid whatever the model is called."""
    return f"slipstream-{hashlib.blake2b(space_text(space).encode(), digest_size=16).hexdigest()}"


def space_text(space: Space) -> str:
    """Return a space as JSON."""
    return json.dumps(astuple(space))


def parse_space(text: str) -> Space | None:
    """Return the space that `space_text` wrote; None for anything else."""
    try:
        space = Space(*json.loads(text))
    except (ValueError, TypeError):
        return None
    return space if space_text(space) == text else None


def stamp_metadata(stamp: Stamp) -> Metadata:
    """Return the metadata of a stamp, complete but for key and space: those are the id and the collection."""
    packed: dict[str, Any] = {"position": int(stamp.position), "created_at": _microseconds(stamp.created_at)}
    if stamp.last_validated is not None:
        packed["last_validated"] = _microseconds(stamp.last_validated)
    for name in _PLAIN:
        value = getattr(stamp, name)
        if value is not None:
            packed[name] = _checked(name, value, stamp)
    found = {name: _checked(name, getattr(stamp, name), stamp) for name in _FILTERED}
    if stamp.metadata:
        users = {USER + name: _checked(USER + name, value, stamp) for name, value in stamp.metadata.items()}
        found |= users
        inexact = {name: value for name, value in users.items() if type(value) is float and _is_long(value)}
        if inexact:
            packed[_EXACT] = inexact
    return {**found, _STAMP: json.dumps(packed)}


def stored_fields(found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return stored metadata with each field of the stamp under its own name, as older versions wrote it."""
    stored = found or {}
    if _STAMP not in stored:
        return stored
    try:
        packed = json.loads(stored[_STAMP])
        return {**stored, **{name: packed[name] for name in _IN_STAMP if name in packed}}
    except (TypeError, ValueError, RecursionError):
        return {name: value for name, value in stored.items() if name not in _IN_STAMP}


def _is_long(number: float) -> bool:
    """Return whether a number has more digits than Chroma reads exactly: of 7 / 30 it loses the last bit."""
    return float(f"{number:.15g}") != number or not (number == 0 or 1e-7 <= abs(number) < 1e15)


def _with_exact(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return fields with their long numbers restored exactly; a number that was changed in Chroma stays as it is."""
    exact = stored.get(_EXACT)
    if not exact:
        return stored
    try:
        said = json.loads(exact) if isinstance(exact, str) else exact
        long = {name: float(number) for name, number in said.items()}
    except (TypeError, ValueError, AttributeError):
        return stored
    return {
        **stored,
        **{n: number for n, number in long.items() if type(stored.get(n)) is float and _is_near(stored[n], number)},
    }


def _is_near(stored: float, number: float) -> bool:
    return abs(stored - number) <= _ULPS * math.ulp(number)


def _checked(name: str, value: MetadataValue | None, stamp: Stamp) -> MetadataValue | None:
    """Return a value that Chroma can keep; raise `InvalidInputError` for NaN, numpy's scalars and big integers."""
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
    """
    Return what turns stored metadata into the new one: the stamp, each value that differs, a None for each name to
    go.

    Chroma merges metadata, and writes a row for each name that it is given.
    """
    if not stored:
        return new
    differs = {
        name: value
        for name, value in new.items()
        if name == _STAMP or type(stored.get(name)) is not type(value) or stored[name] != value
    }
    return {**{name: None for name in stored if name not in new}, **differs}


def still_due(stamp: Stamp, stored: Mapping[str, object]) -> Stamp:
    """Return the stamp, flagged to be embedded anew, with the reason, if the stored one is."""
    if stored.get("needs_reembedding") is not True:
        return stamp
    reason = stamp.reembedding_reason or stored.get("reembedding_reason")
    return stamp._replace(needs_reembedding=True, reembedding_reason=reason if isinstance(reason, str) else None)


def is_key(identity: str) -> bool:
    """Return whether an id is the key of a record; no graph can ask for any other."""
    return identity[:2] in ("e:", "r:") and len(identity) > len("e:")


def metadata_stamp(identity: str, space: Space, found: Mapping[str, Any] | None) -> Stamp:
    """
    Return the stamp of a stored record, whose id is a key.

    If a field is missing or of a wrong kind, the stamp has an empty checksum, so that the record counts as corrupt.
    """
    stored = _with_exact(stored_fields(found))
    if not _is_readable(stored):
        stored = {**_ABSENT, **{name: value for name, value in stored.items() if _fits(name, value)}, "checksum": ""}
    validated = stored.get("last_validated")
    return Stamp(
        key=RecordKey.decode(identity),
        space=space,
        position=Position(stored["position"]),
        entity_type=stored["entity_type"],
        fingerprint=stored["fingerprint"],
        schema_version=stored["schema_version"],
        schema_hash=stored["schema_hash"],
        checksum=stored["checksum"],
        created_at=_EPOCH + timedelta(microseconds=stored["created_at"]),
        extraction_template_version=stored["extraction_template_version"],
        extraction_confidence=stored.get("extraction_confidence"),
        embedded_confidence=stored.get("embedded_confidence"),
        embedding_quality_score=stored.get("embedding_quality_score"),
        source_document_id=stored.get("source_document_id"),
        last_validated=None if validated is None else _EPOCH + timedelta(microseconds=validated),
        needs_reembedding=stored["needs_reembedding"],
        reembedding_reason=stored.get("reembedding_reason"),
        metadata={name[len(USER) :]: value for name, value in stored.items() if name.startswith(USER)},
    )


def stored_position(found: Mapping[str, Any] | None) -> Position:
    """Return the position in stored metadata; `ORIGIN`, which fences nothing, when it can not be read."""
    position = stored_fields(found).get("position", 0)
    return Position(position) if _fits("position", position) else ORIGIN


def _is_readable(stored: Mapping[str, Any]) -> bool:
    return all(_fits(name, stored.get(name)) for name in _KINDS) and all(
        type(value) in _VALUES for name, value in stored.items() if name.startswith(USER)
    )


def _fits(name: str, value: object) -> bool:
    if type(value) not in _KINDS.get(name, _VALUES):
        return False
    low, high = _RANGES.get(name, (-_INT_MAX, _INT_MAX))
    return type(value) is not int or low <= value <= high


def _microseconds(time: datetime) -> int:
    try:
        return (time - _EPOCH) // _MICROSECOND
    except TypeError as error:
        raise InvalidInputError(f"{time!r} has no time zone", field="timestamp") from error


def where_clause(where: SearchFilter) -> dict[str, Any] | None:
    """Return the filter as Chroma's `where`, None when all pass; Chroma can not express an empty set of types."""
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
    """Return a comparison in which 1 equals 1.0, as in Python, but neither equals True."""
    if isinstance(value, float) and _is_long(value):
        margin = _ULPS * math.ulp(value)
        return {"$and": [{name: {"$gte": value - margin}}, {name: {"$lte": value + margin}}]}
    if isinstance(value, bool | str) or value != int(value):
        return {name: {"$eq": value}}
    return {"$or": [{name: {"$eq": int(value)}}, {name: {"$eq": float(value)}}]}
