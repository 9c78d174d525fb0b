"""The audit of a copy: graph and index are compared while nobody writes to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from slipstream.app.backup.owed import OwedInCopy
from slipstream.audit.auditor import Auditor
from slipstream.audit.findings import AuditReport
from slipstream.audit.pacing import FULL_SPEED, Pace, batched
from slipstream.audit.words_comparing import AuditedWords
from slipstream.domain.digests import Digest, target_term
from slipstream.domain.entities import RecordState
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.positions import Position
from slipstream.domain.requests import Target
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import Recipe
from slipstream.ports.scans import PAGE, scan_graph

OnKeys = Callable[[int], None]
"""Told how many keys were compared so far; may raise, to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFound:
    """What an audit found in a copy."""

    position: Position
    graph_digest: str
    index_digest: str | None = None
    divergent: dict[str, int] = field(default_factory=dict)
    """Keys by divergence class, without what was owed."""
    examples: tuple[str, ...] = ()
    owed: int = 0
    dead_letters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCopy:
    """A copy of a PKG, open, without an engine and without its models."""

    graph: GraphReader
    recipe: Recipe
    index: VectorIndex | None
    """As the live generation sees it; None when there are no vectors in the copy."""
    owed: OwedInCopy
    dead_letters: int
    clock: Clock
    words: AuditedWords | None = None
    """Its word rows; None when there are none."""


def audit_copy(copy: OpenCopy, on_keys: OnKeys | None, pace: Pace = FULL_SPEED) -> CopyFound:
    """Compare both sides in full; for a copy without vectors, only digest what the graph asks for."""
    if copy.index is None:
        position = copy.graph.read([], {}).position
        digest = _graph_digest(copy, on_keys)
        return CopyFound(position=position, graph_digest=digest.hex, dead_letters=copy.dead_letters)
    auditor = Auditor(copy.graph, copy.index, copy.recipe, copy.clock, settle=copy.owed, words=copy.words)
    report = auditor.audit(on_keys, pace=pace)
    divergent, restamps = _unexplained(report, copy.owed)
    named = [key.encode() for keys in report.all_divergences().values() for key in keys]
    return CopyFound(
        position=report.position,
        graph_digest=report.graph_digest.hex,
        index_digest=report.index_digest.hex,
        divergent=divergent,
        examples=tuple(named[:3]),
        owed=sum(report.owed_lanes.values()) + restamps,
        dead_letters=copy.dead_letters,
    )


def _unexplained(report: AuditReport, owed: OwedInCopy) -> tuple[dict[str, int], int]:
    """Return the unexplained divergences by class, and how many records only wait for the stamp of a newer schema."""
    counts = {name: len(keys) for name, keys in report.all_divergences().items() if keys}
    restamps = counts.pop("outdated", 0) if owed.is_restamp_due else 0
    return counts, restamps


def _graph_digest(copy: OpenCopy, on_keys: OnKeys | None) -> Digest:
    """Return the digest of everything that the graph asks for, as an audit computes it."""
    graph, recipe = copy.graph, copy.recipe
    covered = frozenset(filter(recipe.covers_relationships, graph.schema().relationship_types))
    found, done = Digest(), 0
    for page in batched(scan_graph(graph, PAGE, relationship_types=covered), PAGE):
        states = graph.read([row.key for row in page], recipe.hops()).states.values()
        wanted = (target for state in states if (target := _target(recipe, state)) is not None)
        found = found.plus(Digest.of(map(target_term, wanted)))
        done += len(page)
        if on_keys is not None:
            on_keys(done)
    return found


def _target(recipe: Recipe, state: RecordState) -> Target | None:
    try:
        return recipe.target(state)
    except PoisonEventError:  # it can have no record
        return None
