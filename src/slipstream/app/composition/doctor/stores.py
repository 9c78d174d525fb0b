"""The stores: the graph file and its triggers, the journal with the index, and what they tell of the engine."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipstream.app.composition.doctor.findings import Examination
from slipstream.app.composition.factories import (
    ALERTS_FILE,
    GRAPH_FILE,
    INDEX_FILE,
    STORE_FILES,
    FileGlimpse,
    graph_layout_faults,
    lock_holder,
    refuse_old_graph,
)
from slipstream.app.composition.glimpse import firing_alerts, heard_of, silence_s
from slipstream.domain.incidents import Incident
from slipstream.domain.journal_names import WORDS_FRONTIER, WORDS_SCAN, WORDS_VIEWS
from slipstream.engine.word_scan import WordScan

_MB = 1_000_000
_CHECKED_BYTES_MAX = 256 * _MB
"""Up to this size SQLite's own check is run: it reads the whole file."""
_WAL_BYTES_MAX = 1_000 * _MB
_SILENT_S = 60.0
_AHEAD_S = 60.0
_DAY_S = 86_400.0
_VERIFIED_DAYS = 7
_AGAIN = "close what holds it, and look again"
_BROKEN_GRAPH = "restore a backup (`slipstream restore`): the graph file is what can not be made anew"
_BROKEN_INDEX = "move it away while nothing runs: the next open builds it anew from the graph"


def look_at_stores(found: Examination) -> None:
    """Look at both files, and at what they say of each other."""
    found.look("graph file", lambda: refuse_old_graph(found.data), "move it as docs/moving.md says")
    graph = found.look("graph file", lambda: _look_at_file(found, "graph file", GRAPH_FILE), _BROKEN_GRAPH)
    if graph:
        found.look("triggers", lambda: _look_at_layout(found), _BROKEN_GRAPH)
    index = found.look("index file", lambda: _look_at_file(found, "index file", INDEX_FILE), _BROKEN_INDEX)
    found.look("engine", lambda: _look_at_engine(found), _AGAIN)
    if index:
        with FileGlimpse(found.data / INDEX_FILE) as file:
            found.look("incident", lambda: _look_for_incident(found, file, is_graph_there=bool(graph)), _AGAIN)
            found.look("dead letters", lambda: _look_at_letters(found, file), _AGAIN)
            found.look("audits", lambda: _look_at_audits(found, file), _AGAIN)
            if graph:
                found.look("in step", lambda: _look_at_progress(found, file), _AGAIN)
                found.look("word rows", lambda: _look_at_words(found, file), "run `slipstream verify`")
    found.look("alerts", lambda: _look_at_alerts(found), f"remove {found.data / ALERTS_FILE}: it is made anew")


def _look_at_file(found: Examination, name: str, file: str) -> bool:
    """Look at one file; returns whether it can be read."""
    path, kept = found.data / file, STORE_FILES[file]
    if not path.exists():
        if (found.data / INDEX_FILE).exists() and file == GRAPH_FILE:
            found.fail(name, f"{path} is gone, and the index is there", f"put it back, or {_BROKEN_GRAPH}")
        else:
            found.ok(name, "not there yet: the first command that opens the PKG makes it")
        return False
    with FileGlimpse(path) as glimpse:
        application, version = glimpse.value("PRAGMA application_id"), glimpse.value("PRAGMA user_version")
        if glimpse.value("SELECT count(*) FROM sqlite_schema") == 0:
            found.warn(name, f"{path} is empty", "import something; or put back the file that was there")
            return False
        if application != kept.application_id:
            found.fail(name, f"{path} is the database of another program", "choose another directory")
            return False
        if version > kept.version:
            found.fail(name, f"{path} is of a newer Slipstream (layout {version})", "upgrade slipstream-pkg")
            return False
        return _is_sound(found, name, path, glimpse, version)


def _is_sound(found: Examination, name: str, path: Path, glimpse: FileGlimpse, version: int) -> bool:
    size, wal = path.stat().st_size, path.with_name(f"{path.name}-wal")
    said = f"{size / _MB:,.1f} MB, layout {version}"
    if size <= _CHECKED_BYTES_MAX:
        told = glimpse.value("PRAGMA quick_check(1)")
        if told != "ok":
            found.fail(
                name, f"{path} is damaged: {told}", _BROKEN_GRAPH if path.name == GRAPH_FILE else _BROKEN_INDEX
            )
            return False
        said += ", whole"
    if wal.exists() and wal.stat().st_size > _WAL_BYTES_MAX:
        found.warn(
            name, f"{said}; its write-ahead log takes {wal.stat().st_size // _MB:,} MB", "end what reads for long"
        )
    else:
        found.ok(name, said)
    return True


