"""Incidents: graph and index do not belong together any more, and only a person can say which one is right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slipstream.domain.errors import IncidentError


class IncidentKind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    """The graph's file is not there, or holds nothing at all."""
    EMPTY = "empty"
    """The graph has neither entities nor a log."""
    OLDER = "older"
    """It is the same graph at an earlier time, or one that has gone another way since."""
    ANOTHER = "another"
    """It is another graph."""
    INDEX_NEWER = "index_newer"
    """The index is newer than the journal beside it."""


_RESTORE = "restore a backup (`slipstream restore SOURCE --replace`), or put the right {file} back in its place"
_ADOPT = "`slipstream repair --adopt`"
_ADOPTED = {
    IncidentKind.MISSING: f"take the graph as lost ({_ADOPT}): an empty one is made, and every vector is removed",
    IncidentKind.EMPTY: f"take the empty graph as the truth ({_ADOPT}): every vector is removed",
    IncidentKind.OLDER: f"take this graph as the truth ({_ADOPT}): only what differs is embedded anew or removed",
    IncidentKind.ANOTHER: f"take this graph as the truth ({_ADOPT}): what it lacks is removed, the rest embedded",
    IncidentKind.INDEX_NEWER: f"go by the graph ({_ADOPT}): only what differs from it is embedded anew or removed",
}


@dataclass(frozen=True, slots=True)
class Incident:
    """What is wrong, in one line, and every way to go on."""

    kind: IncidentKind
    what: str
    ways: tuple[str, ...]

    @property
    def line(self) -> str:
        """What is wrong and what follows from it, on one line."""
        return f"incident ({self.kind.value}): {self.what}. The PKG is open for search only, and nothing is written"

    def refusal(self) -> IncidentError:
        """Return the error to raise for whatever is refused while the incident lasts."""
        ways = "; or ".join(self.ways)
        return IncidentError(f"{self.what}. Nothing was written. Ways on: {ways}", self)

    def as_dict(self) -> dict[str, Any]:
        """Return the incident as plain data, ready for JSON."""
        return {"kind": self.kind.value, "what": self.what, "ways": list(self.ways)}

    def dump(self) -> str:
        """Return the incident as text, for the journal."""
        return json.dumps(self.as_dict())

    @classmethod
    def load(cls, text: str) -> Incident:
        """Return the incident that `dump` was called on."""
        found = json.loads(text)
        return cls(IncidentKind(found["kind"]), found["what"], tuple(found["ways"]))


def incident(kind: IncidentKind, what: str) -> Incident:
    """Return an incident with its ways on."""
    file = "index.db" if kind is IncidentKind.INDEX_NEWER else "graph.db"
    return Incident(kind, what, (_RESTORE.format(file=file), _ADOPTED[kind]))


@dataclass(frozen=True, slots=True)
class Adoption:
    """What both sides hold before the graph is taken for the truth."""

    incident: Incident
    records: int
    """In the index."""
    entities: int
    relationships: int
