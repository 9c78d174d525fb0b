"""Which keys the log says have changed: what an incremental audit reads again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from slipstream.domain.errors import PositionLostError, TransientError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import Rescan, position_of
from slipstream.domain.positions import Position
from slipstream.engine.planner import Planner
from slipstream.ports.feed import ChangeFeed

logger = logging.getLogger(__name__)

_PAGE = 1_000


class LoggedChanges:
    """Asks the log and the planner."""

    def __init__(self, log: ChangeFeed, planner: Planner) -> None:
        self._log, self._planner = log, planner

    def __call__(self, after: Position, through: Position) -> Iterable[RecordKey] | None:
        """Return the keys that commits behind `after` and up to `through` affect; None when the log can not tell."""
        found: dict[RecordKey, None] = {}
        for event in _events(self._log, after, through):
            keys = None if event is None else self._keys_of(event)
            if keys is None:
                return None
            found.update(dict.fromkeys(keys))
        return list(found)

    def _keys_of(self, event: PKGEvent) -> list[RecordKey] | None:
        try:
            return self._planner.keys_of(event)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001  (the engine has made a dead letter of it; here a full audit follows)
            logger.info("event %s can not be planned (%s): the audit reads everything", event.event_id, error)
            return None


class LoggedRecords:
    """Asks the log for the records that were touched themselves: word rows depend on nothing else."""

    def __init__(self, log: ChangeFeed) -> None:
        self._log = log

    def __call__(self, after: Position, through: Position) -> Iterable[RecordKey] | None:
        """Return the keys of records that commits behind `after` and up to `through` touch; None as above."""
        found: dict[RecordKey, None] = {}
        for event in _events(self._log, after, through):
            if event is None:
                return None
            if event.key is not None:
                found[event.key] = None
        return list(found)


def _events(log: ChangeFeed, after: Position, through: Position) -> Iterator[PKGEvent | None]:
    """Yield the events behind `after` and up to `through`; None, and no more, where the log can not tell them."""
    if after > through:
        yield None
        return
    while after < through:
        try:
            entries = log.read(after, _PAGE)
        except PositionLostError:
            yield None
            return
        for entry in entries:
            if isinstance(entry, Rescan):
                yield None
                return
            if position_of(entry) <= through:
                yield entry
        if not entries:
            return
        after = position_of(entries[-1])
