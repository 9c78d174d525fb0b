"""How selected records get embedded: by the running engine, or in the calling thread where there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from slipstream.domain.errors import CorruptionError, TransientError
from slipstream.domain.keys import RecordKey
from slipstream.domain.work import Lane, WorkItem
from slipstream.evolution.selections import Selections
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal

logger = logging.getLogger(__name__)

Settle = Callable[[Sequence[RecordKey]], None]
"""Called with the keys of a batch, in the durable step that writes them."""

_WAIT_S = 0.2


class Reembedder(Protocol):
    """Looks through selections and works off what they mark."""

    @property
    def selections(self) -> Selections:
        """What is still to be looked through."""
        ...

    @property
    def failed(self) -> dict[RecordKey, str]:
        """Keys that could not be embedded, with the reason; they are kept."""
        ...

    def begin(self) -> None:
        """Forget what failed before: it is tried again."""
        ...

    def left(self) -> int:
        """Return how many marked keys are still to be done."""
        ...

    def advance(self, batch_size: int) -> None:
        """Do a part of the work, or wait for the engine to; raises what keeps it from going on."""
        ...


class EngineReembedder:
    """Leaves the work to the running engine's migration lane; what fails for good becomes a dead letter."""

    def __init__(self, selections: Selections, journal: Journal, pause: Callable[[float], None]) -> None:
        self.selections, self._journal, self._pause = selections, journal, pause
        self.failed: dict[RecordKey, str] = {}

    def begin(self) -> None:
        """Nothing to forget: what failed for good is a dead letter."""

    def left(self) -> int:
        """Return how many keys wait: in the migration lane, or in the repair lane, where a repair moves them."""
        return self._journal.work_count(Lane.MIGRATION) + self._journal.work_count(Lane.REPAIR)

    def advance(self, batch_size: int) -> None:
        """Wait a moment; raises what keeps the engine from going on."""
        del batch_size  # the engine sizes its batches so that live changes do not wait for them
        self._pause(_WAIT_S)


@dataclass
class OwnReembedder:
    """Does the work in the calling thread, for stores without an engine."""

    index: VectorIndex
    journal: Journal
    reconcile: Callable[[Sequence[WorkItem], Settle], None]
    failed: dict[RecordKey, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.selections = Selections(self.index, self.journal, self._keep)
        self._after: WorkItem | None = None
        self._is_through = False

    def begin(self) -> None:
        """Go through all that is left once more."""
        self._after, self._is_through = None, False
        self.failed.clear()

    def _keep(self, items: Sequence[WorkItem], also: Callable[[], None]) -> None:
        with self.journal.transaction():
            self.journal.put_work(items)
            also()
        self._after, self._is_through = None, False

    def left(self) -> int:
        """Return how many keys are still to be tried."""
        return 0 if self._is_through else max(0, self.journal.work_count(Lane.MIGRATION) - len(self.failed))

    def advance(self, batch_size: int) -> None:
        """Look through a page, or embed a batch; a key that fails stays in the journal, with its error."""
        if self.selections.step():
            return
        items = self.journal.work(self._after, batch_size, Lane.MIGRATION)
        if not items:
            self._is_through = True
            return
        self._after = items[-1]
        self._embed(items)

    def _embed(self, items: Sequence[WorkItem]) -> None:
        try:
            self._reconcile(items)
        except (TransientError, CorruptionError):
            raise
        except Exception as error:  # noqa: BLE001  (the one at fault is found, and kept with its error)
            if len(items) > 1:
                middle = len(items) // 2
                self._embed(items[:middle])
                self._embed(items[middle:])
                return
            (item,) = items
            text = f"{type(error).__name__}: {error}"
            logger.warning("%s was not embedded anew: %s", item.key.encode(), text)
            self.failed[item.key] = text
            self.journal.put_work([replace(item, attempts=item.attempts + 1, error=text)])

    def _reconcile(self, items: Sequence[WorkItem]) -> None:
        self.reconcile(items, self.journal.remove_work)
        for item in items:
            self.failed.pop(item.key, None)
