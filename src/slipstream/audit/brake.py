"""The brake's plans: what a repair that nobody has asked for, and no commit explains, would do. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from slipstream.audit.classes import CLASSES
from slipstream.audit.words_found import WORD_KINDS, word_kind
from slipstream.domain.audits import Finding
from slipstream.domain.brake import BrakeSettings

__all__ = ["WEIGHTY", "BrakeSettings", "BrakePlan", "findings_digest", "plan_id", "weight", "weighty"]

DELETING = frozenset({"orphaned", "duplicate"})
RESTAMPING = frozenset({"outdated"})
WEIGHTY = tuple(name for name in CLASSES if name not in RESTAMPING)
"""Classes whose repair deletes or embeds: what the brake counts. A new stamp costs nothing and loses nothing."""
BRAKED_KINDS = (*WEIGHTY, *WORD_KINDS)
"""All that the brake counts; vectors and word rows, each against how many there are of them."""
_WORD_ORPHANED = word_kind("orphaned")


def weight(counts: Mapping[str, int], kinds: Iterable[str]) -> int:
    """Return how many keys of some classes a repair would delete or embed anew."""
    return sum(counts.get(kind, 0) for kind in set(kinds).intersection(WEIGHTY))


def word_weight(counts: Mapping[str, int], kinds: Iterable[str]) -> int:
    """Return how many word rows of some classes a repair would delete or write."""
    return sum(counts.get(kind, 0) for kind in set(kinds).intersection(WORD_KINDS))


def word_deletions(counts: Mapping[str, int], kinds: Iterable[str]) -> int:
    """Return how many word rows of some classes a repair would delete."""
    return counts.get(_WORD_ORPHANED, 0) if _WORD_ORPHANED in kinds else 0


def words_held(report: Mapping[str, Any]) -> int:
    """Return how many word rows there were when an audit was made; of an older version none were looked at."""
    return int((report.get("words") or {}).get("held", 0))


def findings_digest(findings: Iterable[Finding]) -> str:
    """Return a digest of which keys are of which class, in whatever order they are given."""
    digest = hashlib.blake2b(digest_size=16)
    for kind, key in sorted((finding.kind, finding.key) for finding in findings):
        digest.update(f"{kind}\0{key}\n".encode())
    return digest.hexdigest()


def plan_id(audit_id: int, findings: str, position: int, identity: str | None) -> str:
    """Return the id of a plan: of an audit, its findings' digest, its position and the graph's identity."""
    told = f"{findings}\0{position}\0{identity or ''}"
    return f"{audit_id}-{hashlib.blake2b(told.encode(), digest_size=4).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakePlan:
    """Exactly the findings of some classes of a kept audit, to be mended when somebody confirms it."""

    id: str
    audit_id: int
    kinds: tuple[str, ...]
    position: int
    findings: str
    """Their digest."""
    keys: Mapping[str, int]
    """How many there are of each class."""
    index_records: int
    limit: int
    """How many the brake allows of that many records."""
    deletions: int
    texts: int
    """Texts to embed, at most."""
    tokens: int | None = None
    embed_s: float | None = None
    """What that would cost; None when the model could not be asked."""
    word_records: int = 0
    """How many word rows there are."""
    word_limit: int = 0
    """How many of them the brake allows."""
    word_deletions: int = 0
    word_rows: int = 0
    """Word rows to write."""
    applied: Mapping[str, int] | None = None
    """Keys that were marked by class, when it has been applied."""

    @property
    def command(self) -> str:
        """The command that applies it."""
        return f"slipstream repair --confirm {self.id}"

    @property
    def said(self) -> str:
        """What it would do and cost, for people."""
        seconds = None if self.embed_s is None else f"{self.tokens:,} tokens, {self.embed_s:.1f} s of the embedder"
        parts = []
        if self.deletions or self.texts or not (self.word_deletions or self.word_rows):
            parts.append(
                f"{self.deletions:,} records to delete and {self.texts:,} to embed ({seconds or 'cost unknown'}) of "
                f"{self.index_records:,} in the index; {_unasked(self.limit)}"
            )
        if self.word_deletions or self.word_rows:
            parts.append(
                f"{self.word_deletions:,} word rows to delete and {self.word_rows:,} to write of "
                f"{self.word_records:,}; {_unasked(self.word_limit)}"
            )
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, ready for JSON."""
        return {**asdict(self), "kinds": list(self.kinds), "command": self.command}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BrakePlan:
        """Return what `as_dict` was called on."""
        known = {name: data[name] for name in cls.__slots__ if name in data}  # plans of older versions know less
        return cls(**{**known, "kinds": tuple(data["kinds"])})


def weighty(counts: Mapping[str, int], kinds: Iterable[str]) -> tuple[str, ...]:
    """Return those of the classes that the brake counts and that were found, in their order."""
    return tuple(kind for kind in BRAKED_KINDS if kind in kinds and counts.get(kind))


def _unasked(limit: int) -> str:
    return f"no commit says so, and at most {limit:,} are mended unasked"
