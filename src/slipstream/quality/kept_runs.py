"""Past runs, kept in the journal: their reports for the trend, and what the last one found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from slipstream.domain.errors import CorruptionError
from slipstream.ports.journal import Journal
from slipstream.quality.figures import RecordFigures
from slipstream.quality.tracking import QualityRun, Weak, Weakness

RUNS = "quality-runs"
FINDINGS = "quality-findings"
RECORDS = "quality-records"
RUNS_MAX = 100
RECORD_RUNS_MAX = 20
"""Runs whose figures of single records are kept."""


class KeptRuns:
    """The last `RUNS_MAX` reports, the figures of the last `RECORD_RUNS_MAX`, and the findings of the last run."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def keep(self, run: QualityRun) -> dict[str, Any]:
        """Keep a run in one step; returns its report with its id, one higher than that of the run before."""
        with self._journal.transaction():
            runs = self.runs()
            report = {"id": runs[-1]["id"] + 1 if runs else 1, **run.report}
            self._journal.set(RUNS, json.dumps([*runs, report][-RUNS_MAX:]))
            self._journal.set(FINDINGS, json.dumps(run.findings))
            self._journal.set(f"{RECORDS}:{report['id']}", json.dumps([figures.row() for figures in run.figures]))
            self._journal.set(f"{RECORDS}:{report['id'] - RECORD_RUNS_MAX}", None)
        return report

    def runs(self) -> list[dict[str, Any]]:
        """Return the kept reports, oldest first; raises `CorruptionError` for what is unreadable."""
        found = self._load(RUNS)
        if not all(isinstance(item, Mapping) and isinstance(item.get("id"), int) for item in found):
            raise _unreadable(RUNS)
        return found

    def findings(self) -> list[Weak]:
        """Return what the last run found; raises `CorruptionError` for what is unreadable."""
        try:
            return [Weak(Weakness(kind), *rest) for kind, *rest in self._load(FINDINGS)]
        except (TypeError, ValueError) as error:
            raise _unreadable(FINDINGS) from error

    def record(self, key: str) -> list[dict[str, Any]]:
        """
        Return what the kept runs measured of one record, oldest first; a run that did not look at it is left out.

        Raises `CorruptionError` for what is unreadable.
        """
        found: list[dict[str, Any]] = []
        for run in self.runs()[-RECORD_RUNS_MAX:]:
            name = f"{RECORDS}:{run['id']}"
            try:
                rows = [RecordFigures.from_row(row) for row in self._load(name) if row[0] == key]
            except (TypeError, ValueError, LookupError) as error:
                raise _unreadable(name) from error
            found += [{"run": run["id"], "at": run["at"], **asdict(figures)} for figures in rows]
        return found

    def _load(self, name: str) -> list[Any]:
        text = self._journal.get(name)
        if text is None:
            return []
        try:
            found = json.loads(text)
        except ValueError as error:
            raise _unreadable(name) from error
        if not isinstance(found, list):
            raise _unreadable(name)
        return found


def _unreadable(name: str) -> CorruptionError:
    return CorruptionError(f"the journal's {name!r} can not be read: it was written by a newer version, or damaged")
