"""
The full audit: streams both stores in key order, asks no leaf and no digest, and reads every vector.

Word rows are compared beside them, by the same pages of the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from slipstream.audit.classes import Head
from slipstream.audit.comparing import Comparer, enter
from slipstream.audit.drift import DriftCheck
from slipstream.audit.findings import AuditReport
from slipstream.audit.leaves import LeavesBuilder
from slipstream.audit.pacing import Pace
from slipstream.audit.reading import Page
from slipstream.audit.words import WordsAudit
from slipstream.domain.digests import (
    Content,
    Digest,
    KeyRange,
    digests_by_type,
    record_term,
    stamp_content,
    target_content,
    target_term,
    unrenderable_term,
)
from slipstream.domain.entities import GraphSnapshot
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.held import HeldPage
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.requests import Target
from slipstream.ports.digests import KeptDigests
from slipstream.ports.index import VectorIndex

Progress = Callable[[int], None]
"""Told how many keys have been compared so far; may raise, to stop."""

_SUSPECTS_AT_ONCE = 500
_SHOWN_MAX = 5
_ENTITY = KeyKind.ENTITY


class FullAudit:
    """One pass over both stores. Memory grows with the divergences only."""

    def __init__(
        self,
        index: VectorIndex,
        comparer: Comparer,
        report: AuditReport,
        *,
        builder: LeavesBuilder | None,
        drift: DriftCheck | None,
        pace: Pace,
        words: WordsAudit | None = None,
    ) -> None:
        self._index, self._words = index, words
        self._comparer, self._report = comparer, report
        self._builder, self._drift = builder, drift
        self._pace = pace
        self._suspects: list[RecordKey] = []
        self._reached = ""
        self._missed: list[RecordKey] = []

    def run(self, on_progress: Progress | None) -> None:
        """Compare everything."""
        began, compared = self._comparer.head(), 0
        for page in self._comparer.pages(None if self._words is None else self._words.covers):
            self._compare(page, began)
            if self._words is not None:
                self._words.page(page.snapshot, page.through)
            if len(self._suspects) >= _SUSPECTS_AT_ONCE:
                self._decide()
            compared += max(len(page.snapshot.states), len(page.held))
            self._pace.rest()
            if on_progress is not None:
                on_progress(compared)
        self._decide()
        if self._words is not None:
            self._report.words = self._words.finish()
        if self._missed:
            shown = ", ".join(key.encode() for key in self._missed[:_SHOWN_MAX])
            said = f"the digests kept beside the index were wrong for {len(self._missed):,} keys ({shown} …)"
            self._report.notes.append(f"{said}: somebody else has written to it; they are right now")

    def _compare(self, page: Page, began: Head) -> None:
        """Count what agrees, and keep the rest for a second look."""
        held, head = page.held, self._comparer.head_at(page.snapshot.position)
        asked, poisoned = self._comparer.asked(page.snapshot)
        agreed = _agreeing(asked, held, began, head)
        if len(agreed) < max(len(asked) + len(poisoned), len(held)):
            alike = {content.key for content in agreed}
            differing = {content.key: None for content in (*asked, *held.contents) if content.key not in alike}
            self._suspects += [RecordKey.decode(key) for key in differing] + poisoned
        terms = {content.key: (content.entity_type, record_term(*content)) for content in asked}
        for name, digest in digests_by_type(terms[content.key] for content in agreed).items():
            agree(self._report, name, digest)
        self._report.total_entities += sum(key.kind is _ENTITY for key in page.snapshot.states)
        if self._builder is not None:
            self._builder.add(_with_poisoned(terms, poisoned))
        if isinstance(self._index, KeptDigests):
            self._missed += self._index.missed(KeyRange(self._reached, page.through), held.terms())
            self._reached = page.through or ""
        if self._drift is not None:
            self._look_for_drift(self._drift, page, agreed)

    def _look_for_drift(self, drift: DriftCheck, page: Page, agreed: Sequence[Content]) -> None:
        """Have some of the records that agree embedded anew; stamps and vectors are read for those alone."""
        drawn = [key for content in agreed if drift.draws(key := RecordKey.decode(content.key))]
        states = {key: page.snapshot.states[key] for key in drawn}
        targets = self._comparer.rendered(GraphSnapshot(page.snapshot.position, states))
        for stamp, vector in self._comparer.alone(drawn):
            target = targets.get(stamp.key)
            if isinstance(target, Target) and target_content(target) == stamp_content(stamp):
                drift.take(target, stamp, vector)

    def _decide(self) -> None:
        enter(self._report, self._comparer.decide(self._suspects))
        self._suspects.clear()
        if self._drift is not None:
            self._drift.enter(self._report)


def _agreeing(asked: Sequence[Content], held: HeldPage, began: Head, head: Head) -> Sequence[Content]:
    """Return the contents that are on both sides, under a key that has no other record."""
    # No term shows the schema, or a position that the graph has not come to.
    fits = {schema: began.knows(*schema) and schema[0] <= head.schema_version for schema in set(held.schemas)}
    is_sound = all(fits.values()) and max(held.positions, default=0) <= head.position
    if is_sound and asked == held.contents:
        return asked  # as nearly all pages of nearly all audits are
    records = Counter(content.key for content in held.contents)
    sound = {
        content.key: content
        for content, schema, position in zip(held.contents, held.schemas, held.positions, strict=True)
        if records[content.key] == 1 and fits[schema] and position <= head.position
    }
    return [content for content in asked if sound.get(content.key) == content]


def _with_poisoned(
    terms: dict[str, tuple[str, int]], poisoned: Sequence[RecordKey]
) -> Iterable[tuple[str, tuple[str, int]]]:
    """Return the terms in key order, with those of keys that can not be rendered among them."""
    if not poisoned:
        return terms.items()
    texts = [key.encode() for key in poisoned]
    return sorted({**terms, **{text: ("", unrenderable_term(text)) for text in texts}}.items())


def agree(report: AuditReport, entity_type: str, digest: Digest) -> None:
    """Enter records that are on both sides what they should be."""
    row = report.of_type(entity_type)
    row.expected += digest.records
    row.found += digest.records
    row.fresh += digest.records
    row.graph = row.graph.plus(digest)
    row.index = row.index.plus(digest)
    report.total_embeddings += digest.records


def _wanted_term(key: RecordKey, wanted: Target | PoisonEventError) -> int:
    return target_term(wanted) if isinstance(wanted, Target) else unrenderable_term(key.encode())


def _type_of(wanted: Target | PoisonEventError) -> str:
    return wanted.entity_type if isinstance(wanted, Target) else ""


def terms_of(
    keys: Iterable[RecordKey], targets: dict[RecordKey, Target | PoisonEventError]
) -> dict[str, tuple[str, int] | None]:
    """Return what the leaves keep of keys: None for those that the graph asks nothing of."""
    return {
        key.encode(): None if (wanted := targets.get(key)) is None else (_type_of(wanted), _wanted_term(key, wanted))
        for key in keys
    }
