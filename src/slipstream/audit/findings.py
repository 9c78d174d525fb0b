"""What an audit found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipstream.audit.classes import CLASSES
from slipstream.audit.words_found import OPEN_WORD_KINDS, WORD_KINDS, WORDS_LANE, WordsFound
from slipstream.domain.audits import Finding
from slipstream.domain.damage import Damage
from slipstream.domain.digests import Digest, total_of
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position

REPORT_SCHEMA = "slipstream.audit/1"
UNRENDERABLE = "unrenderable"
OWED = "owed"
UNSETTLED = "unsettled"
OPEN_KINDS = (OWED, UNSETTLED)
"""Kinds of keys that were not judged."""
FINDING_KINDS = (*CLASSES, UNRENDERABLE, *WORD_KINDS, *OPEN_KINDS, *OPEN_WORD_KINDS)


@dataclass(slots=True)
class TypeCoverage:
    """Of one entity or relationship type: records expected, found, and found to match the graph."""

    expected: int = 0
    found: int = 0
    fresh: int = 0
    graph: Digest = field(default_factory=Digest)
    """What the graph asks for."""
    index: Digest = field(default_factory=Digest)
    """What the index holds."""
    counts: Counter[str] = field(default_factory=Counter)
    """Keys by divergence class, and those that could not be judged."""


@dataclass(slots=True)
class RowsRead:
    """What an audit cost, in rows."""

    graph: int = 0
    index: int = 0
    vectors: int = 0
    queries: int = 0
    """Calls to the stores."""

    def add(self, *, graph: int = 0, index: int = 0, vectors: int = 0, queries: int = 0) -> None:
        """Count what was read."""
        self.graph += graph
        self.index += index
        self.vectors += vectors
        self.queries += queries


@dataclass(slots=True)
class AuditReport:
    """
    Both sides compared, between the graph's heads `position`, when the audit began, and `position_after`.

    `divergences` maps each class to its keys. A key is only reported once it still diverges after the index has
    caught up with what the graph was read at. Two sorts of keys are not judged, and in no figure: `owed` ones, which
    differ and which the engine is still to bring up to date, and `unsettled` ones, which changed every time they were
    looked at.
    """

    position: Position
    kind: str = "full"
    id: int | None = None
    """Number under which the audit is kept, None when it is not."""
    position_after: Position | None = None
    frontier: Position | None = None
    """How far the index reflected the graph when the audit ended."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    total_entities: int = 0
    total_embeddings: int = 0
    duration_s: float = 0.0
    started_s: float = 0.0
    """On the monotonic clock."""
    rows: RowsRead = field(default_factory=RowsRead)
    coverage: dict[str, TypeCoverage] = field(default_factory=dict)
    divergences: dict[str, list[RecordKey]] = field(default_factory=lambda: {name: [] for name in CLASSES})
    unrenderable: list[RecordKey] = field(default_factory=list)
    """Keys whose view fails on them: they can have no vector until view or data change."""
    owed: list[RecordKey] = field(default_factory=list)
    owed_by_lane: Counter[str] = field(default_factory=Counter)
    """How many of them wait in which lane (`live`, `retry` …); those of `schema` only for a newer stamp."""
    unsettled_keys: list[RecordKey] = field(default_factory=list)
    strays: int = 0
    """Divergent keys with neither a target nor a record: what is held are fences of commits that never were."""
    types: dict[RecordKey, str] = field(default_factory=dict)
    """Entity or relationship type of each key that is named above, as far as it is known."""
    notes: list[str] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    """What the stores found wrong with themselves."""
    looked_below: str = ""
    """How closely they looked: `cheap`, `deep`, or not at all."""
    words: WordsFound | None = None
    """What was found of word rows; None where they were not compared."""

    @property
    def kept_id(self) -> int:
        """The number under which the audit is kept; raises `ConfigError` when it is not."""
        if self.id is None:
            raise ConfigError(f"this {self.kind} audit was not kept: only those of a whole PKG are")
        return self.id

    @property
    def expected(self) -> int:
        """How many records the graph asks for."""
        return sum(row.expected for row in self.coverage.values())

    @property
    def fresh(self) -> int:
        """How many of them the index holds as they should be."""
        return sum(row.fresh for row in self.coverage.values())

    @property
    def consistency(self) -> float | None:
        """The lower of the shares of right vectors and word rows; None with nothing, or all of either owed."""
        shares = [self.embedding_consistency, None if self.words is None else self.words.consistency]
        known = [share for share in shares if share is not None]
        return None if self._is_all_owed else min(known, default=None)

    @property
    def _is_all_owed(self) -> bool:
        """Whether all vectors that there are to judge are owed, or all word rows."""
        are_rows = self.words is not None and bool(self.words.owed) and self.words.consistency is None
        return are_rows or (bool(self.owed) and self.embedding_consistency is None)

    @property
    def embedding_consistency(self) -> float | None:
        """Share of fresh vectors in all that are expected or should not be there; None when there are none."""
        surplus = len(self.divergences["orphaned"]) + len(self.divergences["duplicate"]) + self.strays
        total = self.expected + surplus
        return None if total == 0 else self.fresh / total

    @property
    def is_divergent(self) -> bool:
        """Whether a divergence of any class was found, in vectors or word rows, or damage below."""
        are_words = self.words is not None and self.words.is_divergent
        return bool(self.unrenderable or self.damage) or any(self.divergences.values()) or are_words

    @property
    def unsettled(self) -> int:
        """How many keys changed every time they were looked at, as vectors or as word rows."""
        return len(self.unsettled_keys) + (0 if self.words is None else len(self.words.unsettled))

    @property
    def owed_lanes(self) -> dict[str, int]:
        """How many keys are owed by lane, word rows among them."""
        rows = 0 if self.words is None else len(self.words.owed)
        return {**self.owed_by_lane, **({WORDS_LANE: rows} if rows else {})}

    @property
    def is_consistent(self) -> bool:
        """Whether no key has diverged, and all could be judged that are not owed; not where all there is is owed."""
        return not (self.is_divergent or self.unsettled or self._is_all_owed)

    @property
    def verdict(self) -> str:
        """`consistent`, `divergent`, or `undecided`: nothing has diverged, but some keys could not be judged."""
        return "divergent" if self.is_divergent else "consistent" if self.is_consistent else "undecided"

    @property
    def graph_digest(self) -> Digest:
        """The digest of everything that the graph asks for."""
        return total_of(row.graph for row in self.coverage.values())

    @property
    def index_digest(self) -> Digest:
        """The digest of everything that the index holds."""
        return total_of(row.index for row in self.coverage.values())

    def of_type(self, name: str) -> TypeCoverage:
        """Return the coverage of a type, made when it is new."""
        return self.coverage.setdefault(name, TypeCoverage())

    def note(self, kind: str, key: RecordKey, entity_type: str, lane: str = "live") -> None:
        """Name a key that has diverged, or was not judged; `lane` is of an owed one."""
        named = {UNRENDERABLE: self.unrenderable, OWED: self.owed, UNSETTLED: self.unsettled_keys}
        (named[kind] if kind in named else self.divergences[kind]).append(key)
        if kind == OWED:
            self.owed_by_lane[lane] += 1
        if entity_type:
            self.types[key] = entity_type
            self.of_type(entity_type).counts[kind] += 1

    def counts(self) -> dict[str, int]:
        """Return how many keys each class has, unrenderable ones and word rows included."""
        found = {name: len(keys) for name, keys in self.divergences.items()} | {UNRENDERABLE: len(self.unrenderable)}
        return found if self.words is None else found | self.words.counts()

    def all_divergences(self) -> dict[str, list[RecordKey]]:
        """Return the divergent keys of each class, those of word rows (`word_missing` …) among them."""
        return dict(self.divergences) if self.words is None else {**self.divergences, **self.words.by_kind()}

    def divergent_keys(self) -> list[RecordKey]:
        """Return every key once whose vector is divergent."""
        keys = [key for found in self.divergences.values() for key in found] + self.unrenderable
        return list(dict.fromkeys(keys))

    def named(self) -> set[RecordKey]:
        """Return every key whose vector is divergent or was not judged."""
        return {*self.divergent_keys(), *self.owed, *self.unsettled_keys}

    def findings(self) -> list[Finding]:
        """Return every key that is named, with its class and type, to be kept."""
        named = {
            **self.divergences,
            UNRENDERABLE: self.unrenderable,
            OWED: self.owed,
            UNSETTLED: self.unsettled_keys,
        }
        found = [Finding(kind, key.encode(), self.types.get(key, "")) for kind, keys in named.items() for key in keys]
        return found if self.words is None else found + self.words.findings()

    def summary(self) -> dict[str, Any]:
        """Return the report as plain data, ready for JSON, with counts instead of the divergent keys."""
        return {
            "schema": REPORT_SCHEMA,
            "id": self.id,
            "kind": self.kind,
            "position": self.position,
            "position_after": self.position_after,
            "frontier": self.frontier,
            "started_at": _text(self.started_at),
            "finished_at": _text(self.finished_at),
            "duration_s": round(self.duration_s, 4),
            "rows_read": {
                "graph": self.rows.graph,
                "index": self.rows.index,
                "vectors": self.rows.vectors,
                "queries": self.rows.queries,
            },
            "consistency": self.consistency,
            "embedding_consistency": self.embedding_consistency,
            "consistent": self.is_consistent,
            "verdict": self.verdict,
            "total_entities": self.total_entities,
            "total_embeddings": self.total_embeddings,
            "expected_embeddings": self.expected,
            "coverage": {name: _coverage(row) for name, row in sorted(self.coverage.items())},
            "counts": self.counts(),
            "owed": dict(sorted(self.owed_lanes.items())),
            "unsettled": self.unsettled,
            "graph_digest": self.graph_digest.hex,
            "index_digest": self.index_digest.hex,
            "notes": list(self.notes),
            "damage": [damage.as_data() for damage in self.damage],
            "looked_below": self.looked_below,
            "words": None if self.words is None else self.words.summary(),
        }


