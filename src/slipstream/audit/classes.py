"""Divergence classes, and how one key is told to be of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from slipstream.domain.digests import RangeDigest, stamp_term, target_term
from slipstream.domain.positions import Position
from slipstream.domain.requests import Target
from slipstream.domain.stamps import Stamp
from slipstream.ports.graph import GraphReader

CLASSES = ("missing", "orphaned", "stale", "outdated", "wrong_model", "duplicate", "corrupt", "drifted")
"""Divergence classes, in the order in which they are reported."""

PAST_THE_CACHE = frozenset({"corrupt", "drifted"})
"""Classes whose vectors are not to be trusted: they are computed anew, whatever fingerprint or cache say."""


class Head(NamedTuple):
    """How far the graph is. One that is read after a stamp bounds it: no commit caused what is past it."""

    position: Position
    schema_version: int
    schema_hash: str = ""
    """Digest of the schema of that version; empty when nobody asks."""

    def reaches(self, stamp: Stamp) -> bool:
        """Whether the graph has come to what a stamp says it was made from."""
        return stamp.position <= self.position and stamp.schema_version <= self.schema_version

    def knows(self, schema_version: int, schema_hash: str) -> bool:
        """Whether what a stamp says of its schema is the newest one, by version and digest."""
        return schema_version >= self.schema_version and (
            schema_version > self.schema_version or schema_hash == self.schema_hash
        )

    def covers(self, digest: RangeDigest) -> bool:
        """Whether it has come to every stamp of a range."""
        return digest.position_max <= self.position and digest.schema_version_max <= self.schema_version


def head_of(graph: GraphReader) -> Head:
    """Return how far a graph is now."""
    position, schema = graph.read([], {}).position, graph.schema()
    return Head(position, schema.version, schema.hash)


def classify(
    target: Target | None,
    stamps: Sequence[Stamp],
    damaged: Sequence[bool],
    head: Head,
) -> str | None:
    """
    Return the divergence class of one key, None when both sides agree; the gravest one comes first.

    `damaged` tells of each stamp whether its vector is not the one that was written. A stamp past `head`, which
    was read after it, is damaged too: no commit can have caused it.
    """
    if target is None or not stamps:
        return "orphaned" if stamps else "missing" if target else None
    # Corruption before surplus: to mend it, a vector has to be computed past fingerprint and cache.
    if any(
        stamp.space == target.space and (bad or not head.reaches(stamp))
        for stamp, bad in zip(stamps, damaged, strict=True)
    ):
        return "corrupt"
    if len(stamps) > 1:
        return "duplicate"
    stamp = stamps[0]
    if stamp.space != target.space:
        return "wrong_model"
    if _is_stale(target, stamp):
        return "stale"
    return None if head.knows(stamp.schema_version, stamp.schema_hash) else "outdated"


def _is_stale(target: Target, stamp: Stamp) -> bool:
    """Whether the vector, or what is kept beside it for filters and provenance, is not what the graph says now."""
    return stamp_term(stamp) != target_term(target)
