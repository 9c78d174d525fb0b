"""
What may be changed in the files without anybody hearing of it, and why that is harmless.

Everything else is found. An entry without a case, or of a case that is found, fails the tests, so this is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.integration.tamper_cases import Case

GRAPH, INDEX = "graph.db", "index.db"
_ANY_TEXT = ("longer", "another", "empty")
_NEAR = ("one more", "one less")
_NEAR_AND_HUGE = (*_NEAR, "huge")
_TIME = (*_NEAR, "negative")

_SHOWN = "it is shown to who asks, and decides nothing"
WORN = "a number between right ones: the next write sets it, and until then it costs a comparison at most"
_VIEW = "the sync view is derived: a full audit has each row compared, and those that differ are written anew"
_ONCE = "an event that comes once more is applied once more: events say what is, so it stays as it is"
_LEFT = "nothing of the engine's: what another program left there is its own"
OF_THE_GRAPH = "no comparison can tell: the graph does not say what it should be (docs/consistency.md)"
_HINT = "digests say where to look and are never the last word: a full audit asks none, and makes leaves anew"
_EVIDENCE = "a record of a past audit: each key in it is looked at once more before anything is said of it"
_FEED = "no comparison can tell: only the feed knows how far it has come; a snapshot of its table puts it right"
_FENCE = "a fence against writes that were under way when it was made; full audits look at what it let through"

_GRAPH: Mapping[str, tuple[tuple[str, ...], str]] = {
    "meta[graph_id].name": (
        ("another",),
        "a graph without a number is given one; the mark beside it tells graphs apart",
    ),
    "meta[graph_id].value": (_ANY_TEXT, "only ids of later events are made of it; the mark tells graphs apart"),
    "meta[trimmed].name": (("another",), "of a log that begins at its first entry; of another one it is a gap"),
    "entity.key": (("huge",), "a number that nothing refers to"),
    "change.old": (
        ("null",),
        "as of properties that are too long for the log: a change says that, and not from what",
    ),
    "change.at": (
        (*_NEAR, "huge", "negative", "null", "text"),
        "when it was is shown only; a spoilt time is long ago",
    ),
    "sqlite_sequence[change].seq": (("huge",), "taken out at open, with a rescan"),
    **{
        f"consumer[{name}].name": (
            ("another",),
            "whoever reads the log writes its own row at its next commit; a strange one keeps the log",
        )
        for name in ("index", "words")
    },
    **{f"consumer[{name}].position": (("one less",), WORN) for name in ("index", "words")},
    "schema_version.created_at": (("another",), _SHOWN),
    "schema_version.reason": (_ANY_TEXT, _SHOWN),
    "once.event_id": (_ANY_TEXT, _ONCE),
    "fence.space": (_ANY_TEXT, _FEED),
    "fence.name": (_ANY_TEXT, _FEED),
    "fence.key": (("longer", "another"), _FEED),
    "fence.sequence": (("longer", "another", "null"), _FEED),
    "fence.event_id": (_ANY_TEXT, _FEED),
    "fence.deleted": (("one more",), _FEED),
    "fence.log": (_ANY_TEXT, _FEED),
    "fence.number": (_NEAR_AND_HUGE, _FEED),
    "fence.at_ms": ((*_NEAR_AND_HUGE, "negative"), _FEED),
    "fence.unsent": ((*_ANY_TEXT, "null"), _FEED),
    "sync_state.entity_id": (_ANY_TEXT, _VIEW),
    "sync_state.entity_type": (_ANY_TEXT, _VIEW),
    "sync_state.state": (_ANY_TEXT, _VIEW),
    "sync_state.model_id": ((*_ANY_TEXT, "null"), _VIEW),
    "sync_state.schema_version": ((*_NEAR, "huge", "negative", "null", "text"), _VIEW),
    "sync_state.position": ((*_NEAR, "huge", "negative", "null", "text"), _VIEW),
    "sync_state.embedded_at": ((*_ANY_TEXT, "null"), _VIEW),
    "sync_state.last_verified": (("another", "null"), "the next audit sets it"),
}
_CODES = "kept codes that do not belong together are not used: the vectors are read instead"
_DUE = "work is looked at sooner or later, or with another reason: what a key is brought to, both sides say"
_ASKED = "of a request that is answered already: whoever asked has the answer, or asks again"
_LETTER = "words of a dead letter: it is shown to who decides about it, and an event that is spoilt is refused again"
_FIRST_PAGE = "FTS5 reads the first page of a part where one before it is named"
RISE = "what a rise of the confidence is measured from: an embedding more or less, at the next rise"
_INDEX: Mapping[str, tuple[tuple[str, ...], str]] = {
    "records.position": (_NEAR, WORN),
    "records.created_at": (_TIME, OF_THE_GRAPH),
    "records.last_validated": (("a number",), OF_THE_GRAPH),
    "records.quality": (("a little more", "infinite", "null"), OF_THE_GRAPH),
    "records.reembedding_reason": (("a text", "a number"), _SHOWN),
    "records.embedded_confidence": (("a little more", "infinite", "null"), RISE),
    "tombstones.key": (("longer", "another"), _FENCE),
    "tombstones.position": (_NEAR, _FENCE),
    "changes.record": ((*_NEAR, "huge", "negative"), "what searches in open processes have followed already"),
    "segments.digests": (("null",), _HINT),
    "segments.schema_version_min": ((*_NEAR, "huge", "negative", "null"), _HINT),
    "segments.schema_version_max": ((*_NEAR, "huge", "negative", "null"), _HINT),
    "segments.position_max": (("one less", "null"), _HINT),
    "segments.writes": (_NEAR, _HINT),
    "codes.space": ((*_NEAR_AND_HUGE, "negative"), _CODES),
    "codes.block": ((*_NEAR_AND_HUGE, "negative"), _CODES),
    "codes.body": (("a bit flipped", "cut"), _CODES),
    "coded.sequence": ((*_NEAR_AND_HUGE, "negative", "null"), _CODES),
    "coded.blocks": (_ANY_TEXT, _CODES),
    "coded.checksum": ((*_NEAR_AND_HUGE, "negative"), _CODES),
    "kept_terms.key": (("longer", "another"), _HINT),
    "kept_terms.number": (_NEAR_AND_HUGE, _HINT),
    "kept_terms.type": (_ANY_TEXT, _HINT),
    "kept_terms.term": (("a bit flipped",), _HINT),
    "kept_terms.schema_version": (_NEAR_AND_HUGE, _HINT),
    "kept_terms.position": (_NEAR, _HINT),
    "doubted_keys.key": (("longer", "another"), _HINT),
    "named_values[*].checksum": (
        ("null",),
        "as of a file of an older version: a value without one is taken as it is",
    ),
    "work.key": (("longer", "another"), _DUE),
    "work.lane": (("one less",), _DUE),
    "work.position": (("a number",), _DUE),
    "work.attempts": (_NEAR, _DUE),
    "work.due_at": (("a number",), _DUE),
    "work.reason": (_ANY_TEXT, _SHOWN),
    "work.error": (("a text", "a number"), _SHOWN),
    "work.force": (("one more",), _DUE),
    "work.rank": (("a little more",), _DUE),
    "letters.id": (_ANY_TEXT, _LETTER),
    "letters.error": (_ANY_TEXT, _LETTER),
    "letters.attempts": (_NEAR, _LETTER),
    "letters.failed_at": (_TIME, _LETTER),
    "letters.position": (("a number",), _LETTER),
    "letters.payload": ((*_ANY_TEXT, "null"), _LETTER),
    "messages.id": ((*_NEAR, "huge", "negative"), "the order of messages, which say each for itself what is"),
    "messages.topic": (_ANY_TEXT, "a message that reaches nobody: what it says is in the graph, or its sender asks"),
    "messages.payload": (_ANY_TEXT, "one that can not be read becomes a dead letter, by name"),
    "messages.due_at": (("a number",), "it is delivered at once"),
    "sqlite_sequence[*].seq": ((*_NEAR, "huge"), "numbers that only have to differ; as many again are left"),
    "leaves.after": (("longer", "another"), _HINT),
    "leaves.terms": (("a bit flipped",), _HINT),
    "audits.report": (("empty",), "an audit that is being forgotten: nobody is shown it"),
    "findings.audit": (_NEAR, _EVIDENCE),
    "findings.kind": (_ANY_TEXT, _EVIDENCE),
    "findings.key": (("longer", "another"), _EVIDENCE),
    "findings.type": (_ANY_TEXT, _EVIDENCE),
    "lease.epoch": (_NEAR, "the owner of that moment gives way and takes it anew; numbers only have to rise"),
    "word_rows.position": (_NEAR, WORN),
    "lost_words.word": (_ANY_TEXT, "an erasure looks at it beside the words of whom it erases; nothing else does"),
    **{
        f"{table}_idx.pgno": (("one less", "negative", "null", "text"), _FIRST_PAGE)
        for table in ("words_english", "words_none", "name_trigrams", "word_trigrams")
    },
    "requests.id": ((*_NEAR, "huge", "negative"), _ASKED),
    "requests.operation": (_ANY_TEXT, _ASKED),
    "requests.arguments": (_ANY_TEXT, _ASKED),
    "requests.asked_at": (_TIME, _ASKED),
    "requests.attempts": (("one more",), _ASKED),
    "requests.is_cancelled": (("one more",), _ASKED),
    "requests.progress": (("a text", "a number"), _ASKED),
    "requests.answer": ((*_ANY_TEXT, "null"), _ASKED),
}

HARMLESS: Mapping[str, Mapping[str, tuple[tuple[str, ...], str]]] = MappingProxyType({GRAPH: _GRAPH, INDEX: _INDEX})


def name_of(case: Case, *, any_row: bool = False) -> str:
    """Return under which name a case stands in the table."""
    row = f"[{'*' if any_row else case.row}]" if case.row else ""
    return f"{case.table}{row}.{case.column}"


def is_harmless(file: str, case: Case) -> bool:
    """Whether the table has a case."""
    return any(
        case.way in HARMLESS[file].get(name_of(case, any_row=any_row), ((), ""))[0] for any_row in (False, True)
    )
