"""
Which schema version all stamps have reached.

A batch that was read before the schema evolved may be written after the pass that moves all stamps.
"""

from __future__ import annotations

import threading

from slipstream.apply.reconciler import Prepared
from slipstream.domain.journal_names import RESTAMPED
from slipstream.ports.journal import Journal


class Stamping:
    """Notes the oldest schema version that a record was stamped with since a pass began. `writing` guards it."""

    def __init__(self, journal: Journal, writing: threading.Lock) -> None:
        self._journal, self._writing = journal, writing
        self.oldest: int | None = None
        """None when nothing was written since."""

    def begin_pass(self) -> None:
        """Begin to note the stamps that are written from now on; waits for a write under way."""
        with self._writing:
            self.oldest = None

    def end_pass(self, version: int) -> int:
        """Note durably, and return, which version all stamps have reached now that a pass to `version` has ended."""
        with self._writing:
            reached = version if self.oldest is None else min(version, self.oldest)
            self._journal.set(RESTAMPED, str(reached))
            return reached

    def lowers(self, prepared: Prepared) -> bool:
        """Whether a batch leaves stamps that are older than all of them are said to be."""
        return _leaves_stamps(prepared) and int(self._journal.get(RESTAMPED) or 0) > prepared.schema_version

    def note(self, prepared: Prepared) -> None:
        """
        Note what a batch stamps, or leaves as it is, in the transaction that writes it; `writing` is held.

        What it leaves counts too: the pass skipped it, if it was dirty at that moment.
        """
        if _leaves_stamps(prepared):
            version = prepared.schema_version
            self.oldest = version if self.oldest is None else min(version, self.oldest)
            if self.lowers(prepared):
                self._journal.set(RESTAMPED, str(version))


def _leaves_stamps(prepared: Prepared) -> bool:
    return bool(prepared.targets or prepared.restamps or prepared.unchanged)
