"""
Digests of sets of records: what lets two sides compare a million records by one number.

Each record is hashed to a 128-bit term and a set is the sum of its terms modulo 2^128 (the incremental multiset hash
AdHash of Bellare and Micciancio, 1997). The sum does not depend on order or on how the set is cut into ranges, and
adding, changing or removing one record costs one addition. It guards against accidents, not against somebody who
forges records on purpose; so equal digests say where not to look today, and a full audit looks there all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from slipstream.domain.models import Space
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.requests import Target
from slipstream.domain.stamps import MetadataValue, Stamp, Vector, Vectors, block_checksums

TERM_SIZE_BYTES = 16
UNFIT = "!"
"""Marks the content of a record that is damaged or due to be embedded anew, so that it equals no target's."""
_MODULUS = 1 << (8 * TERM_SIZE_BYTES)
_NORM_TOLERANCE = 1e-4
"""Adapters keep vectors at unit length within float32; this only tells damage from rounding."""


class Digest(NamedTuple):
    """How many records a set has, and the sum of their terms."""

    records: int = 0
    total: int = 0

    def plus(self, other: Digest) -> Digest:
        """Return the digest of both sets together."""
        return Digest(self.records + other.records, (self.total + other.total) % _MODULUS)

    @property
    def hex(self) -> str:
        """The digest as text: `<records>:<32 hex digits>`."""
        return f"{self.records}:{self.total:032x}"

    @classmethod
    def of(cls, terms: Iterable[int]) -> Digest:
        """Return the digest of records with these terms."""
        known = list(terms)
        return cls.summed(len(known), known)

    @classmethod
    def summed(cls, records: int, totals: Iterable[int]) -> Digest:
        """Return the digest of `records` records, given the sums of their terms over any partition of them."""
        return cls(records, sum(totals) % _MODULUS)


class KeyRange(NamedTuple):
    """The encoded keys behind `after` and up to `through` (None: to the end)."""

    after: str = ""
    through: str | None = None


class Content(NamedTuple):
    """
    What decides the term of a record, without its vector: two sides agree on a record when its contents are equal.

    The content of a record that is damaged, or due to be embedded anew, equals no target's.
    """

    key: str
    entity_type: str
    space: str
    """`space_text`."""
    fingerprint: str
    kept: str
    """`kept_text`, with `UNFIT` behind it for a record that is not as it should be."""

    @property
    def term(self) -> int:
        """The term of the record."""
        return record_term(*self)


class KeptTerm(NamedTuple):
    """What one stored record adds to a `RangeDigest`."""

    key: str
    entity_type: str
    term: int
    schema_version: int
    position: Position


@dataclass(slots=True)
class RangeDigest:
    """What one side holds of a range of keys: digests by entity or relationship type."""

    by_type: dict[str, Digest] = field(default_factory=dict)
    schema_version_min: int | None = None
    """The oldest schema version among the stamps; None on the graph's side, and where there are none."""
    schema_version_max: int = 0
    """The newest schema version among the stamps; 0 where there are none."""
    position_max: Position = ORIGIN
    """The newest position among the stamps."""

    @property
    def total(self) -> Digest:
        """The digest of the whole range."""
        return total_of(self.by_type.values())

    def add(self, other: RangeDigest) -> None:
        """Take in the digest of another range."""
        for name, digest in other.by_type.items():
            self.by_type[name] = self.by_type.get(name, Digest()).plus(digest)
        versions = [v for v in (self.schema_version_min, other.schema_version_min) if v is not None]
        self.schema_version_min = min(versions, default=None)
        self.schema_version_max = max(self.schema_version_max, other.schema_version_max)
        self.position_max = max(self.position_max, other.position_max)


def total_of(digests: Iterable[Digest]) -> Digest:
    """Return the digest of all the sets together."""
    known = list(digests)
    return Digest(sum(d.records for d in known), sum(d.total for d in known) % _MODULUS)


def digests_by_type(terms: Iterable[tuple[str, int]]) -> dict[str, Digest]:
    """Return the digests of records, given as (type, term), by type."""
    grouped: dict[str, list[int]] = {}
    for name, term in terms:
        grouped.setdefault(name, []).append(term)
    return {name: Digest.of(known) for name, known in grouped.items()}


def merged_by_type(parts: Iterable[Mapping[str, Digest]]) -> dict[str, Digest]:
    """Return the digests by type of disjoint sets together; for many of them much faster than one by one."""
    grouped: dict[str, list[Digest]] = {}
    for part in parts:
        for name, digest in part.items():
            grouped.setdefault(name, []).append(digest)
    return {name: total_of(known) for name, known in grouped.items()}


def target_content(target: Target) -> Content:
    """Return the content of the record that a target asks for."""
    kept = kept_text(
        target.template_version, target.extraction_confidence, target.source_document_id, target.metadata
    )
    return Content(target.key.encode(), target.entity_type, space_text(target.space), target.fingerprint, kept)


def target_term(target: Target) -> int:
    """Return the term of the record that a target asks for."""
    return target_content(target).term


