"""Owing: what the engine is still to deal with, so that an audit does not take it for a divergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.domain.audits import Suspect
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.work import URGENT, Lane
from slipstream.engine.runner import Sync

SCHEMA = "schema"
"""Owed a stamp of the newest schema version."""
_PAST_COMPARISON = frozenset({"corrupt", "drifted"})
"""Classes that no comparison of fingerprints mends: only work that embeds whatever the text is."""
_OUTDATED = "outdated"


class Owing:
    """
    Tells which suspects of an audit are owed, and in which lane. While no engine is at work none is.

    It asks all that leads to a key being made equal: the log, the ledger, the journal's work items, selections and
    backfills that have not come to the key yet, and the pass that moves stamps to the newest schema version.
    """

    def __init__(self, sync: Sync, *, beside: bool = False) -> None:
        self._sync, self._beside = sync, beside

    def __call__(self, suspects: Sequence[Suspect], position: Position) -> Mapping[RecordKey, str]:
        """Return the keys that are owed, with the name of the lane that each waits in."""
        if not self._sync.running or self._sync.failure is not None:
            return {}
        found = self._dirty(suspects, position)
        for owes in (self._kept, self._scanned):
            left = [suspect for suspect in suspects if suspect.key not in found]
            found.update(owes(left))
        # While the model of the generation beside is down its lane stands still: a live record in it is divergent.
        is_held_up = not self._beside and self._sync.engine.migration_outage is not None
        owed = {k: lane.name.lower() for k, lane in found.items() if not (is_held_up and lane is Lane.MIGRATION)}
        outdated = [s.key for s in suspects if s.kind == _OUTDATED and s.key not in owed]
        return owed | dict.fromkeys(outdated, SCHEMA) if outdated and self._sync.restamp_due else owed

    def _dirty(self, suspects: Sequence[Suspect], position: Position) -> dict[RecordKey, Lane]:
        """Return the keys that are dirty in memory; all of them while the log is not read up to the position."""
        state = self._sync.engine.state
        with state.changed:
            if state.progress.consumed < position:
                return dict.fromkeys((suspect.key for suspect in suspects), Lane.LIVE)
            waiting = [(suspect, state.ledger.waits(suspect.key)) for suspect in suspects]
            found = {s.key: at[0] for s, at in waiting if at is not None and _is_mended(s.kind, *at)}
            if self._beside:
                found.update((s.key, Lane.MIGRATION) for s in suspects if s.key in state.owed and s.key not in found)
        return found

    def _kept(self, suspects: Sequence[Suspect]) -> dict[RecordKey, Lane]:
        """Return the keys whose work item is in the journal alone."""
        backlog = self._sync.engine.state.backlog
        if not suspects or not backlog.has_more:
            return {}
        kinds = {suspect.key: suspect.kind for suspect in suspects}
        kept = backlog.among(kinds.keys())
        return {key: item.lane for key, item in kept.items() if _is_mended(kinds[key], item.lane, item.force)}

    def _scanned(self, suspects: Sequence[Suspect]) -> dict[RecordKey, Lane]:
        """Return what a selection, a backfill or a comparison in the background has not come to yet."""
        intake = self._sync.engine.intake_stage
        found: dict[RecordKey, Lane] = {}
        for suspect in suspects:
            if any(selection.is_to_select(suspect.key, suspect.stamps) for selection in intake.selections.due):
                found[suspect.key] = Lane.MIGRATION
            elif suspect.kind not in _PAST_COMPARISON:
                types = {suspect.entity_type, *(stamp.entity_type for stamp in suspect.stamps)} - {""}
                lane = intake.is_to_scan(suspect.key, types, migration=self._beside)
                if lane is not None:
                    found[suspect.key] = lane
        return found


def _is_mended(kind: str, lane: Lane, force: bool) -> bool:
    """Whether work in a lane can mend a divergence; to compare texts does not show that a vector is damaged."""
    return force or lane in URGENT or kind not in _PAST_COMPARISON
