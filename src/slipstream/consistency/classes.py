"""Divergence classes, and how one key is told to be of one."""

from __future__ import annotations

from collections.abc import Sequence

from slipstream.domain.digests import stamp_term, target_term
from slipstream.domain.positions import Position
from slipstream.domain.requests import Target
from slipstream.domain.stamps import Stamp

CLASSES = ("missing", "orphaned", "stale", "outdated", "wrong_model", "duplicate", "corrupt", "drifted")
"""Divergence classes, in the order in which they are reported."""

PAST_THE_CACHE = frozenset({"corrupt", "drifted"})
"""Classes whose vectors are not to be trusted: they are computed anew, whatever fingerprint or cache say."""


def classify(
    target: Target | None,
    stamps: Sequence[Stamp],
    damaged: Sequence[bool],
    schema_version: int,
    head: Position,
) -> str | None:
    """
    Return the divergence class of one key, None when both sides agree; the gravest one comes first.

    `damaged` tells of each stamp whether its vector is not the one that was written. A stamp from behind `head`,
    which the graph had not reached when it was read after the stamp, is damaged too: no commit can have caused it.
    """
    if target is None or not stamps:
        return "orphaned" if stamps else "missing" if target else None
    if len(stamps) > 1:
        return "duplicate"
    stamp = stamps[0]
    if stamp.space != target.space:
        return "wrong_model"
    if damaged[0] or stamp.position > head:
        return "corrupt"
    if _is_stale(target, stamp):
        return "stale"
    return "outdated" if stamp.schema_version < schema_version else None


def _is_stale(target: Target, stamp: Stamp) -> bool:
    """Whether the vector, or what is kept beside it for filters and provenance, is not what the graph says now."""
    return stamp_term(stamp) != target_term(target)