def stamp_content(stamp: Stamp, *, damaged: bool = False) -> Content:
    """Return the content of a stored record."""
    kept = kept_text(
        stamp.extraction_template_version,
        stamp.extraction_confidence,
        stamp.source_document_id,
        stamp.metadata,
    )
    if damaged or stamp.needs_reembedding:
        kept += UNFIT
    return Content(stamp.key.encode(), stamp.entity_type, space_text(stamp.space), stamp.fingerprint, kept)


def stamp_term(stamp: Stamp, *, damaged: bool = False) -> int:
    """Return the term of a stored record; one that is damaged, or due to be embedded anew, equals no target's."""
    return stamp_content(stamp, damaged=damaged).term


def is_as_asked(stamp: Stamp, target: Target) -> bool:
    """
    Return whether a stored record is what the target asks for, without looking at its vector.

    True means that their terms are equal. False decides nothing where either has metadata (1 and 1.0 are equal
    there): compare the terms then.
    """
    return (
        stamp.fingerprint == target.fingerprint
        and not (stamp.needs_reembedding or stamp.metadata or target.metadata)
        and stamp.key == target.key
        and stamp.entity_type == target.entity_type
        and (stamp.space is target.space or stamp.space == target.space)
        and stamp.extraction_template_version == target.template_version
        and stamp.extraction_confidence == target.extraction_confidence
        and stamp.source_document_id == target.source_document_id
    )


def unrenderable_term(key: str) -> int:
    """Return the term that stands for a record whose text can not be rendered; no stored record has it."""
    return int.from_bytes(blake2b(f"unrenderable {key}".encode(), digest_size=TERM_SIZE_BYTES).digest(), "little")


def record_term(key: str, entity_type: str, space: str, fingerprint: str, kept: str) -> int:
    """Return the term of a record from its content."""
    # Lengths before the parts, so that different records never make the same text.
    text = f"{len(key)}:{key}{len(entity_type)}:{entity_type}{space}{fingerprint}:{kept}"
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=TERM_SIZE_BYTES).digest()
    return int.from_bytes(digest, "little")


@lru_cache(maxsize=256)
def space_text(space: Space) -> str:
    """Return the one text of a space."""
    return json.dumps([space.model_id, space.model_version, space.dimension, space.generation])


def kept_text(
    template_version: str,
    confidence: float | None,
    source_document_id: str | None,
    metadata: Mapping[str, MetadataValue],
) -> str:
    """Return one text for what is kept beside a vector."""
    if confidence is None and source_document_id is None and not metadata:
        return template_version
    kept = {name: _canonical(value) for name, value in metadata.items()}
    return json.dumps([template_version, _canonical(confidence), source_document_id, kept], sort_keys=True)


def _canonical(value: MetadataValue | None) -> MetadataValue | None:
    """Return one form for equal values, as filters compare them: 1 is 1.0, but True is neither."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def digest_of(stamps: Sequence[Stamp], damaged: Sequence[bool]) -> RangeDigest:
    """Return the digest of stored records."""
    terms = [(s.entity_type, stamp_term(s, damaged=bad)) for s, bad in zip(stamps, damaged, strict=True)]
    return RangeDigest(
        digests_by_type(terms),
        min((stamp.schema_version for stamp in stamps), default=None),
        max((stamp.schema_version for stamp in stamps), default=0),
        max((stamp.position for stamp in stamps), default=ORIGIN),
    )


def damaged_vectors(stamps: Sequence[Stamp], vectors: Sequence[Vector | None]) -> list[bool]:
    """
    Return for each stamp whether its stored vector is not the one that was written.

    Damaged is a vector that is absent, of another dimension, not finite, not of unit length, or whose checksum is
    not the stamped one.
    """
    return unlike_checksums([(stamp.space.dimension, stamp.checksum) for stamp in stamps], vectors)


def unlike_checksums(stamped: Sequence[tuple[int, str]], vectors: Sequence[Vector | None]) -> list[bool]:
    """Return what `damaged_vectors` does, for dimensions and checksums instead of whole stamps."""
    found = [True] * len(vectors)
    by_dimension: dict[int, list[int]] = {}
    for at, ((dimension, _), vector) in enumerate(zip(stamped, vectors, strict=True)):
        if vector is not None and vector.shape == (dimension,):
            by_dimension.setdefault(dimension, []).append(at)
    for places in by_dimension.values():
        block = np.stack([vector for at in places if (vector := vectors[at]) is not None])
        damaged = damaged_rows(block, [stamped[at][1] for at in places])
        for at, is_damaged in zip(places, damaged, strict=True):
            found[at] = is_damaged
    return found


def damaged_rows(block: Vectors, checksums: Sequence[str]) -> list[bool]:
    """Return for each row of a block whether it is not of unit length, or does not match its checksum."""
    norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    sound = (np.abs(norms - 1.0) < _NORM_TOLERANCE).tolist()  # NaN is not
    return [
        not is_sound or stamped != found
        for is_sound, stamped, found in zip(sound, checksums, block_checksums(block), strict=True)
    ]