def owed_in(summary: Mapping[str, Any]) -> Counter[str]:
    """Return how many keys a summary says are owed, by lane; audits of older versions called them lagging."""
    owed = summary.get("owed")
    return Counter({"live": int(summary.get("lagging", 0))} if owed is None else owed)


def report_as_dict(report: AuditReport) -> dict[str, Any]:
    """Return a report with all its divergent keys as plain data, ready for JSON."""
    result = report.summary()
    for name in CLASSES:
        result[f"{name}_embeddings"] = [key.id for key in report.divergences[name]]
    result[UNRENDERABLE] = [key.id for key in report.unrenderable]
    undecided = {OWED: report.owed, UNSETTLED: report.unsettled_keys}
    divergences = report.all_divergences()
    if report.words is not None:
        undecided |= dict(zip(OPEN_WORD_KINDS, (report.words.owed, report.words.unsettled), strict=True))
    result["undecided"] = {name: [key.encode() for key in keys] for name, keys in undecided.items()}
    result["divergences"] = {name: [key.encode() for key in keys] for name, keys in divergences.items()}
    return result


def divergent_keys_of(result: Mapping[str, Any]) -> dict[str, list[RecordKey]]:
    """Return the divergent keys by class of a report that `report_as_dict` made."""
    return {name: [RecordKey.decode(text) for text in keys] for name, keys in result["divergences"].items()}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _coverage(row: TypeCoverage) -> dict[str, Any]:
    return {
        "expected": row.expected,
        "found": row.found,
        "fresh": row.fresh,
        "graph_digest": row.graph.hex,
        "index_digest": row.index.hex,
        "counts": dict(sorted(row.counts.items())),
    }
