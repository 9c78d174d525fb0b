"""Past measurements of searches, kept in the journal: their figures, and ranks by question to compare two by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from slipstream.domain.errors import CorruptionError, InvalidInputError
from slipstream.ports.journal import Journal
from slipstream.quality.search_figures import Answer, SearchQuality

SEARCHES = "quality-searches"
ANSWERS = "quality-search-answers"
SEARCHES_MAX = 100
ANSWERED_MAX = 20
"""Measurements whose ranks by question are kept: only these can be compared."""

_RUNS, _ANSWERS = TypeAdapter(list[SearchQuality]), TypeAdapter(list[Answer])
_T = TypeVar("_T")


class KeptSearches:
    """The last `SEARCHES_MAX` measurements; of questions a digest is kept, and no text."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def keep(self, found: SearchQuality, answers: Sequence[Answer]) -> SearchQuality:
        """Keep a measurement in one step; returns it with its id, one higher than that of the one before."""
        with self._journal.transaction():
            runs = self.runs()
            last = (runs[-1].id or 0) if runs else 0
            kept = replace(found, id=last + 1)
            listed = [*runs, replace(kept, misses=())][-SEARCHES_MAX:]
            self._journal.set(SEARCHES, _RUNS.dump_json(listed).decode())
            self._journal.set(f"{ANSWERS}:{kept.id}", _ANSWERS.dump_json(list(answers)).decode())
            self._journal.set(f"{ANSWERS}:{last + 1 - ANSWERED_MAX}", None)
        return kept

    def runs(self) -> list[SearchQuality]:
        """Return the kept measurements, oldest first; raises `CorruptionError` for what is unreadable."""
        return self._load(SEARCHES, _RUNS) or []

    def answers(self, run_id: int) -> list[Answer]:
        """Return where the answers stood; raises `InvalidInputError` for a measurement whose ranks are not kept."""
        found = self._load(f"{ANSWERS}:{run_id}", _ANSWERS)
        if found is None:
            raise InvalidInputError(
                f"{run_id} is none of the last {ANSWERED_MAX} measurements: `slipstream quality searches` lists them",
                field="id",
            )
        return found

    def _load(self, name: str, adapter: TypeAdapter[_T]) -> _T | None:
        text = self._journal.get(name)
        if text is None:
            return None
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            raise CorruptionError(
                f"the journal's {name!r} can not be read: it was written by a newer version, or damaged"
            ) from error
