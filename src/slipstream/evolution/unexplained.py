"""
Comparisons that the log does not explain: weighed before anything is marked.

After a trigger was gone, or a range of the log was lost, something may have changed, and no entry says what. The
reconciler's own rule tells what marking each key would do. A key that only needs a new stamp is marked at once. Keys
that would be deleted or embedded are kept back until the scan has ended, and marked if the brake allows so many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from slipstream.apply.reconciler import Reconciler
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import KeyStamps
from slipstream.evolution.scanning import KeyScan
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import PAGE

IsOwed = Callable[[Sequence[RecordKey]], Sequence[bool]]
"""Whether each key is dirty already: then something explains it."""

_NOTHING = KeyStamps()


@dataclass(slots=True)
class Weighed:
    """What marking some keys would do."""

    deleted: list[RecordKey] = field(default_factory=list)
    embedded: list[RecordKey] = field(default_factory=list)
    light: list[RecordKey] = field(default_factory=list)
    """Keys that are dirty anyway, need a new stamp only, or can not be rendered."""

    @property
    def heavy(self) -> list[RecordKey]:
        """What the brake counts."""
        return self.deleted + self.embedded


class Scales:
    """Tells by the reconciler's rule what marking keys would do. Writes nothing, and embeds nothing."""

    def __init__(self, reconciler: Reconciler, index: VectorIndex, is_owed: IsOwed) -> None:
        self._reconciler, self._index, self._is_owed = reconciler, index, is_owed

    def weigh(self, keys: Sequence[RecordKey]) -> Weighed:
        """Return what marking the keys would do; keys that are as they should be are in none of the lists."""
        owed = self._is_owed(keys)
        weighed = Weighed(light=[key for key, is_owed in zip(keys, owed, strict=True) if is_owed])
        self._weigh([key for key, is_owed in zip(keys, owed, strict=True) if not is_owed], weighed)
        return weighed

    def _weigh(self, keys: Sequence[RecordKey], weighed: Weighed) -> None:
        if not keys:
            return
        try:
            prepared = self._reconciler.prepare(keys, live_only=True)
        except PoisonEventError:
            if len(keys) == 1:
                weighed.light.extend(keys)  # it is to become a dead letter
                return
            middle = len(keys) // 2
            self._weigh(keys[:middle], weighed)
            self._weigh(keys[middle:], weighed)
            return
        embedded = dict.fromkeys(target.key for target in prepared.targets)
        doubtful = dict.fromkeys(deletion.key for deletion in prepared.deletions if deletion.key not in embedded)
        held = self._index.stamps(list(doubtful)) if doubtful else {}
        deleted = [key for key in doubtful if held.get(key, _NOTHING).records]  # else it is only fenced
        heavy = {*embedded, *deleted}
        weighed.embedded += embedded
        weighed.deleted += deleted
        weighed.light += [stamp.key for stamp in prepared.restamps if stamp.key not in heavy]


class Verdict(Enum):
    """What came of an unexplained scan."""

    WEIGHING = auto()
    PASSED = auto()
    """All that differs has been given out to be marked."""
    BRAKED = auto()
    """It would take more than the brake allows: none of that was given out."""


class UnexplainedScan:
    """
    A scan whose pages are weighed. Not thread-safe: the engine's reader drives it.

    Memory grows with what would be deleted or embedded, up to the limit. When that is too much, those keys are
    weighed once more: a commit may have made some of them dirty meanwhile, which explains them.
    """

    def __init__(self, scan: KeyScan, scales: Scales, index: VectorIndex, settings: BrakeSettings) -> None:
        self.lane, self.position = scan.lane, scan.position
        self.verdict = Verdict.WEIGHING
        self._scan, self._scales, self._settings = scan, scales, settings
        self._records = _Count(index)
        self._limit: int | None = None
        self._unweighed: list[RecordKey] = []
        self._found = Weighed()
        self._again: deque[RecordKey] | None = None
        self._passed: deque[RecordKey] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether it is over."""
        return self.verdict is not Verdict.WEIGHING

    @property
    def found(self) -> str:
        """What would be deleted and embedded, as far as is known, in words for people."""
        said = f"{len(self._found.deleted):,} records to delete and {len(self._found.embedded):,} to embed"
        return said if self._scan.exhausted else f"{said}, at least"

    def page(self, limit: int) -> list[RecordKey]:
        """Return the next keys to be marked, often none; after an error it goes on where it was."""
        if self._passed is not None:
            return self._give(self._passed, limit)
        if self._is_too_much():
            self._look_again(limit)
            return []
        if not self._unweighed:
            self._unweighed = self._scan.page(limit)
        if self._unweighed:
            return self._weigh_page()
        self._passed = deque(self._found.heavy)
        return []

    def _weigh_page(self) -> list[RecordKey]:
        weighed = self._scales.weigh(self._unweighed)
        self._unweighed = []
        self._found.deleted += weighed.deleted
        self._found.embedded += weighed.embedded
        return weighed.light

    def _is_too_much(self) -> bool:
        heavy = len(self._found.deleted) + len(self._found.embedded)
        if self._again is not None:
            return True
        if heavy <= self._settings.records_min:
            return False
        return self._limit is None or heavy > self._limit

    def _look_again(self, limit: int) -> None:
        if self._limit is None:
            if self._records.step():
                self._limit = self._settings.limit(self._records.counted)
            return
        if self._again is None:
            self._again, self._found = deque(self._found.heavy), Weighed()
        if not self._again:
            self._decide(self._limit)
            return
        page = [self._again[at] for at in range(min(limit, len(self._again)))]
        weighed = self._scales.weigh(page)
        for _ in page:
            self._again.popleft()
        self._found.deleted += weighed.deleted
        self._found.embedded += weighed.embedded

    def _decide(self, limit: int) -> None:
        self._again = None
        if len(self._found.heavy) > limit:
            self.verdict = Verdict.BRAKED

    def _give(self, keys: deque[RecordKey], limit: int) -> list[RecordKey]:
        page = [keys.popleft() for _ in range(min(limit, len(keys)))]
        if not page:
            self.verdict = Verdict.PASSED
        return page


class _Count:
    """How many keys the index holds, page by page."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._after: RecordKey | None = None
        self.counted = 0

    def step(self) -> bool:
        """Count a page; True at the end."""
        page = self._index.scan(self._after, PAGE)
        if not page:
            return True
        self.counted += len({stamp.key for stamp in page})
        self._after = page[-1].key
        return False
