"""What the evidence page shows: a report turned into the words and numbers of its template. Pure."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from slipstream.audit.below import damage_in
from slipstream.audit.findings import owed_in
from slipstream.audit.ratios import counts_text, percent
from slipstream.domain.errors import InvalidInputError
from slipstream.report.plots import Plot, Sample, consistency_plot, count_plot
from slipstream.signing.documents import digest_of

SCHEMA = "slipstream.audit/1"
_WHOLE_KINDS = frozenset({"full", "deep"})
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Characters that are invisible, or change the direction of text: ids are shown with their escapes instead."""

_NAMED_MAX = 20
"""Keys that are named in a sentence; the JSON has them all."""

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "full": "every key of both sides, and every stored vector with its checksum",
        "deep": "as a full audit, and texts embedded anew to be compared with their vectors",
        "incremental": "digests of both sides, and key by key what differs or has changed since the audit before",
        "sample": "as an incremental audit, and a sample embedded anew to be compared with its vectors",
        "keys": "some chosen keys",
    }
)
_MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "in the graph, without a vector",
        "orphaned": "a vector, but nothing in the graph that calls for it",
        "stale": "the vector, or what is kept beside it, is of an older text or recipe",
        "outdated": "the stamp is of an older schema version",
        "wrong_model": "embedded with another model than the view asks for",
        "duplicate": "more than one vector for one key",
        "corrupt": "the stored vector is damaged or gone, or its stamp is from no point of the graph's history",
        "drifted": "the stored vector is not what the model gives for the text",
        "unrenderable": "the view fails on it: there can be no vector until view or data change",
    }
)
_WORD_MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "word_missing": "in the graph, and not found by its words",
        "word_orphaned": "found by its words, but nothing in the graph that calls for it",
        "word_stale": "found by words of an older text, or of other views",
        "word_corrupt": "its words are damaged or gone, or from no point of the graph's history",
    }
)


@dataclass(frozen=True, slots=True)
class _Audit:
    """The fields of a report that the page can not do without, checked."""

    raw: Mapping[str, Any]
    id: int | None
    kind: str
    position: int
    frontier: int | None
    started_at: datetime
    finished_at: datetime
    duration_s: float
    consistency: float | None
    is_consistent: bool
    counts: Mapping[str, int]
    owed: Mapping[str, int]
    unsettled: int

    @property
    def name(self) -> str:
        return "Unrecorded audit" if self.id is None else f"Audit {self.id}"

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def owed_keys(self) -> int:
        return sum(self.owed.values())

    @property
    def is_whole(self) -> bool:
        return self.kind in _WHOLE_KINDS


def _audit(report: Mapping[str, Any]) -> _Audit:
    if report.get("schema") != SCHEMA:
        raise InvalidInputError(f"is {report.get('schema')!r}, this page shows {SCHEMA!r}", field="schema")
    try:
        counts = {str(name): int(count) for name, count in report["counts"].items()}
        audit = _Audit(
            raw=report,
            id=None if report["id"] is None else int(report["id"]),
            kind=visible(str(report["kind"])),
            position=int(report["position"]),
            frontier=None if report["frontier"] is None else int(report["frontier"]),
            started_at=_time(report["started_at"]),
            finished_at=_time(report["finished_at"]),
            duration_s=float(report["duration_s"]),
            consistency=None if report["consistency"] is None else float(report["consistency"]),
            is_consistent=bool(report["consistent"]),
            counts={**dict.fromkeys(_meanings(report), 0), **counts},
            owed=owed_in(report),
            unsettled=int(report["unsettled"]),
        )
    except KeyError as error:
        raise InvalidInputError(f"is missing from the report {report.get('id')}", field=str(error.args[0])) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"holds a value of the wrong kind ({error})", field="report") from error
    if audit.consistency is not None and not 0.0 <= audit.consistency <= 1.0:
        raise InvalidInputError(f"is {audit.consistency}, must be within 0..1", field="consistency")
    return audit


