"""
What is below: the stores check themselves, and what they find goes into the report.

They do so before anything is compared. Where a store's own index has lost an entry, no read finds the row, and what
looks absent is there. So a repair mends the stores first, and only then has the keys read again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from slipstream.audit.comparing import Comparer, take_back
from slipstream.audit.findings import AuditReport
from slipstream.audit.pacing import FULL_SPEED, Pace
from slipstream.domain.damage import Damage
from slipstream.domain.errors import CorruptionError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.selfcheck import SelfCheck

logger = logging.getLogger(__name__)

CHEAP, DEEP = "cheap", "deep"
"""How closely an audit looked below."""
NOT_LOOKED = ""


class Below:
    """
    The self-checks of the stores of one PKG; `without` names those that have none.

    To stores that are `apart` no audit writes, so it may go on while they look.
    """

    def __init__(
        self, checks: Sequence[SelfCheck] = (), without: Sequence[str] = (), apart: Collection[str] = ()
    ) -> None:
        self._checks, self._without, self._apart = tuple(checks), tuple(without), frozenset(apart)

    def __bool__(self) -> bool:
        return bool(self._checks or self._without)

    def look(self, head: Callable[[], Position], *, deep: bool = False, pace: Pace = FULL_SPEED) -> list[Damage]:
        """Return what all of them find; rests behind each."""
        found: list[Damage] = []
        for check in self._checks:
            found += check.check(deep=deep, head=head)
            pace.rest()
        _tell(found)
        return found

    @contextmanager
    def beside(self, head: Callable[[], Position], *, deep: bool) -> Iterator[list[Damage]]:
        """
        As `look`, without rests; stores that are apart are looked at while the block runs, the others before it.

        What is found is in the list when the block has ended.
        """
        found: list[Damage] = []
        with ThreadPoolExecutor(1, "slipstream-below") as thread:
            looking = [
                thread.submit(check.check, deep=deep, head=head) if check.store in self._apart else None
                for check in self._checks
            ]
            looked = [
                check.check(deep=deep, head=head) if begun is None else begun
                for check, begun in zip(self._checks, looking, strict=True)
            ]
            yield found
            for each in looked:
                found += each.result() if isinstance(each, Future) else each
        _tell(found)

    @property
    def notes(self) -> list[str]:
        """What a report must say besides the damage."""
        return [f"what is below was not looked at in {name}: it has no check of its own" for name in self._without]

    def mend(self, damages: Iterable[Damage], head: Callable[[], Position]) -> list[Damage]:
        """Mend what can be mended, in the order in which it was found; returns what is still there."""
        by_store = {check.store: check for check in self._checks}
        left: list[Damage] = []
        for damage in damages:
            check = by_store.get(damage.store)
            if check is None or not damage.is_mendable or not check.mend(damage, head=head):
                left.append(damage)
            else:
                logger.warning("mended %s of %s: %s", damage.place, damage.store, damage.what)
        return left


def _tell(found: Iterable[Damage]) -> None:
    for damage in found:
        logger.warning("found damage: %s", damage.told)


def damage_in(report: Mapping[str, Any]) -> list[Damage]:
    """Return the damage that a kept report tells of; older versions kept none."""
    return [Damage.of(data) for data in report.get("damage", ())]


def looked_in(report: Mapping[str, Any]) -> str:
    """Return how closely a kept audit looked below."""
    return str(report.get("looked_below", NOT_LOOKED))


def enter_duplicates(report: AuditReport, comparer: Comparer) -> None:
    """Enter keys that are there more than once, though no read by key shows it."""
    known = report.named()
    keys = [RecordKey.decode(key) for damage in report.damage for key in damage.keys if key[:2] in ("e:", "r:")]
    for compared in comparer.decide([key for key in keys if key not in known]).decided:
        take_back(report, compared, compared.kind or "duplicate")


def refuse_blind(left: Iterable[Damage]) -> None:
    """Raise `CorruptionError` where rows may be hidden: a repair would take them for absent, and delete records."""
    hiding = [damage for damage in left if damage.hides_rows]
    if hiding:
        raise CorruptionError(
            f"nothing is repaired while rows may be there that can not be read: {hiding[0].told}; then audit again"
        )
