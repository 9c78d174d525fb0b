"""What an audit keeps: leaves of the digest tree, and the reports of past audits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slipstream.domain.digests import Digest, digests_by_type
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import Stamp

Terms = dict[str, tuple[str, int]]
"""Encoded key -> (entity or relationship type, term)."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the graph asks for in one range of keys: behind `after`, up to the next leaf's."""

    after: str
    terms: Terms = field(default_factory=dict)

    def head(self) -> LeafHead:
        """Return the leaf's digest."""
        return LeafHead(self.after, digests_by_type(self.terms.values()))


class LeafHead(NamedTuple):
    """The digest of one leaf, by type."""

    after: str
    by_type: Mapping[str, Digest]


class Suspect(NamedTuple):
    """One key on which both sides differ when an audit looks at it; the difference may be owed."""

    key: RecordKey
    kind: str
    """Divergence class, or `unrenderable`."""
    entity_type: str
    stamps: tuple[Stamp, ...] = ()


class Finding(NamedTuple):
    """One key that a kept audit names, divergent or undecided; ordered by kind, then key."""

    kind: str
    key: str
    type: str = ""
    """Entity or relationship type, as far as it was known."""


@dataclass(frozen=True, slots=True)
class KeptAudit:
    """A finished audit as it is kept: `report` is plain data, without the divergent keys."""

    id: int
    report: Mapping[str, Any]