def _meanings(report: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what each class means that an audit looked for."""
    return _MEANINGS if report.get("words") is None else {**_MEANINGS, **_WORD_MEANINGS}


def page_of(report: Mapping[str, Any], history: Sequence[Mapping[str, Any]], paging: str | None) -> dict[str, Any]:
    """Return the values of the template; raises `InvalidInputError` for a report of another schema."""
    audit, past = _audit(report), [_audit(item) for item in history]
    try:
        shown = {
            "facts": _facts(audit),
            "digests": _digests(audit),
            "signature": _signature(report),
            "types": _types(report["coverage"]),
            "classes": [_class(audit, name, paging) for name in audit.counts],
            "limits": _limits(audit),
        }
    except KeyError as error:
        raise InvalidInputError("is missing from the report", field=str(error.args[0])) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"holds a value of the wrong kind ({error})", field="report") from error
    return {
        **shown,
        **_history(audit, past),
        "name": audit.name,
        "schema": SCHEMA,
        "finished": {"iso": audit.finished_at.isoformat(), "shown": f"{_shown_time(audit.finished_at)} UTC"},
        "consistency": percent(audit.consistency),
        "verdict": _verdict(audit),
        "total": _counted(audit.total, "divergence"),
    }


def _verdict(audit: _Audit) -> dict[str, str]:
    looked = _KINDS.get(audit.kind, audit.kind)
    sentence = f"Compared: {looked}, with the graph at position {audit.position:,}, in {_duration(audit.duration_s)}."
    if damage_in(audit.raw):
        return {"level": "bad", "headline": "Damage found", "sentence": sentence}
    if audit.total:
        return {"level": "bad", "headline": f"{_counted(audit.total, 'divergence')} found", "sentence": sentence}
    if audit.unsettled or (audit.owed_keys and not audit.is_consistent):
        open_keys = _counted(audit.owed_keys + audit.unsettled, "key")
        return {"level": "warn", "headline": f"Could not tell of {open_keys}", "sentence": sentence}
    if not audit.is_consistent:
        return {"level": "bad", "headline": "Not consistent", "sentence": sentence}
    if audit.consistency is None:
        return {"level": "ok", "headline": "Nothing to compare", "sentence": sentence}
    headline = "Graph and index agree" if audit.is_whole else "Consistent, where it looked"
    if audit.owed_keys:
        headline += f", but for {_counted(audit.owed_keys, 'key')} still owed"
    return {"level": "ok", "headline": headline, "sentence": sentence}


def _facts(audit: _Audit) -> list[dict[str, str]]:
    raw, rows = audit.raw, audit.raw["rows_read"]
    behind = None if audit.frontier is None else audit.position - audit.frontier
    frontier = "unknown" if audit.frontier is None else f"{audit.frontier:,}"
    note = "" if behind is None else f"{behind:,} behind the graph" if behind > 0 else "level with the graph"
    pairs = [
        ("Kind", audit.kind, _KINDS.get(audit.kind, "")),
        ("Position of the graph", f"{audit.position:,}", _after(raw.get("position_after"))),
        ("Frontier of the index", frontier, note),
        ("Started", f"{_shown_time(audit.started_at)} UTC", ""),
        ("Finished", f"{_shown_time(audit.finished_at)} UTC", f"took {_duration(audit.duration_s)}"),
        ("Entities in the graph", f"{raw['total_entities']:,}", ""),
        ("Vectors expected", f"{raw['expected_embeddings']:,}", ""),
        ("Vectors in the index", f"{raw['total_embeddings']:,}", ""),
        *_word_facts(raw.get("words")),
        *((f"Rows read, {side}", f"{count:,}", "") for side, count in rows.items()),
        ("Owed keys", f"{audit.owed_keys:,}", visible(counts_text(audit.owed))),
        ("Unsettled keys", f"{audit.unsettled:,}", ""),
    ]
    return [{"label": label, "value": value, "note": note} for label, value, note in pairs]


def _word_facts(words: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    if words is None:
        return [("Word rows", "not compared", "")]
    looked = "every row was read" if words["looked"] == "all" else "those changed, or wrong before, were read"
    return [
        ("Word rows expected", f"{words['expected']:,}", looked),
        ("Word rows in the index", f"{words['held']:,}", f"{words['fresh']:,} as they should be"),
    ]


def _after(position: int | None) -> str:
    return "" if position is None else f"{position:,} when it ended"


def _digests(audit: _Audit) -> dict[str, str]:
    graph, index = audit.raw.get("graph_digest") or "", audit.raw.get("index_digest") or ""
    state = "absent" if not (graph or index) else "equal" if graph == index else "different"
    remark = "The index does not hold what the graph says; the classes below say where."
    if audit.is_consistent:
        remark = (
            "No divergent key was left when each was looked at once more: what changed while it was read, and "
            "what is still on its way, makes the digests differ too."
        )
    return {
        "graph": visible(str(graph or "none")),
        "index": visible(str(index or "none")),
        "state": state,
        "remark": remark,
    }


def _signature(report: Mapping[str, Any]) -> dict[str, str] | None:
    """Return by which key the file beside the page is signed, None where it is not."""
    signature = report.get("signature")
    if signature is None:
        return None
    kept = report.get("kept") or report.get("evidence")
    number = "" if not kept else f"number {int(kept['number']):,} of the chain {visible(str(kept['chain']))}"
    return {"key": visible(str(signature["key_id"])), "digest": digest_of(report), "number": number}


def _types(coverage: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for name, row in sorted(coverage.items()):
        expected, fresh = int(row["expected"]), int(row["fresh"])
        share = fresh / expected if expected else None
        graph, index = row.get("graph_digest"), row.get("index_digest")
        rows.append(
            {
                "name": visible(name),
                "expected": f"{expected:,}",
                "found": f"{row['found']:,}",
                "fresh": f"{fresh:,}",
                "share": "none expected" if share is None else percent(share),
                "width": 0 if share is None else round(100 * min(1.0, share), 2),
                "is_whole": share is None or share >= 1.0,
                "digests": "not taken" if not (graph or index) else "equal" if graph == index else "different",
                "counts": "not told" if "counts" not in row else visible(counts_text(row["counts"])) or "none",
            }
        )
    return rows


def _class(audit: _Audit, name: str, paging: str | None) -> dict[str, Any]:
    count = audit.counts[name]
    keys = list(audit.raw["divergences"].get(name, ()))
    rest, command = _rest(audit, name, keys, paging) if count > len(keys) else ("", "")
    return {
        "name": visible(name),
        "meaning": _meanings(audit.raw).get(name, ""),
        "count": f"{count:,}",
        "is_found": count > 0,
        "listed": [visible(key) for key in keys],
        "summary": _counted(len(keys), "key") if count <= len(keys) else f"{len(keys):,} of {count:,} keys",
        "rest": rest,
        "command": command,
    }


def _rest(audit: _Audit, name: str, keys: Sequence[str], paging: str | None) -> tuple[str, str]:
    """Say that there are more keys than the report carries, and how to get at them."""
    last = keys[-1] if keys else ""
    more = f"{audit.counts[name] - len(keys):,} more are not on this page."
    if audit.id is None:
        return f"{more} This audit is not recorded: record one to page through all of its keys.", ""
    if paging is None:
        behind = f" behind the key {visible(last)}" if keys else ""
        return f"{more} To page on, ask for class {name} of audit {audit.id}{behind}.", ""
    parts = {"id": str(audit.id), "name": name, "after": last}
    return f"{more} To page on:", visible(paging.format(**{part: shlex.quote(text) for part, text in parts.items()}))


def _limits(audit: _Audit) -> list[str]:
    limits = [visible(f"Damage in {damage.told}.") for damage in damage_in(audit.raw)]
    limits += [visible(str(note)) for note in audit.raw["notes"]]
    undecided = audit.raw.get("undecided", {})
    if audit.owed_keys:
        keys = _counted(audit.owed_keys, "key")
        named = _named([*undecided.get("owed", undecided.get("lagging", ())), *undecided.get("word_owed", ())])
        limits.append(f"{keys} still to be brought up to date by the engine: neither right nor wrong{named}.")
    if audit.unsettled:
        keys = _counted(audit.unsettled, "key")
        named = _named([*undecided.get("unsettled", ()), *undecided.get("word_unsettled", ())])
        limits.append(f"{keys} kept changing while being looked at: nothing is said about them{named}.")
    words = audit.raw.get("words")
    if words is not None and words["looked"] != "all":
        counted = "the rest was only counted" if words["counted"] else "the rest was neither read nor counted"
        limits.append(f"Of the word rows those that have changed, or were wrong before, were read; {counted}.")
    if not audit.is_whole:
        limits.append(
            f"This audit looked at {_KINDS.get(audit.kind, 'part of the keys')}; all else was not compared."
        )
    limits.append(f"It speaks of the graph at position {audit.position:,}; what was committed later is not in it.")
    return limits


def _named(keys: Sequence[str]) -> str:
    shown = ", ".join(visible(key) for key in keys[:_NAMED_MAX])
    more = f" and {len(keys) - _NAMED_MAX:,} more" if len(keys) > _NAMED_MAX else ""
    return f" ({shown}{more})" if shown else ""


def _history(audit: _Audit, past: Sequence[_Audit]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for item in past for name in item.counts))
    found = [name for name in names if any(item.counts.get(name, 0) for item in past)]
    rows = [
        {
            "name": "not recorded" if item.id is None else str(item.id),
            "at": _shown_time(item.finished_at),
            "kind": item.kind,
            "position": f"{item.position:,}",
            "consistency": percent(item.consistency),
            "total": f"{item.total:,}",
            "unsettled": f"{item.unsettled:,}",
            "took": _duration(item.duration_s),
            "is_latest": _is_same(item, audit),
        }
        for item in past
    ]
    return {
        "history": rows,
        "has_latest": any(row["is_latest"] for row in rows),
        "plot": consistency_plot(
            [
                _sample(audit, item, item.consistency, percent(item.consistency))
                for item in past
                if item.consistency is not None
            ]
        ),
        "class_plots": [_class_plot(name, audit, past) for name in found],
        "never": ", ".join(visible(name) for name in names if name not in found),
    }


def _class_plot(name: str, audit: _Audit, past: Sequence[_Audit]) -> Plot:
    counts = [(item, item.counts.get(name, 0)) for item in past]
    return count_plot(
        visible(name), [_sample(audit, item, count, f"{count:,} {visible(name)}") for item, count in counts]
    )


def _sample(audit: _Audit, item: _Audit, value: float, said: str) -> Sample:
    label = f"{item.name} ({item.kind}), {_shown_time(item.finished_at)} UTC: {said}"
    return Sample(item.finished_at, value, label, item.is_whole, _is_same(item, audit))


def _is_same(item: _Audit, audit: _Audit) -> bool:
    return item.id is not None and item.id == audit.id


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.utcoffset() is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC)


def _shown_time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:,.1f} s" if seconds < 120 else f"{seconds / 60:,.1f} min"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    """Return a text with the characters that are invisible or change its direction written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if unicodedata.category(char) not in _HIDDEN_CATEGORIES else ascii(char)[1:-1] for char in text
    )