def _look_at_layout(found: Examination) -> None:
    wrong = graph_layout_faults(found.data)
    if wrong:
        found.warn(
            "triggers",
            f"changed or dropped by another program: {', '.join(wrong)}",
            "run any command: the next open puts them back, and everything is compared",
        )
    else:
        found.ok("triggers", "as they should be: every change of any program is logged")


def _look_at_engine(found: Examination) -> None:
    holder = lock_holder(found.data)
    if holder is None:
        found.ok("engine", "no process runs it: the index follows when one does (`slipstream serve`)")
        return
    silent_s = silence_s(found.data)
    said = heard_of(holder, silent_s)
    if silent_s > _SILENT_S:
        found.fail(
            "engine", said, f"see whether process {holder} hangs or was stopped, and end it: another takes over"
        )
    else:
        found.ok("engine", said)


def _look_for_incident(found: Examination, file: FileGlimpse, *, is_graph_there: bool) -> None:
    text = file.value("SELECT value FROM named_values WHERE name = 'incident'")
    if text is not None:
        incident = Incident.load(text)
        found.fail("incident", incident.line, "; or ".join(incident.ways))
    elif is_graph_there or file.value("SELECT value FROM named_values WHERE name = 'graph_id'") is None:
        found.ok("incident", "none: graph and index belong together, as far as anybody has found")


def _look_at_letters(found: Examination, file: FileGlimpse) -> None:
    count = int(file.value("SELECT count(*) FROM letters") or 0)
    if count:
        see = "see `slipstream dead-letters list`, then replay or discard them"
        found.warn("dead letters", f"{count:,} keys or lines failed for good", see)
    else:
        found.ok("dead letters", "none")


def _look_at_audits(found: Examination, file: FileGlimpse) -> None:
    text = file.value("SELECT report FROM audits WHERE report <> '' ORDER BY id DESC LIMIT 1")
    if text is None:
        found.warn("audits", "graph and index were never compared", "run `slipstream verify`")
        return
    report: dict[str, Any] = json.loads(text)
    share, at = float(report["consistency"]), str(report.get("finished_at") or report.get("started_at") or "")
    said = f"the last one found {share:.4%} in step{f', at {at[:19]} UTC' if at else ''}"
    if share < 1:
        found.warn("audits", said, "run `slipstream verify`, then `slipstream repair`")
    elif at and datetime.now(UTC).timestamp() - _moment(at) > _VERIFIED_DAYS * _DAY_S:
        found.warn("audits", said, "run `slipstream verify`, or leave `slipstream serve` running")
    else:
        found.ok("audits", said)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _look_at_progress(found: Examination, file: FileGlimpse) -> None:
    """Compare how far the log and the index are, and the newest change with the clock."""
    with FileGlimpse(found.data / GRAPH_FILE) as graph:
        head = int(graph.value("SELECT max(position) FROM change") or 0)
        newest_ms = graph.value("SELECT max(at) FROM (SELECT at FROM change ORDER BY position DESC LIMIT 100)")
    frontier = int(file.value("SELECT value FROM named_values WHERE name = 'frontier'") or 0)
    behind = max(0, head - frontier)
    if behind and lock_holder(found.data) is None:
        found.warn("in step", f"searches do not find the newest {behind:,} changes", "run `slipstream serve`")
    else:
        found.ok("in step", f"log {head:,}, index {frontier:,}")
    ahead_s = 0.0 if newest_ms is None else newest_ms / 1_000 - time.time()
    if ahead_s > _AHEAD_S:
        found.warn("clock", f"the newest change is {ahead_s:,.0f} s in the future", "set the clocks of all who write")


def _look_at_words(found: Examination, file: FileGlimpse) -> None:
    """Compare how far the log and the word rows are, and look for a scan that is due."""
    with FileGlimpse(found.data / GRAPH_FILE) as graph:
        head = int(graph.value("SELECT max(position) FROM change") or 0)
    named = "SELECT value FROM named_values WHERE name = :name"
    frontier = int(file.value(named, name=WORDS_FRONTIER) or 0)
    scan = WordScan.load(file.value(named, name=WORDS_SCAN))
    behind = max(0, head - frontier)
    if scan is not None:
        said = f"all are compared with the graph ({scan.reason.value}): {scan.done:,} of about {scan.total:,} so far"
    elif head and file.value(named, name=WORDS_VIEWS) is None:
        said = "not made yet: searches find nothing by words"
    elif behind:
        said = f"searches do not find the newest {behind:,} changes by words"
    else:
        said = f"log {head:,}, word rows {frontier:,}"
    is_due = scan is not None or behind > 0
    if is_due and lock_holder(found.data) is None:
        found.warn("word rows", said, "run `slipstream serve`")
    else:
        found.ok("word rows", said)


def _look_at_alerts(found: Examination) -> None:
    if firing := firing_alerts(found.data):
        found.warn("alerts", f"firing: {', '.join(firing)}", "see `slipstream status --check`, and docs/alerts.md")
    else:
        found.ok("alerts", "none is firing")
