"""What an audit found of word rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipstream.domain.audits import Finding
from slipstream.domain.digests import Digest
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position

WORD_CLASSES = ("missing", "orphaned", "stale", "corrupt")
"""Divergence classes of word rows, in the order in which they are reported."""
_PREFIX = "word_"
WORD_KINDS = tuple(f"{_PREFIX}{name}" for name in WORD_CLASSES)
"""The same as kinds of findings, and as classes of a repair."""
WORD_OWED, WORD_UNSETTLED = f"{_PREFIX}owed", f"{_PREFIX}unsettled"
OPEN_WORD_KINDS = (WORD_OWED, WORD_UNSETTLED)
"""Kinds of rows that were not judged."""
WORDS_LANE = "words"
"""What rows that are owed wait in."""
ALL, CHANGED, CHOSEN = "all", "changed", "chosen"
"""How much was looked at: every row, those that have changed or were wrong before, or some that were named."""


def word_kind(name: str) -> str:
    """Return the kind of finding of a class of word rows."""
    return f"{_PREFIX}{name}"


def with_words(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return classes of divergence together with those of word rows that have the same name."""
    chosen = list(kinds)
    return tuple(dict.fromkeys([*chosen, *(word_kind(name) for name in WORD_CLASSES if name in chosen)]))


@dataclass(slots=True)
class WordsFound:
    """The word rows of a graph compared with it; what `AuditReport` says of vectors holds for them too."""

    looked: str = ALL
    """How much was looked at: `all`, `changed` or `chosen`."""
    expected: int = 0
    """How many rows the graph asks for."""
    held: int = 0
    """How many there are."""
    fresh: int = 0
    divergences: dict[str, list[RecordKey]] = field(default_factory=lambda: {name: [] for name in WORD_CLASSES})
    owed: list[RecordKey] = field(default_factory=list)
    unsettled: list[RecordKey] = field(default_factory=list)
    types: dict[RecordKey, str] = field(default_factory=dict)
    """Type of each key that is named above, as far as it is known."""
    frontier: Position | None = None
    """How far the rows reflected the graph when the audit ended; None where nobody knows."""
    rows_read: int = 0
    """Rows that were read with all their texts."""
    duration_s: float = 0.0
    """What comparing them took; the graph is read for vectors and rows together in a full audit."""
    unreadable: str | None = None
    """Why the rows could not be compared to the end; None when they could."""
    is_counted: bool = False
    """Whether the number of rows was compared with that of what the graph asks for, while neither changed."""
    graph: Digest = field(default_factory=Digest)
    """What the graph asks for, of all rows; of nothing where not all were looked at."""
    index: Digest = field(default_factory=Digest)
    """What the index holds, likewise."""

    @property
    def consistency(self) -> float | None:
        """Share of fresh rows in all that are expected or should not be there; None with none, or unreadable ones."""
        total = self.expected + len(self.divergences["orphaned"])
        return None if total == 0 or self.unreadable is not None else self.fresh / total

    @property
    def is_divergent(self) -> bool:
        """Whether a divergence of any class was found, or the rows could not be read."""
        return self.unreadable is not None or any(self.divergences.values())

    def counts(self) -> dict[str, int]:
        """Return how many rows each kind has."""
        return {word_kind(name): len(keys) for name, keys in self.divergences.items()}

    def by_kind(self) -> dict[str, list[RecordKey]]:
        """Return the divergent keys by the kind of their finding."""
        return {word_kind(name): keys for name, keys in self.divergences.items()}

    def named(self) -> set[RecordKey]:
        """Return every key that is divergent or was not judged."""
        return {key for keys in self.divergences.values() for key in keys}.union(self.owed, self.unsettled)

    def note(self, kind: str, key: RecordKey, entity_type: str) -> None:
        """Name a key of a kind of finding."""
        if kind == WORD_OWED:
            self.owed.append(key)
        elif kind == WORD_UNSETTLED:
            self.unsettled.append(key)
        else:
            self.divergences[kind.removeprefix(_PREFIX)].append(key)
        if entity_type:
            self.types[key] = entity_type

    def findings(self) -> list[Finding]:
        """Return every key that is named, with its kind and type, to be kept."""
        named: Mapping[str, Sequence[RecordKey]] = {
            **self.by_kind(),
            WORD_OWED: self.owed,
            WORD_UNSETTLED: self.unsettled,
        }
        return [Finding(kind, key.encode(), self.types.get(key, "")) for kind, keys in named.items() for key in keys]

    def summary(self) -> dict[str, Any]:
        """Return it as plain data, ready for JSON, without the keys: `counts` of the report has how many."""
        return {
            "looked": self.looked,
            "expected": self.expected,
            "held": self.held,
            "fresh": self.fresh,
            "consistency": self.consistency,
            "owed": len(self.owed),
            "unsettled": len(self.unsettled),
            "frontier": self.frontier,
            "rows_read": self.rows_read,
            "duration_s": round(self.duration_s, 4),
            "unreadable": self.unreadable,
            "counted": self.is_counted,
            "graph_digest": self.graph.hex,
            "index_digest": self.index.hex,
        }


def words_of_summary(summary: Mapping[str, Any], digest: Any) -> WordsFound:
    """Return what `WordsFound.summary` was called on, without the keys; `digest` reads a digest's text."""
    frontier = summary["frontier"]
    return WordsFound(
        looked=summary["looked"],
        expected=summary["expected"],
        held=summary["held"],
        fresh=summary["fresh"],
        frontier=None if frontier is None else Position(frontier),
        unreadable=summary.get("unreadable"),
        rows_read=summary["rows_read"],
        duration_s=summary["duration_s"],
        is_counted=summary["counted"],
        graph=digest(summary["graph_digest"]),
        index=digest(summary["index_digest"]),
    )
