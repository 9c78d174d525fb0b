"""Chapters 4 and 5: index, then graph, are changed behind the engine's back; both are found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipstream.app.composition import DATA_FOLDER
from slipstream.app.slipstream import Slipstream
from slipstream.demo.tampering import tamper

MARKER = "as told by the penguins"
_TOPICS = 5
_PICK = """
MATCH (:Package)-[:HAS_TOPIC]->(c:Concept) WITH c.id AS id, c.name AS name, count(*) AS packages
ORDER BY packages, id LIMIT $limit RETURN id, name
"""
_PACKAGES = """
UNWIND $ids AS id MATCH (p:Package)-[:HAS_TOPIC]->(:Concept {id: id}) RETURN count(DISTINCT p.id) AS packages
"""
_RENAME = "UNWIND $rows AS row MATCH (c:Concept {id: row.id}) SET c.name = row.name"
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Tampering:
    """Records that were damaged, and those that the audit found: both by class."""

    damaged: Mapping[str, int]
    found: Mapping[str, int]
    all_found: bool
    consistency_before: float
    repaired: int
    repaired_again: int
    consistency: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Rewriting:
    """
    What arbitrary Cypher did to some topics, and what the engine made of it.

    `embedded` is at most `topics` and the `packages` that have one of them.
    """

    topics: int
    packages: int
    hits: int
    hits_after_undoing: int
    embedded: int
    seconds: float
    consistency: float


def find_and_repair(directory: Path, reopen: Callable[[], Slipstream], count: int) -> Tampering:
    """Tamper with the (closed) index file, find every divergence by its class, repair, and audit again."""
    damaged = tamper(directory / DATA_FOLDER / "index.db", count)
    with reopen() as slip:  # with the engine off: nothing may be mended before it has been found
        before = slip.verify()
        found = {name: sorted(key.encode() for key in keys) for name, keys in before.divergences.items()}
        started = time.perf_counter()
        repaired = slip.repair(before)
        slip.sync.start()
        slip.sync.drain()
        seconds = time.perf_counter() - started
        after = slip.verify()
        again = slip.repair(after)
    return Tampering(
        damaged={name: len(keys) for name, keys in damaged.items()},
        found={name: len(keys) for name, keys in found.items()},
        all_found={name: keys for name, keys in found.items() if keys}
        == {name: sorted(keys) for name, keys in damaged.items()},
        consistency_before=before.consistency or 0.0,
        repaired=repaired,
        repaired_again=again,
        consistency=after.consistency or 0.0,
        seconds=seconds,
    )


def rewrite_by_cypher(slip: Slipstream) -> Rewriting:
    """Rename some topics by Cypher, past the typed mutations; the engine finds out what it touched. Then undo it."""
    rows = slip.pkg.query(_PICK, limit=_TOPICS)
    packages = slip.pkg.query(_PACKAGES, ids=[row["id"] for row in rows])[0]["packages"]
    before = slip.embedding.stats.requests
    started = time.perf_counter()
    hits = _rename(slip, [{"id": row["id"], "name": f"{row['name']}, {MARKER}"} for row in rows])
    seconds = time.perf_counter() - started
    embedded = slip.embedding.stats.requests - before
    consistency = slip.verify().consistency or 0.0
    hits_after_undoing = _rename(slip, [{"id": row["id"], "name": row["name"]} for row in rows])
    return Rewriting(
        topics=len(rows),
        packages=packages,
        hits=hits,
        hits_after_undoing=hits_after_undoing,
        embedded=embedded,
        seconds=seconds,
        consistency=min(consistency, slip.verify().consistency or 0.0),
    )


def _rename(slip: Slipstream, rows: list[dict[str, Any]]) -> int:
    """Give topics other names and return how many are found by the marker, as of that very commit."""
    position = slip.pkg.execute(_RENAME, rows=rows)
    results = slip.search(MARKER, k=len(rows), entity_type="Concept", after=position, timeout_s=_TIMEOUT_S)
    return sum(MARKER in hit.text for hit in results)
