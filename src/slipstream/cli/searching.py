"""What `search` asks, of the server of its PKG or here, and what comes back: plain data, whoever answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipstream.cli.asking import Asked, Here, Owner, answered
from slipstream.cli.context import Context
from slipstream.cli.output import print_incident
from slipstream.cli.since import ChangedSince
from slipstream.domain.hints import near_miss
from slipstream.search.telling import lack_told

Data = Mapping[str, Any]

_PATIENCE_S = 600.0
_SOON_S = 1.0
"""How long a server may wait for the newest commit; what takes longer is waited for here, and told of."""
_LOOKED_AT = 1_000
"""Records that are looked at for the names that views keep."""
_METADATA = -1
"""Where a stamp, as JSON tells it, has its metadata."""
_HITS_ONLY = ("expand", "sort", "explain")
"""Options that say how hits are told, and nothing of which they are."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is searched for; `options` are those of `SearchOptions` that were given."""

    text: str
    k: int
    options: Data
    changed_since: datetime | None = None
    why_not: str | None = None

    def search(self, k: int) -> dict[str, Any]:
        """Return what a search for so many hits is called with."""
        return {"text": self.text, "k": k, **self.options}

    def asked_why_not(self) -> dict[str, Any]:
        """Return what the question why a record is no hit is called with."""
        options = {name: value for name, value in self.options.items() if name not in _HITS_ONLY}
        return {"text": self.text, "entity_id": self.why_not, "k": self.k, **options}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found, as plain data."""

    hits: Sequence[Data]
    frontier: int
    frontiers: Mapping[str, int] = field(default_factory=dict)
    degraded: Sequence[str] = ()
    unasked: Sequence[Data] = ()
    explanation: Data | None = None
    why_not: Data | None = None
    known: Data = field(default_factory=dict)
    """The entity types that there are, where one was asked for."""
    warnings: Sequence[str] = ()


def found(settings: Context, question: Question) -> Found:
    """Return what the server of a PKG finds, or where none answers, what is found here."""
    return answered(settings.directory, lambda owner: _asked_of(owner, question)) or _searched(settings, question)


def _asked_of(owner: Owner, question: Question) -> Found | None:
    """Have the server search; None in an incident, or when a model was not asked: there is more to say then."""
    if owner.call("incident") is not None:
        return None
    head = owner.call("pkg.feed.head")

    def search(k: int) -> Data:
        answer: Data = owner.call("search", **question.search(k), after=head, timeout_s=_SOON_S)
        return answer

    hits, answer, warnings = _wanted(owner, question, search)
    if answer["incident"] is not None or answer["unasked"] or answer["degraded"]:
        return None
    return Found(
        hits=hits,
        frontier=answer["frontier"],
        frontiers=answer["frontiers"],
        explanation=answer["explanation"],
        why_not=_why_not(owner, question),
        known=_known(owner) if question.options.get("entity_type") else {},
        warnings=[*warnings, *_unkept(owner, question, hits)],
    )


def _searched(settings: Context, question: Question) -> Found:
    """Search here."""
    from dataclasses import asdict

    with settings.opened() as slipstream:
        if (incident := slipstream.incident) is not None:
            print_incident(incident)
        after = slipstream.pkg.feed.head() if incident is None else None

        def search(k: int) -> Data:
            results = slipstream.search(**question.search(k), after=after, timeout_s=_PATIENCE_S)
            return {
                "hits": [asdict(hit) for hit in results.hits],
                "frontier": results.frontier,
                "frontiers": dict(results.frontiers),
                "degraded": results.degraded,
                "unasked": [asdict(model) for model in results.unasked],
                "explanation": None if results.explanation is None else asdict(results.explanation),
            }

        here = Here(slipstream)
        hits, answer, warnings = _wanted(here, question, search)
        return Found(
            hits=hits,
            frontier=answer["frontier"],
            frontiers=answer["frontiers"],
            degraded=answer["degraded"],
            unasked=answer["unasked"],
            explanation=answer["explanation"],
            why_not=_why_not(here, question) if incident is None else None,
            known=_known(here) if question.options.get("entity_type") and incident is None else {},
            warnings=[*_lacks(answer), *warnings, *_unkept(here, question, hits)],
        )


def _lacks(answer: Data) -> list[str]:
    """Return a line for each thing that an answer lacks; those of an incident are told already."""
    from slipstream.search.hits import Unasked

    unasked = [Unasked(**model) for model in answer["unasked"]]
    told = {"graph", "vector" if unasked else "", *(f"vector:{model.model_id}" for model in unasked)}
    return [*(model.line for model in unasked), *(lack_told(tag) for tag in answer["degraded"] if tag not in told)]


def _wanted(
    pkg: Asked, question: Question, search: Callable[[int], Data]
) -> tuple[Sequence[Data], Data, Sequence[str]]:
    """Return the hits that are wanted, the answer that they are of, and what is to be said of it."""
    if question.changed_since is None:
        answer = search(question.k)
        return answer["hits"], answer, ()
    changed = ChangedSince(pkg, question.changed_since)
    hits, answer = changed.first(question.k, search)
    return hits, answer, changed.warnings


def _why_not(pkg: Asked, question: Question) -> Data | None:
    if question.why_not is None:
        return None
    told: Data = pkg.call("why_not", **question.asked_why_not())
    return told


def _known(pkg: Asked) -> Data:
    schema = pkg.call("pkg.schema")
    return {**schema["entity_types"], **schema["relationship_types"]}


def _unkept(pkg: Asked, question: Question, hits: Sequence[Data]) -> list[str]:
    """Return a warning for each name that no record of the index is kept with, where nothing was found."""
    metadata = question.options.get("metadata")
    if hits or not metadata:
        return []
    page = pkg.call("store.index.scan", after=None, limit=_LOOKED_AT)
    kept = {name for stamp in page for name in stamp[_METADATA]}
    return [
        f"no record is kept with {name!r}{near_miss(name, kept) if kept else ''}: name it in `metadata` of a view "
        "(docs/views.md)"
        for name in metadata
        if name not in kept and len(page) < _LOOKED_AT
    ]
